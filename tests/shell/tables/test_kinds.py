"""Laws, spectra, priors, methods and wrappers of a file: the same objects as those of the functions they name."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import dyntheory as dt
from dyntheory.shell.tables.kinds import Choice
from dyntheory.shell.tables.law_table import LAWS, PRIORS, SPECTRA
from dyntheory.shell.tables.method_table import METHODS, NETWORKS
from dyntheory.shell.tables.problem_file import ProblemError, load_problem, parse_problem
from tests.shell.tables.test_problem_file import SMALL, parse

NAMED_LAWS: dict[str, tuple[dict[str, Any], dt.TeacherStudent]] = {
    "power law": (
        {"features": {"kind": "power_law", "exponent": 1.5, "num_modes": 9, "target_exponent": 2.0}},
        dt.TeacherStudent(2.0, features=dt.spectra.power_law(1.5, num_modes=9, target_exponent=2.0)),
    ),
    "two levels": (
        {"features": {"kind": "two_level", "share": 0.25, "ratio": 4, "alignment": [0.0, 1.0]}},
        dt.TeacherStudent(2.0, features=dt.spectra.two_level(0.25, 4, alignment=(0.0, 1.0))),
    ),
    "eigenvalues": (
        {"features": {"kind": "spectrum", "eigenvalues": [4, 1], "alignment": [0, 2], "shares": [0.25, 0.75]}},
        dt.TeacherStudent(2.0, features=dt.spectra.Spectrum([4, 1], alignment=[0, 2], shares=[0.25, 0.75])),
    ),
    "sparse": (
        {"teacher_prior": {"kind": "bernoulli_gauss", "density": 0.1, "std": 2.0}},
        dt.TeacherStudent(2.0, teacher_prior=dt.priors.bernoulli_gauss(0.1, std=2.0)),
    ),
    "two directions": (
        {"teacher_prior": [{"kind": "laplace"}, {"kind": "discrete", "values": [0, 1], "probabilities": [0.5, 0.5]}]},
        dt.TeacherStudent(
            2.0, teacher_prior=(dt.priors.laplace(), dt.priors.discrete([0, 1], probabilities=[0.5, 0.5]))
        ),
    ),
    "clouds": (
        {"kind": "gaussian_mixture", "separation": 1.5, "balance": 0.3, "teacher_prior": {"kind": "rademacher"}},
        dt.gaussian_mixture(2.0, 1.5, balance=0.3, teacher_prior=dt.priors.rademacher()),
    ),
}


@pytest.mark.parametrize("name", NAMED_LAWS)
def test_named_laws_are_those_of_their_functions(name: str) -> None:
    entries, law = NAMED_LAWS[name]
    problem = parse_problem({**SMALL, "law": {"samples_per_feature": 2.0, **entries}})
    assert jax.tree.structure(problem.law) == jax.tree.structure(law)
    for found, expected in zip(jax.tree.leaves(problem.law), jax.tree.leaves(law), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert parse_problem(problem.table).table == problem.table


def test_a_key_of_an_inner_table_can_be_set() -> None:
    spectrum = {"features": {"kind": "power_law", "exponent": 1.5, "num_modes": 9}}
    law = {"samples_per_feature": 2.0, **spectrum}
    found = parse_problem({**SMALL, "law": law}, overrides=["law.features.num_modes=4"]).law.features
    assert found is not None and found.num_modes == 4


def test_eigenvalues_come_from_a_file(tmp_path: Path) -> None:
    np.savetxt(tmp_path / "values.txt", [4.0, 1.0])
    np.save(tmp_path / "powers.npy", np.array([0.0, 2.0]))
    lines = [
        f"[{table}]\n{key} = {value}" for table, key, value in (("network", "hidden", "[2]"), ("run", "num_steps", 1))
    ]
    features = 'features = { kind = "spectrum", eigenvalues = "values.txt", alignment = "powers.npy" }'
    text = "\n".join(["[law]", "samples_per_feature = 2.0", features, "[method]", "learning_rate = 0.1", *lines])
    (tmp_path / "problem.toml").write_text(text, encoding="utf-8")
    table = load_problem(tmp_path / "problem.toml").table
    written = {"kind": "spectrum", "eigenvalues": [4.0, 1.0], "alignment": [0.0, 2.0]}
    assert table["law"]["features"] == written
    (tmp_path / "values.txt").unlink()
    assert parse_problem(table).table == table
    for content, message in ((None, "which does not exist"), ("four", "which must hold one number a line")):
        if content is not None:
            (tmp_path / "values.txt").write_text(content, encoding="utf-8")
        with pytest.raises(ProblemError, match=rf"`law\.features\.eigenvalues` names .*values\.txt, {message}"):
            load_problem(tmp_path / "problem.toml")


PRIOR = dt.priors.bernoulli_gauss(0.1)
NAMED_METHODS: dict[str, tuple[dict[str, Any], dt.GeneralFirstOrderMethod]] = {
    "lasso_amp": ({"threshold": 1.5}, dt.lasso_amp(1.5)),
    "bayes_amp": ({"prior": {"kind": "bernoulli_gauss", "density": 0.1}}, dt.bayes_amp(PRIOR)),
    "generalized_amp": ({"channel": "probit", "noise_std": 0.2}, dt.generalized_amp("probit", noise_std=0.2)),
    "proximal_gradient": (
        {"learning_rate": 0.5, "penalty": 0.1, "accelerated": False},
        dt.proximal_gradient(0.5, 0.1, accelerated=False),
    ),
}


@pytest.mark.parametrize("kind", NAMED_METHODS)
def test_named_methods_are_those_of_their_functions(kind: str) -> None:
    entries, method = NAMED_METHODS[kind]
    tables = {"law": SMALL["law"], "method": {"kind": kind, **entries}, "run": SMALL["run"]}
    problem = parse_problem(tables)
    assert problem.method.name == method.name
    assert jax.tree.structure(problem.method.hyperparameters) == jax.tree.structure(method.hyperparameters)
    for found, expected in zip(jax.tree.leaves(problem.method), jax.tree.leaves(method), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert problem.table["network"] == {} and parse_problem(problem.table).table == problem.table
    with pytest.raises(ProblemError, match=rf"\[network\] must be left out: the method '{kind}' has no network"):
        parse_problem({**tables, "network": SMALL["network"]})


def test_methods_are_wrapped() -> None:
    wrapped = parse(
        "mini_batches={ fraction = 0.25, replacement = false }", "method.dropout.rate=0.2", "method.label_noise.std=0.1"
    ).method
    assert wrapped.sample_noise == 1 + 1 + 3
    assert all(text in wrapped.name for text in ("1/4 without replacement", "label noise", "dropout"))
    clouds = {"kind": "gaussian_mixture", "samples_per_feature": 2.0, "separation": 1.0, "num_classes": 3}
    network = {**SMALL["network"], "num_outputs": 3}
    noisy = parse_problem({**SMALL, "law": clouds, "network": network}, overrides=["method.label_noise={ std = 0.1 }"])
    assert noisy.method.sample_noise == 3


@pytest.mark.parametrize("choices", [PRIORS, SPECTRA, LAWS, METHODS, NETWORKS])
def test_what_has_no_default_is_needed(choices: dict[str, Choice]) -> None:
    for name, choice in choices.items():
        parameters = inspect.signature(choice.make).parameters
        assert set(choice.kinds) <= set(parameters), name
        needed = {key for key, parameter in parameters.items() if parameter.default is inspect.Parameter.empty}
        assert set(choice.needed) == needed, name


BAD = {
    "features=3": "`law.features` must be a spectrum, a table such as { kind =",
    "features={ exponent = 1 }": "`law.features.kind` is missing: one of power_law, spectrum, two_level.",
    "features={ kind = 'powerlaw' }": "Unknown `law.features.kind` 'powerlaw'. Did you mean 'power_law'?",
    "features={ kind = 'power_law', exponent = 1 }": "`law.features.num_modes` is missing: how many eigenvalues.",
    "features={ kind = 'power_law', expnent = 1 }": "[law.features] with kind = 'power_law': 'expnent'. Did you mean",
    "features={ kind = 'power_law', exponent = 'x' }": "`law.features.exponent` must be a number, got 'x'.",
    "features={ kind = 'spectrum', eigenvalues = [-1] }": "[law] `eigenvalues` must be",
    "features={ kind = 'spectrum', eigenvalues = 'no.txt' }": "`law.features.eigenvalues` names no.txt, which does not",
    "features={ kind = 'two_level', share = 0.5 }": "`law.features.ratio` is missing: strong eigenvalue over weak.",
    "teacher_prior={ kind = 'bernouli_gauss' }": "`law.teacher_prior.kind` 'bernouli_gauss'. Did you mean",
    "teacher_prior=[{ kind = 'laplace', std = 1 }]": "key of [law.teacher_prior[0]] with kind = 'laplace': 'std'",
    "teacher_prior={ kind = 'rademacher', density = 2 }": "[law] `density` must be at most 1",
    "law.kind=mixture": "Unknown `law.kind` 'mixture'.",
    "law.kind=gaussian_mixture": "Unknown key of [law] with kind = 'gaussian_mixture': 'link'.",
    "method.kind=lasso_map": "Unknown `method.kind` 'lasso_map'. Did you mean 'lasso_amp'?",
    "mini_batches=0.5": "`method.mini_batches` must be a table such as { fraction = 0.5 }, got 0.5.",
    "mini_batches={ fracton = 0.5 }": "Unknown key of [method.mini_batches]: 'fracton'. Did you mean 'fraction'?",
    "mini_batches={ replacement = true }": "`method.mini_batches.fraction` is missing: the part of the samples",
    "mini_batches={ fraction = 2 }": "[method] `fraction` must be in (0, 1]",
    "dropout={ rate = 1 }": "[method] `rate` must be in [0, 1)",
}


@pytest.mark.parametrize("override", BAD)
def test_bad_entries_are_refused_with_their_name(override: str) -> None:
    with pytest.raises(ProblemError) as caught:
        parse(override)
    assert BAD[override] in str(caught.value)

"""Laws, spectra and priors of a file: the same objects as those of the functions they name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import dyntheory as dt
from dyntheory.shell.tables.problem import ProblemError
from dyntheory.shell.tables.problem_file import load_problem, parse_problem
from tests.shell.tables.conftest import SMALL, refusal

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
}


@pytest.mark.parametrize("override", BAD)
def test_bad_entries_are_refused_with_their_name(override: str) -> None:
    assert BAD[override] in refusal(override)

"""Networks, methods and wrappers of a file: the same objects as those of the functions they name."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest

import dyntheory as dt
from dyntheory.shell.tables.problem import ProblemError
from dyntheory.shell.tables.problem_file import parse_problem
from tests.shell.tables.conftest import SMALL, parse, refusal

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


BAD = {
    "method.kind=lasso_map": "Unknown `method.kind` 'lasso_map'. Did you mean 'lasso_amp'?",
    "mini_batches=0.5": "`method.mini_batches` must be a table such as { fraction = 0.5 }, got 0.5.",
    "mini_batches={ fracton = 0.5 }": "Unknown key of [method.mini_batches]: 'fracton'. Did you mean 'fraction'?",
    "mini_batches={ replacement = true }": "`method.mini_batches.fraction` is missing: the part of the samples",
    "mini_batches={ fraction = 2 }": "[method] `fraction` must be in (0, 1]",
    "dropout={ rate = 1 }": "[method] `rate` must be in [0, 1)",
}


@pytest.mark.parametrize("override", BAD)
def test_bad_entries_are_refused_with_their_name(override: str) -> None:
    assert BAD[override] in refusal(override)

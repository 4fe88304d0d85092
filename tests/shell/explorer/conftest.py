"""The smallest problem of the page, and one of every kind that it has to write down again."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from tests import ROOT

SMALL = """
[law]
samples_per_feature = 2.0
link = "tanh"
noise_std = 0.3

[network]
hidden = [2]
activation = "tanh"

[method]
optimizer = "sgd"
learning_rate = 0.3

[run]
num_steps = 2

[predict]
num_nodes = 4096

[simulate]
num_features = 40
num_runs = 4
"""
SCHEDULE = '{ schedule = "piecewise_constant", init_value = 0.3, boundaries_and_scales = { "2" = 0.5 } }'
UNUSUAL = {
    "unequal widths": ("network", "hidden = [3, 2]"),
    "schedule": ("method", f"learning_rate = {SCHEDULE}"),
    "wrappers": ("method", "mini_batches = { fraction = 0.5 }\nlabel_noise = { std = 0.1 }\ndropout = { rate = 0.1 }"),
    "head": ("method", 'head_optimizer = "frozen"\nmomentum = 0.9'),
    "prior": ("law", 'teacher_prior = [{ kind = "bernoulli_gauss", density = 0.1 }]'),
    "features": ("law", 'features = { kind = "two_level", share = 0.1, ratio = 10.0, alignment = [1.0, 1.0] }'),
    "start": ("first_layer", "second_moment = 0.5\nteacher_overlap = [[0.1], [0.2]]"),
    "heads": ("run", "num_heads = 2"),
    "accuracy": ("predict", "rtol = 0.1"),
}


def small() -> dict[str, Any]:
    return tomllib.loads(SMALL)


def unusual(name: str) -> dict[str, Any]:
    """Return the small problem with some entries replaced."""
    table, lines = UNUSUAL[name]
    tables = small()
    tables.setdefault(table, {}).update(tomllib.loads(lines))
    return tables


def examples() -> list[Any]:
    """Return the examples that are shipped, as parameters of a test."""
    return [pytest.param(path, id=path.stem) for path in sorted((ROOT / "examples").glob("*.toml"))]

"""A small problem, as nested dictionaries."""

from __future__ import annotations

from typing import Any

import pytest

from dyntheory.shell.tables.problem import Problem, ProblemError
from dyntheory.shell.tables.problem_file import parse_problem

SMALL: dict[str, Any] = {
    "law": {"samples_per_feature": 2.0, "link": "sin", "noise_std": 0.3},
    "network": {"hidden": [3, 2], "activation": "relu"},
    "method": {"optimizer": "sgd", "learning_rate": 0.5},
    "run": {"num_steps": 4},
}


def parse(*overrides: str) -> Problem:
    return parse_problem(SMALL, overrides=overrides)


def refusal(override: str) -> str:
    """Return what is said when the small problem is given this entry."""
    with pytest.raises(ProblemError) as caught:
        parse(override)
    return str(caught.value)

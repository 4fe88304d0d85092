"""Optimizers and schedules by name, with their numbers."""

from __future__ import annotations

from typing import Any

import pytest

from dyntheory.shell.tables.optimizers import FROZEN, OPTIMIZERS, SCHEDULES, build_schedule
from dyntheory.shell.tables.problem_file import parse_problem
from tests.shell.tables.conftest import SMALL, parse, refusal


def test_head_optimizers() -> None:
    assert parse("head_learning_rate=0.1").method.hyperparameters["head"] == {"learning_rate": 0.1}
    assert parse("head_optimizer=frozen").method.hyperparameters["head"] == {}
    assert parse("head_optimizer=adam", "head_learning_rate=0.1").method.hyperparameters["head"]["learning_rate"] == 0.1


@pytest.mark.parametrize("name", sorted(set(OPTIMIZERS) - {FROZEN}))
def test_every_optimizer_is_row_wise(name: str) -> None:
    parse(f"optimizer={name}")


@pytest.mark.parametrize(
    "entries",
    [
        {"schedule": "constant", "value": 0.3},
        {"schedule": "cosine_decay", "init_value": 0.3, "decay_steps": 9},
        {"schedule": "cosine_onecycle", "transition_steps": 9, "peak_value": 0.3},
        {"schedule": "exponential_decay", "init_value": 0.3, "transition_steps": 5, "decay_rate": 0.5},
        {"schedule": "linear", "init_value": 0.3, "end_value": 0.1, "transition_steps": 5},
        {"schedule": "linear_onecycle", "transition_steps": 9, "peak_value": 0.3},
        {"schedule": "piecewise_constant", "init_value": 0.3, "boundaries_and_scales": {"3": 0.5}},
        {"schedule": "polynomial", "init_value": 0.3, "end_value": 0.1, "power": 2, "transition_steps": 5},
        {"schedule": "warmup_constant", "init_value": 0.0, "peak_value": 0.3, "warmup_steps": 5},
        {"schedule": "warmup_cosine_decay", "init_value": 0, "peak_value": 0.3, "warmup_steps": 2, "decay_steps": 9},
        {
            "schedule": "warmup_exponential_decay",
            **{"init_value": 0.0, "peak_value": 0.3, "warmup_steps": 2, "transition_steps": 5, "decay_rate": 0.5},
        },
    ],
    ids=lambda entries: entries["schedule"],
)
def test_every_schedule_can_be_written_down(entries: dict[str, Any]) -> None:
    schedule = build_schedule("learning_rate", entries)
    assert 0 <= float(schedule(4)) <= 0.3 + 1e-6
    method = {"learning_rate": entries}
    assert parse_problem({**SMALL, "method": method}).method.num_units == 3
    assert entries["schedule"] in SCHEDULES


def test_schedule_steps_are_counted() -> None:
    schedule = build_schedule(
        "learning_rate", {"schedule": "piecewise_constant", "init_value": 1.0, "boundaries_and_scales": {"3": 0.5}}
    )
    assert [float(schedule(step)) for step in (2, 4)] == [1.0, 0.5]


BAD = {
    "optimizer=rmspropp": "Unknown `method.optimizer` 'rmspropp'. Did you mean 'rmsprop'?",
    "optimizer=frozen": "Unknown `method.optimizer` 'frozen'.",
    "method.b1=0.5": "Unknown key of [method] with optimizer = 'sgd': 'b1'.",
    "head_optimizer=sgd": "`method.head_learning_rate` is missing: the optimizer 'sgd' needs it.",
    "learning_rate={ value = 1 }": "`method.learning_rate` is a table without `schedule`",
    "learning_rate={ schedule = 'linaer' }": "Did you mean 'linear'?",
    "learning_rate={ schedule = 'constant' }": "`method.learning_rate.value` is missing",
    "learning_rate={ schedule = 'constant', value = 'x' }": "`method.learning_rate.value` must be a number",
    "learning_rate={ schedule = 'constant', valu = 1 }": "Did you mean 'value'?",
}


@pytest.mark.parametrize("override", BAD)
def test_bad_entries_are_refused_with_their_name(override: str) -> None:
    assert BAD[override] in refusal(override)

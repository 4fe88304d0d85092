"""A theorem about fixed steps is not claimed for a run that leaves the scale of its weights or of its loss."""

import dataclasses
from typing import Any

import jax
import numpy as np
import optax
import pytest

import dyntheory as dt
from dyntheory.ground.status import Assumptions, Status
from dyntheory.problem.assumptions import assess
from dyntheory.results.support import supported
from dyntheory.results.trajectory import Trajectory

STEPS = np.arange(3)
LAW = dt.TeacherStudent(2.0, "sin", 0.3)


def _run(loss: Any = (1.0, 0.5, 0.4), power: Any = (1.0, 1.1, 1.2), **changes: Any) -> Trajectory:
    overlap = np.asarray(power, dtype=float)[:, None, None] * np.eye(2)
    one = Trajectory(
        STEPS, train_loss=np.asarray(loss), weight_overlap=overlap, assumptions=Assumptions("theorem", ".")
    )
    return dataclasses.replace(one, **changes)


def _level(result: Trajectory) -> str:
    found = supported(result)
    assert found is not None
    return found.level


def test_ordinary_runs_keep_the_theorem() -> None:
    assert _level(_run()) == "theorem"
    assert _level(_run(power=(0.0, 50.0, 5000.0))) == "theorem"
    strong = _run(power=(1.0, 1e5, 1e5), provenance={"law": {"teacher_second_moment": [[1e5]]}})
    assert _level(strong) == "theorem"


@pytest.mark.parametrize(
    "wild",
    [
        _run(loss=(1.0, 150.0, 2.0)),
        _run(power=(1.0, 2e4, 1.0)),
        _run(loss=(1.0, np.nan, np.nan), status=Status("diverged", "from step 1 on", 1)),
    ],
    ids=["loss", "weights", "diverged"],
)
def test_runs_that_leave_the_scale_do_not(wild: Trajectory) -> None:
    assert _level(wild) == "heuristic"
    plain = dataclasses.replace(wild, assumptions=Assumptions("simulation-verified", "kinked"))
    assert _level(plain) == "simulation-verified"


def test_a_rate_of_a_million_is_no_theorem(key: jax.Array) -> None:
    """Neither before the run nor after; at half of what a linear unit takes it is one."""

    def at(rate: float) -> dt.GeneralFirstOrderMethod:
        return dt.gradient_descent(dt.LinearModel(), optax.sgd, learning_rate=rate)

    assert [assess(LAW, at(rate)).level for rate in (0.3, 1e6)] == ["theorem", "heuristic"]
    theory = dt.predict(LAW, at(20.0), num_steps=3, key=key, num_nodes=2**10)
    assert theory.assumptions is not None
    assert assess(LAW, at(20.0)).level == "theorem" and theory.assumptions.level == "heuristic"

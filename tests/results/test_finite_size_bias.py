"""Where runs separate more is allowed for the finite size, said so, and nowhere else."""

import dataclasses
from typing import Any

import numpy as np

from dyntheory.results.compare import compare
from dyntheory.results.finite_size_bias import large_magnification
from dyntheory.results.trajectory import Trajectory

STEPS = np.arange(21)
CURVE = 0.1 + 0.9 * np.exp(-STEPS / 6)
SPIKE = np.where(STEPS == 7, 20.0, 1.0)


def _trajectory(shift: Any = 0.0, growth: Any = None, **provenance: Any) -> Trajectory:
    return Trajectory(
        STEPS,
        train_error=CURVE * (1 + shift),
        standard_error=Trajectory(STEPS, train_error=np.full(len(STEPS), 1e-3)),
        provenance=provenance,
        magnification=None if growth is None else {"train_error": growth, "test_error": np.ones(len(STEPS))},
    )


def _compared(theory: Trajectory, *sizes: int, shift: Any = 0.0, **options: Any) -> Any:
    runs = [_trajectory(shift, kind="simulation", num_features=size, num_runs=20) for size in sizes]
    return compare(theory, *runs, metrics=("train_error",), **options)


def _allowed(report: Any) -> np.ndarray:
    return (report.tolerance["train_error"] - report.threshold * report.standard_error["train_error"]) / CURVE


def test_the_allowance_is_the_square_of_what_grows() -> None:
    """m²/d for one size, m⁴/d² for two, at the steps where m is large; a number given is taken at every step."""
    theory = _trajectory(growth=SPIKE, kind="prediction")
    at_the_spike, elsewhere = (np.where(step == STEPS, 0.1, 0.0) for step in (7, 8))
    report = _compared(theory, 1000, shift=at_the_spike)
    assert report.agrees and "magnified 20 times, most in the train error at step 7" in str(report)
    assert "1 of 21 steps, 7 to 7, say little at d = 1000" in str(report)
    np.testing.assert_allclose(_allowed(report), np.where(STEPS == 7, 0.4, 0.01))
    np.testing.assert_allclose(_allowed(_compared(theory, 1000, 2000))[6:8], [1e-4, 0.16])
    assert _compared(theory, 1000, shift=elsewhere).verdict == "disagree"
    assert _compared(_trajectory(kind="prediction"), 1000, shift=at_the_spike).verdict == "disagree"
    assert _compared(theory, 1000, shift=at_the_spike, allowance=0.01).verdict == "disagree"


def test_where_runs_separate_at_most_steps_nothing_is_resolved() -> None:
    report = _compared(_trajectory(growth=np.full(len(STEPS), 50.0), kind="prediction"), 1000)
    assert report.verdict == "unresolved" and report.resolution > 2 and "larger sizes are needed" in str(report)


def test_runs_far_above_a_prediction_whose_runs_separate_have_not_left_it() -> None:
    runs = np.broadcast_to(CURVE * np.where(STEPS == 7, 30.0, 1.0), (20, len(STEPS)))
    above = dataclasses.replace(
        _trajectory(np.where(STEPS == 7, 29.0, 0.0), kind="simulation", num_features=100, num_runs=20),
        per_run=Trajectory(STEPS, train_error=runs),
    )
    growth = np.where(STEPS == 7, 200.0, 1.0)
    left, near = (
        compare(_trajectory(growth=one, kind="prediction"), above, metrics=("train_error",)) for one in (None, growth)
    )
    assert left.verdict == "disagree" and "20 of 20 runs are above" in str(left)
    assert near.verdict == "agree" and "say little" in str(near)


def test_a_step_that_is_not_finite_says_nothing() -> None:
    growth = np.where(STEPS == 7, np.inf, 1.0)
    report = _compared(_trajectory(growth=growth, kind="prediction"), 1000, shift=np.where(STEPS == 8, 0.1, 0.0))
    assert report.verdict == "disagree" and "say little" in str(report)


def test_a_prediction_says_that_its_limit_is_far() -> None:
    assert large_magnification(_trajectory(growth=np.ones(len(STEPS)))) == large_magnification(_trajectory()) == ()
    (note,) = large_magnification(_trajectory(growth=SPIKE))
    assert "at step 7: means over runs are off by some 4e+02/d there" in note

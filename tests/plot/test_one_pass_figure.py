"""The figure of one pass shows the curves that it was given."""

from typing import Any

import numpy as np
import pytest

import dyntheory as dt
from dyntheory import plot

TIMES = np.linspace(0.0, 10.0, 41)
RANDOM = np.random.default_rng(0)


def _result(**provenance: Any) -> dt.OnlineTrajectory:
    curves: dict[str, Any] = {
        "excess_error": np.exp(-TIMES),
        "test_error": np.exp(-TIMES),
        "weight_overlap": RANDOM.normal(size=(41, 2, 2)),
        "teacher_overlap": RANDOM.normal(size=(41, 2, 3)),
        "teacher_moment": np.eye(3),
    }
    bars: dict[str, Any] = {name: np.abs(value) for name, value in curves.items()}
    return dt.OnlineTrajectory(
        TIMES, **curves, standard_error=dt.OnlineTrajectory(TIMES, **bars), provenance=provenance
    )


def test_lines_are_the_prediction_and_points_the_runs() -> None:
    theory, runs = _result(), _result(num_features=500)
    figure = plot.one_pass(theory, runs, title="one pass")
    left, right = figure.axes
    legend: Any = left.get_legend()
    np.testing.assert_array_equal(left.lines[0].get_ydata(), theory.excess_error)
    assert left.get_yscale() == "log" and "runs, d = 500" in [one.get_text() for one in legend.get_texts()]
    drawn = [np.asarray(line.get_ydata()) for line in right.lines]
    for curve in (*theory.teacher_overlap.reshape(41, -1).T, theory.weight_overlap[:, 0, 0]):
        assert any(len(one) == 41 and np.array_equal(one, curve) for one in drawn)
    assert any(len(one) == 21 and one[0] == runs.teacher_overlap[0, 1, 2] for one in drawn)


def test_a_result_without_overlaps_is_refused() -> None:
    with pytest.raises(ValueError, match="`theory` must have"):
        plot.one_pass(dt.OnlineTrajectory(TIMES, excess_error=np.ones(41)))

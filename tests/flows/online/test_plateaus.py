"""Plateaus are found where they are, their length follows the start, and runs are timed one by one."""

from typing import Any

import numpy as np
import pytest

import dyntheory as dt
from tests.flows.online.cases import KEY, PHYSICS, committee_head, law_of

GRID = np.linspace(0.0, 220.0, 441)


def _solved(preference: float) -> dt.OnlineTrajectory:
    start = dt.FirstLayer(0.3 * np.eye(2), preference * np.array([[1.0, 0.4], [0.2, 0.7]]))
    given: dict[str, Any] = {"learning_rate": 1.5, "time": GRID, "head": committee_head(2), "head_rate": 0.0}
    return dt.online.predict(law_of(PHYSICS, 2), dt.MLP((2,), PHYSICS), key=KEY, first_layer=start, **given)


def test_the_length_grows_with_the_logarithm_of_the_start() -> None:
    found = [dt.online.find_plateaus(_solved(size))[0] for size in (1e-2, 1e-3, 1e-4)]
    steps = np.diff([one.length for one in found])
    np.testing.assert_allclose(steps[0], steps[1], rtol=0.03)
    levels = np.array([one.level for one in found])
    np.testing.assert_allclose(levels, levels[-1], rtol=2e-3)
    specialised = _solved(1e-2).specialisation
    assert specialised[20] < 0.02 and specialised[-1] > 0.4
    escape = dt.online.escape_times(_solved(1e-2), level=0.5 * found[0].level).times
    assert escape.shape == (1,) and found[0].end < escape[0] < found[0].end + 20


def test_a_curve_without_plateau_has_none() -> None:
    times = np.linspace(0.0, 50.0, 501)
    for error in (np.exp(-times), 1.0 / (1.0 + times), 0.1 + np.exp(-times)):
        assert dt.online.find_plateaus(dt.OnlineTrajectory(times, excess_error=error)) == ()


def test_two_plateaus_are_two() -> None:
    times = np.linspace(0.0, 200.0, 4001)
    drops = 0.9 / (1 + np.exp(times - 5)) + 0.09 / (1 + np.exp(times - 60)) + 0.009 / (1 + np.exp(times - 130)) + 1e-5
    first, second = dt.online.find_plateaus(dt.OnlineTrajectory(times, excess_error=drops))
    np.testing.assert_allclose([first.level, second.level], [0.099, 0.009], rtol=0.02)
    assert (
        50 < first.end < 60 < second.start < 70 < 120 < second.end < 130 and second.length == second.end - second.start
    )


def test_runs_are_timed_one_by_one() -> None:
    times = np.linspace(0.0, 4.0, 9)
    curves = np.exp(-np.outer([1.0, 2.0, 0.1], times))
    runs = dt.OnlineTrajectory(
        times, excess_error=curves.mean(axis=0), per_run=dt.OnlineTrajectory(times, excess_error=curves)
    )
    found = dt.online.escape_times(runs, level=np.exp(-2.0)).times
    np.testing.assert_allclose(found, [2.0, 1.0, np.inf], rtol=1e-9)
    assert dt.online.escape_times(runs, level=2.0).times.tolist() == [0.0, 0.0, 0.0]


def test_bad_input_is_named() -> None:
    short = dt.OnlineTrajectory(np.arange(3.0), excess_error=np.ones(3))
    for call, message in (
        (lambda: dt.online.find_plateaus(short), "`found` must have"),
        (lambda: dt.online.find_plateaus(short, width=1.0), "`width` must be below 1"),
        (lambda: dt.online.escape_times(dt.OnlineTrajectory(np.arange(3.0)), level=1.0), "`found` must have"),
        (lambda: dt.online.escape_times(short, level=0.0), "`level` must be positive"),
        (lambda: short.z_scores(short), "no standard errors"),
    ):
        with pytest.raises(ValueError, match=message):
            call()

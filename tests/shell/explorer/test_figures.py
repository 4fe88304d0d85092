"""The data behind the figures: bands of two standard errors, gaps where nothing is finite, scores at the edge."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

pytest.importorskip("bokeh", reason="the extra `explore` is not installed")

import dyntheory as dt
from dyntheory.shell.explorer.figures import METRICS, CurvesFigure, ScoresFigure, spans_decades
from dyntheory.shell.explorer.texts import TEXTS
from tests.shell.conftest import trajectory_of


@pytest.mark.parametrize("language", TEXTS)
@pytest.mark.parametrize("is_log", [False, True])
def test_curves_have_bands_and_points_bars(language: str, is_log: bool) -> None:
    made = CurvesFigure(TEXTS[language], is_log=is_log)
    made.show(trajectory_of(1.0, 0.01), trajectory_of(2.0, 0.1))
    theory, simulation = (made.sources[side, "test_error"].data for side in ("theory", "simulation"))
    np.testing.assert_allclose([theory["low"][0], theory["value"][0], theory["high"][0]], [0.98, 1.0, 1.02])
    np.testing.assert_allclose([simulation["low"][0], simulation["high"][0]], [1.8, 2.2])
    assert all(item.visible for item in made.figure.legend[0].items)
    made.show(trajectory_of(), None)
    assert len(made.sources["simulation", "test_error"].data["step"]) == 0
    assert [item.visible for item in made.figure.legend[0].items] == [True, False] * len(METRICS)


def test_what_is_not_finite_is_a_gap_and_bands_stay_above_zero_on_a_logarithmic_axis() -> None:
    made = CurvesFigure(TEXTS["en"], is_log=True)
    curve = dataclasses.replace(trajectory_of(1.0, 0.9), train_error=np.array([1.0, np.inf, np.nan]))
    made.show(curve, None)
    shown = made.sources["theory", "train_error"].data
    assert np.isfinite(shown["value"]).tolist() == [True, False, False]
    assert float(np.asarray(shown["low"])[0]) > 0
    assert not np.isinf(np.concatenate([shown[name] for name in ("value", "low", "high")])).any()


def test_decades_are_seen() -> None:
    assert not spans_decades([]) and not spans_decades([trajectory_of(1.0)])
    assert spans_decades([trajectory_of(1.0), trajectory_of(31.0)])
    assert not spans_decades([trajectory_of(0.0), trajectory_of(31.0)])


def test_scores_stand_between_their_thresholds_and_infinite_ones_at_the_edge() -> None:
    made = ScoresFigure(TEXTS["en"])
    report = dt.compare(trajectory_of(), trajectory_of(1.01))
    made.show(report)
    np.testing.assert_allclose(made.sources["test_error"].data["value"], report.z["test_error"])
    edge = made.figure.y_range.end
    assert edge > report.threshold
    infinite = dataclasses.replace(report, z={**report.z, "test_error": np.array([0.0, np.inf, -np.inf])})
    made.show(infinite)
    low, high = made.figure.y_range.start, made.figure.y_range.end
    assert list(made.sources["test_error"].data["value"]) == [0.0, high, low]

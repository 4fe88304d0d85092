"""Simulations approach the limit as 1/d and scatter as 1/√d, and the extrapolated limit is the predicted one.

One step of least squares, α = n/d, e = w⁰ − w*, a = η/α, S = XᵀX/d. For Gaussian X exactly E S = α and
E S² = α² + α + α/d, so the expected test error is a limit plus c/d with nothing behind it:

    E‖(I − aS) e‖²/d + a² σ² E tr S/d + σ² = 2 ((1 − η)² + η²/α) + η² σ²/α + σ²  +  2 (η²/α)/d.

At the start test error − σ² is a mean of d independent squares: its spread is exactly ∝ d^{−1/2}.
"""

import importlib
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import pytest
from matplotlib.figure import Figure

import dyntheory as dt
from dyntheory.verbs.studies.finite_size import FiniteSize, analyse_sizes
from dyntheory.verbs.studies.size_fits import fit_limit, fit_power

ALPHA, RATE, NOISE = 1.0, 0.7, 0.5
LAW = dt.TeacherStudent(ALPHA, "linear", NOISE)
METHOD = dt.gradient_descent(dt.LinearModel(), optax.sgd, learning_rate=RATE)
EXACT_LIMIT = 2 * ((1 - RATE) ** 2 + RATE**2 / ALPHA) + RATE**2 * NOISE**2 / ALPHA + NOISE**2
EXACT_SLOPE = 2 * RATE**2 / ALPHA
OPTIONS: dict[str, Any] = {"num_steps": 1, "key": jax.random.key(0), "num_test_nodes": 2**3, "matrix": "dense"}


@pytest.fixture(scope="module")
def report() -> FiniteSize:
    return dt.finite_size(LAW, METHOD, sizes=(24, 6, 12), num_runs=8_000, allowance=0.0, **OPTIONS)


def test_limit_and_correction_are_the_exact_ones(report: FiniteSize) -> None:
    assert report.theory.test_error is not None
    np.testing.assert_allclose(report.theory.test_error[1], EXACT_LIMIT, rtol=1e-9)
    fit = report.limit["test_error"]
    assert fit.limit_error[1] < 0.01 * EXACT_LIMIT and fit.slope_error[1] < 0.15 * EXACT_SLOPE
    assert abs(fit.limit[1] - EXACT_LIMIT) < 4 * fit.limit_error[1]
    assert abs(fit.slope[1] - EXACT_SLOPE) < 4 * fit.slope_error[1]
    assert abs(fit.slope[0]) < 4 * fit.slope_error[0]
    assert fit.p_value.min() > 1e-3
    assert report.agreement.verdict == "agree"


def test_the_bias_has_slope_minus_one(report: FiniteSize) -> None:
    bias = report.bias["test_error"]
    assert np.isnan(bias.exponent[0])
    assert bias.error[1] < 0.15
    assert abs(bias.exponent[1] + 1) < 4 * bias.error[1]
    assert abs(bias.exponent[1] + 0.5) > 3 * bias.error[1] and abs(bias.exponent[1] + 2) > 3 * bias.error[1]


def test_the_fluctuation_has_slope_minus_one_half(report: FiniteSize) -> None:
    fluctuation = report.fluctuation["test_error"]
    assert fluctuation.error[0] < 0.02
    assert abs(fluctuation.exponent[0] + 0.5) < 4 * fluctuation.error[0]


def test_another_power_of_the_correction_misses_the_limit(report: FiniteSize) -> None:
    """1/√d in place of 1/d."""
    means, errors = (
        np.stack([np.asarray(side and side.test_error) for side in sides])
        for sides in (report.runs, [run.standard_error for run in report.runs])
    )
    wrong = fit_limit(report.sizes, means, errors, power=0.5)
    assert abs(wrong.limit[1] - EXACT_LIMIT) > 4 * wrong.limit_error[1]


def test_table_and_figure_tell_what_was_fitted(report: FiniteSize) -> None:
    table = report.table()
    assert f"{EXACT_LIMIT:.6g}" in table and "agree" in table and "bias exponent" in table
    figure = dt.plot.finite_size(report)
    assert isinstance(figure, Figure)
    left, right = figure.axes
    assert {"prediction", "extrapolated", "simulations"} <= set(left.get_legend_handles_labels()[1])
    np.testing.assert_array_equal(sorted(right.lines[0].get_xdata()), report.sizes)  # pyright: ignore
    with pytest.raises(ValueError, match=r"one of 0\.\.1"):
        dt.plot.finite_size(report, step=2)
    with pytest.raises(ValueError, match="test_loss"):
        dt.plot.finite_size(report, metric="test_loss")


def test_a_misfit_is_said(report: FiniteSize) -> None:
    from dataclasses import replace

    moved = [*report.runs[:1], replace(report.runs[1], test_error=1.1 * report.runs[1].test_error), *report.runs[2:]]
    bad = analyse_sizes(report.theory, moved)
    assert any("does not fit" in note for note in bad.notes) and not report.notes
    assert "does not fit" in bad.table()


def test_runs_without_errors_are_named(report: FiniteSize) -> None:
    """One run is not called a divergence."""
    from dataclasses import replace

    with pytest.raises(ValueError, match="has no standard error at some step: it needs two runs or more"):
        analyse_sizes(report.theory, [replace(report.runs[0], standard_error=None), *report.runs[1:]])


def test_fits_recover_what_they_are_given() -> None:
    """Against numpy's weighted least squares, and an exact power."""
    random = np.random.default_rng(0)
    sizes, errors = np.array([10, 20, 40, 80]), 0.1 + random.random((4, 3))
    means = random.standard_normal((4, 3))
    fit = fit_limit(sizes, means, errors)
    for t in range(3):
        design = np.stack([np.ones(4), 1 / sizes], axis=1) / errors[:, t : t + 1]
        covariance = np.linalg.inv(design.T @ design)
        limit, slope = covariance @ design.T @ (means[:, t] / errors[:, t])
        np.testing.assert_allclose([fit.limit[t], fit.slope[t]], [limit, slope], rtol=1e-10)
        found = [fit.limit_error[t], fit.slope_error[t]]
        np.testing.assert_allclose(found, np.sqrt(np.diag(covariance)), rtol=1e-10)
    exact = fit_power(sizes, -3 * sizes[:, None] ** -1.7, 0.01 * sizes[:, None] ** -1.7)
    np.testing.assert_allclose(exact.exponent, -1.7, rtol=1e-12)
    assert np.isnan(fit_power(sizes, np.ones((4, 1)), np.ones((4, 1))).exponent).all()
    without_spread = fit_limit(sizes, 2 + 5 / sizes[:, None], np.zeros((4, 1)))
    np.testing.assert_allclose([without_spread.limit, without_spread.slope], [[2], [5]], rtol=1e-12)
    assert without_spread.limit_error == 0


def test_every_size_has_a_checkpoint_of_its_own(
    report: FiniteSize, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []
    texts: list[str] = []

    def recorded(*args: Any, progress: Any, **options: Any) -> dt.Trajectory:
        asked.append(options)
        progress(1.0, "done")
        return report.runs[len(asked) - 1]

    monkeypatch.setattr(importlib.import_module("dyntheory.verbs.studies.finite_size"), "simulate", recorded)
    options: dict[str, Any] = {"checkpoint": tmp_path, "resume": True, "theory": report.theory, **OPTIONS}
    again = dt.finite_size(LAW, METHOD, sizes=(6, 12, 24), num_runs=8, progress=lambda f, t: texts.append(t), **options)
    assert [one["checkpoint"].name for one in asked] == ["features_6", "features_12", "features_24"]
    assert all(one["resume"] and one["keep_runs"] and one["num_runs"] == 8 for one in asked)
    assert texts == ["d = 6: done", "d = 12: done", "d = 24: done"]
    np.testing.assert_array_equal(again.limit["test_error"].limit, report.limit["test_error"].limit)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sizes": (10, 20)}, "at least 3 different"),
        ({"num_runs": 1}, "at least two for every head"),
        ({"resume": True}, "`resume` needs `checkpoint`"),
        ({"first_layer": dt.FirstLayer.from_weights(np.ones((9, 1)), np.ones((9, 1)))}, "which has one size"),
        ({"metrics": ("test_eror",)}, "Did you mean 'test_error'"),
    ],
)
def test_bad_input(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"sizes": (6, 12, 24), "num_runs": 4, **OPTIONS, **change}
    with pytest.raises(ValueError, match=message):
        dt.finite_size(LAW, METHOD, **arguments)

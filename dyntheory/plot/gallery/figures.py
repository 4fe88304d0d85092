"""The figures of the gallery: lines are formulas, points are least squares on random data with bars of ±2 s.e."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from dyntheory.closed_forms import RandomFeaturesRisk, Risk
from dyntheory.ground.kinds import check_arguments
from dyntheory.plot.gallery.data import (
    CURVE_NOISE,
    GRID,
    MEASURED_PENALTY,
    BenignOverfitting,
    DoubleDescent,
    EarlyStopping,
    RandomFeatures,
    benign_overfitting,
    double_descent,
    early_stopping,
    random_features,
)
from dyntheory.plot.style import STYLES, finish, new_figure

DARK, ORANGE, GREEN, VIOLET = (STYLES[name].color for name in ("train_error", "test_error", "train_loss", "test_loss"))
DASHES: tuple[Any, ...] = ("-", (0, (5.0, 2.0)), (0, (1.0, 1.5)), (0, (6.0, 1.5, 1.0, 1.5)))
GAMMA = r"features per sample $\gamma = d/n$"
ALPHA = r"samples per feature $\alpha = n/d$"


class Picture(NamedTuple):
    """How one entry of the gallery is made: its numbers, its figure, one line about it."""

    compute: Callable[[], Any]
    draw: Callable[[Any], Figure]
    summary: Callable[[Any], str]


def draw(data: DoubleDescent | BenignOverfitting | EarlyStopping | RandomFeatures) -> Figure:
    """Draw what `double_descent`, `benign_overfitting`, `early_stopping` or `random_features` returned.

    Args:
        data: the numbers.

    Returns:
        The figure; see `dyntheory.plot.save_figure`.

    Raises:
        TypeError: anything else.
    """
    check_arguments(draw, locals())
    return _picture_of(data).draw(data)


def summary(data: DoubleDescent | BenignOverfitting | EarlyStopping | RandomFeatures) -> str:
    """Return in one line what the figure shows.

    Args:
        data: the numbers.

    Raises:
        TypeError: anything that is not of the gallery.
    """
    check_arguments(summary, locals())
    return _picture_of(data).summary(data)


def _picture_of(data: Any) -> Picture:
    for kind, name in KINDS.items():
        if isinstance(data, kind):
            return PICTURES[name]
    raise TypeError(f"The gallery draws {', '.join(kind.__name__ for kind in KINDS)}, got {type(data).__name__}.")


def _draw_double_descent(data: DoubleDescent) -> Figure:
    figure = new_figure(9.6, 3.9)
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    below, gammas = data.features_per_sample < 1, data.features_per_sample
    parts = (("test_error", "test error", DARK), ("bias", "bias", GREEN), ("variance", "variance", ORANGE))
    for (name, label, color), dash in zip(parts, DASHES, strict=False):
        values = getattr(data.ridgeless, name)
        for side in (below, ~below):
            shown = np.where(values[side] > 0, values[side], np.nan)
            left.plot(gammas[side], shown, color=color, ls=dash, lw=1.6, label=label if side is below else None)
    measured = f"measured, $n = {data.num_samples}$"
    _points(left, data, 0, DARK, measured)
    for side in (below, ~below):
        right.plot(gammas[side], data.ridgeless.test_error[side], color="0.65", lw=1.2, label=None)
    right.plot([], [], color="0.65", lw=1.2, label="no penalty")
    for (penalty, risk), color, dash in zip(data.ridges.items(), (VIOLET, ORANGE, DARK), DASHES[::-1], strict=False):
        label = r"best $\lambda = \sigma^2\gamma$" if penalty is None else rf"$\lambda = {penalty:g}$"
        right.plot(gammas, risk.test_error, color=color, ls="-" if penalty is None else dash, lw=1.6, label=label)
    _points(right, data, 1, DARK, measured)
    _finish_peaks(left, right, GAMMA, "(a) minimum-norm least squares")
    left.legend(frameon=False, fontsize="small", loc="upper left")
    right.legend(frameon=False, fontsize="small", loc="upper right")
    return figure


def _plain(value: float, _: float) -> str:
    return f"{value:g}"


def _finish_peaks(left: Axes, right: Axes, xlabel: str, title: str) -> None:
    """Give both panels the axes of a peak at one."""
    for axes, text in ((left, title), (right, "(b) with a ridge penalty")):
        axes.axvline(1.0, color="0.4", ls=":", lw=1.0)
        axes.set(xscale="log", yscale="log", ylim=(0.02, 40), xlim=(0.085, 11))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(_plain)
        finish(axes, xlabel, "mean squared error", text)
    right.set_ylabel("")


def _points(axes: Axes, data: DoubleDescent | RandomFeatures, which: int, color: str, label: str | None) -> None:
    """Draw what was measured, but for errors that are zero to rounding."""
    mean = data.measured[which]
    shown = mean > 1e-9
    style: dict[str, Any] = {"ms": 4.5, "mfc": "white", "mew": 1.0, "elinewidth": 1.0, "capsize": 2.0}
    bars = 2 * data.standard_errors[which][shown]
    axes.errorbar(data.measured_at[shown], mean[shown], bars, fmt="o", color=color, label=label, zorder=5, **style)


def _largest_gap(data: DoubleDescent | RandomFeatures, which: int, risk: Risk | RandomFeaturesRisk) -> float:
    expected = np.interp(data.measured_at, data.features_per_sample, risk.test_error)
    return float(np.max(np.abs(data.measured[which] / expected - 1)))


def _summarize_double_descent(data: DoubleDescent) -> str:
    gaps = _largest_gap(data, 0, data.ridgeless), _largest_gap(data, 1, data.ridges[None])
    return (
        f"test error of least squares at γ = {data.measured_at[0]:g} … {data.measured_at[-1]:g}, n = "
        f"{data.num_samples}: largest relative difference from the formula {gaps[0]:.1%}, with the best ridge "
        f"{gaps[1]:.1%}"
    )


def _draw_benign_overfitting(data: BenignOverfitting) -> Figure:
    figure = new_figure(8.4, 5.6)
    panels = figure.subplots(2, 2, sharex=True, sharey=True)
    for axes, fit, letter in zip(panels.flat, data.fits, "abcd", strict=True):
        axes.plot(GRID, data.target, color=ORANGE, ls=DASHES[1], lw=1.6, label="target", zorder=3)
        axes.plot(data.inputs, data.labels, "o", color="0.55", ms=3.5, mew=0, label="60 noisy samples", zorder=2)
        axes.plot(GRID, fit.values, color=DARK, lw=1.3, label="fitted function", zorder=4)
        title = f"({letter}) {fit.num_parameters} parameters: train {_number(fit.train_error)}, "
        finish(axes, "$x$", "$f(x)$", title + f"test {_number(fit.test_error)}")
        axes.set(xlim=(-1, 1), ylim=(-2.4, 2.4), xticks=(-1, -0.5, 0, 0.5, 1))
    for axes in panels[:, 1]:
        axes.set_ylabel("")
    for axes in panels[0]:
        axes.set_xlabel("")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize="small")
    return figure


def _number(value: float) -> str:
    return "0" if value < 1e-12 else f"{value:.2g}" if value < 100 else f"{value:.0f}"


def _summarize_benign_overfitting(data: BenignOverfitting) -> str:
    errors = ", ".join(f"{fit.num_parameters}: {_number(fit.test_error)}" for fit in data.fits)
    return f"test error by number of parameters, {len(data.inputs)} samples of noise {CURVE_NOISE**2:.2g}: {errors}"


def _draw_early_stopping(data: EarlyStopping) -> Figure:
    figure = new_figure(9.6, 3.9)
    left, right = figure.subplots(1, 2)
    alphas, errors = data.samples_per_feature, data.curve.test_error
    highest = 4.0
    norm = LogNorm(float(errors.min()), highest)
    mesh = left.pcolormesh(alphas, data.times, errors.T, norm=norm, cmap="viridis", shading="gouraud", rasterized=True)
    levels = [0.4, 0.6, 0.8, 1.2, 1.5, 2.5]
    lines = left.contour(alphas, data.times, errors.T, levels=levels, colors="white", linewidths=0.7)
    left.plot(alphas, data.best_time, color=ORANGE, lw=1.8, label="best time to stop")
    left.legend(loc="upper left", fontsize="small", framealpha=0.9)
    bar = figure.colorbar(mesh, ax=left, extend="max")
    bar.add_lines(lines)
    bar.set_ticks([0.3, 0.5, 1.0, 2.0, 4.0], labels=["0.3", "0.5", "1", "2", "4"])
    bar.ax.yaxis.set_minor_formatter(NullFormatter())
    bar.ax.minorticks_off()
    shown = (
        (data.ridgeless_error, r"not stopped, $t \to \infty$", "0.55", DASHES[0]),
        (data.best_error, "stopped at the best time", ORANGE, DASHES[0]),
        (data.ridge_error, "ridge with the best penalty", DARK, DASHES[1]),
    )
    for values, label, color, dash in shown:
        right.plot(alphas, values, color=color, ls=dash, lw=1.6, label=label)
    right.set(yscale="log", ylim=(0.25, 8), xlim=(alphas[0], alphas[-1]), yticks=(0.3, 0.5, 1, 2, 5))
    right.yaxis.set_major_formatter(_plain)
    right.yaxis.set_minor_formatter(NullFormatter())
    right.legend(frameon=False, fontsize="small")
    for axes, ylabel, title in (
        (left, "time $t$ of gradient flow", "(a) test error"),
        (right, "test error", "(b) stopping against ridge"),
    ):
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(_plain)
        finish(axes, ALPHA, ylabel, title)
    left.set_yscale("log")
    return figure


def _summarize_early_stopping(data: EarlyStopping) -> str:
    gap = np.max(data.best_error / data.ridge_error - 1)
    return (
        f"gradient flow stopped at its best time is within {gap:.1%} of ridge with its best penalty, at every α shown"
    )


def _draw_random_features(data: RandomFeatures) -> Figure:
    figure = new_figure(9.6, 3.9)
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    ratio, bare = data.features_per_sample, data.risks[0.0]
    left.plot(ratio, bare.test_error, color=DARK, lw=1.6, label="test error")
    left.plot(
        ratio, np.where(ratio < 1, bare.train_error, np.nan), color=ORANGE, ls=DASHES[1], lw=1.6, label="training"
    )
    measured = f"measured, $d = {data.num_inputs}$"
    _points(left, data, 0, DARK, measured)
    _points(left, data, 1, ORANGE, None)
    for (penalty, risk), color, dash in zip(data.risks.items(), ("0.65", VIOLET, ORANGE), DASHES, strict=False):
        label = "no penalty" if penalty == 0 else rf"$\lambda = {penalty:g}$"
        right.plot(ratio, risk.test_error, color=color, ls=dash, lw=1.6, label=label)
    right.plot(ratio, data.best, color=DARK, lw=1.6, label=r"best $\lambda$")
    _points(right, data, 2, ORANGE, measured)
    _finish_peaks(left, right, "random features per sample $N/n$", "(a) minimum-norm fit")
    for axes in (left, right):
        axes.legend(frameon=False, fontsize="small", loc="upper left")
    return figure


def _summarize_random_features(data: RandomFeatures) -> str:
    gaps = [_largest_gap(data, which, data.risks[penalty]) for which, penalty in ((0, 0.0), (2, MEASURED_PENALTY))]
    return (
        f"test error on random ReLU features, d = {data.num_inputs}: largest relative difference from the formula "
        f"{gaps[0]:.1%} without penalty, {gaps[1]:.1%} at λ = {MEASURED_PENALTY:g}"
    )


PICTURES = {
    "double-descent": Picture(double_descent, _draw_double_descent, _summarize_double_descent),
    "benign-overfitting": Picture(benign_overfitting, _draw_benign_overfitting, _summarize_benign_overfitting),
    "early-stopping": Picture(early_stopping, _draw_early_stopping, _summarize_early_stopping),
    "random-features": Picture(random_features, _draw_random_features, _summarize_random_features),
}
KINDS = {
    DoubleDescent: "double-descent",
    BenignOverfitting: "benign-overfitting",
    EarlyStopping: "early-stopping",
    RandomFeatures: "random-features",
}

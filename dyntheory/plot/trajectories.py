"""Figures for papers: theory as lines with bands, simulation as points with bars.

Train and test differ in colour, in lightness, in the dashes of the line and in the shape of the
marker, so that no figure needs colour to be read. Figures are plain `matplotlib` objects made
without `pyplot`: nothing is shown, no global state is touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dyntheory.ground.checks import check_count
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.names import check_name
from dyntheory.ground.status import Outcome
from dyntheory.plot.style import STEP, STYLES, WIDTH, add_legend, figure_of, finish, new_figure, words
from dyntheory.results.agreement import Agreement
from dyntheory.results.finite_size_bias import size_of
from dyntheory.results.trajectory import CURVES, Preactivations, Trajectory

MOST_MARKERS = 26
LOG_RANGE = 30.0  # curves that span more than this factor get a logarithmic axis
NUM_QUANTILES = 41
NUM_BINS = 50
ROWS = "rows of finite runs"


def curves(
    theory: Trajectory,
    *runs: Trajectory,
    estimate: Trajectory | None = None,
    ax: Axes | None = None,
    metrics: Sequence[str] = ("train_error", "test_error"),
    logy: bool | None = None,
    title: str | None = None,
) -> Figure:
    """Draw predicted curves as lines and simulated ones as points.

    Bands and bars are ±2 standard errors. Long curves keep every step of the line and about 26
    points.

    Args:
        theory: drawn as lines.
        *runs: simulations, drawn as points; a curve that one of them lacks is left out.
        estimate: what `estimate` said about one real run, drawn as crosses.
        ax: where to draw; default: a figure of its own.
        metrics: any of train_loss, test_loss, train_error, test_error.
        logy: whether the error axis is logarithmic; default: when the curves are positive and span
            more than a factor 30.
        title: of the axes.

    Returns:
        The figure; see `save_figure`.

    Raises:
        ValueError: a metric is unknown, or nobody has it.
    """
    check_arguments(curves, locals())
    names = [check_name("metric", name, CURVES) for name in metrics]
    if not names:
        raise ValueError(f"`metrics` must name at least one of {', '.join(CURVES)}.")
    everybody = [theory, *runs, *([] if estimate is None else [estimate])]
    for name in names:
        if all(getattr(one, name) is None for one in everybody):
            raise ValueError(f"None of the trajectories has {name}: leave it out of metrics=(…).")
    axes = new_figure(5.4, 3.7).add_subplot() if ax is None else ax
    for name in names:
        style = STYLES[name]
        _draw_line(axes, theory, name, f"{words(name, names)}, theory")
        for number, run in enumerate(runs):
            marker = style.markers[number % len(style.markers)]
            label = f"{words(name, names)}, {_run_label(run)}"
            _draw_points(axes, run, name, label, marker, filled=number % 2 == 1)
        if estimate is not None:
            label = f"{words(name, names)}, estimate"
            _draw_points(axes, estimate, name, label, style.live, filled=True)
    if logy if logy is not None else _spans_decades(everybody, names):
        axes.set_yscale("log")
    _mark_divergence(axes, theory)
    kinds = dict.fromkeys(name.split("_")[1] for name in names)
    finish(axes, STEP, " and ".join(kinds), title)
    has_errors = any(one.standard_error is not None for one in everybody)
    add_legend(axes, alone=ax is None, heading="bars and bands: ±2 s.e." if has_errors else None)
    return figure_of(axes)


def agreement(report: Agreement, *, ax: Axes | None = None) -> Figure:
    """Draw the z-score of every point with the threshold that all of them are held against.

    Thin lines show where the finite-size allowance widens the tolerance beyond the threshold. A
    point of infinite z (a difference with no error) is drawn at the edge, as a triangle.

    Args:
        report: what `compare` returned.
        ax: where to draw; default: a figure of its own.

    Returns:
        The figure.
    """
    check_arguments(agreement, locals())
    axes = new_figure(5.4, 3.7).add_subplot() if ax is None else ax
    finite = [abs(z[np.isfinite(z)]).max(initial=0.0) for z in report.z.values()]
    edge = 1.3 * max(report.threshold, *finite)
    for name in report.z:
        _draw_scores(axes, report, name, edge)
    label = f"threshold {report.threshold:.2f}, level {report.level:g}"
    axes.axhline(report.threshold, color="black", ls=":", lw=1.2, label=label)
    axes.axhline(-report.threshold, color="black", ls=":", lw=1.2)
    axes.axhline(0.0, color="0.6", lw=0.8, zorder=1)
    axes.set_ylim(-edge, edge)
    worst = report.worst
    at = f"{words(worst.metric, [])} at step {worst.step}"
    title = f"{report.verdict} (worst point: {at}, z = {worst.z:+.2f})"
    finish(axes, STEP, "(simulation − theory) / s.e.", title)
    add_legend(axes, alone=ax is None, below=True)
    return figure_of(axes)


def preactivations(theory: Trajectory, runs: Trajectory, step: int, unit: int = 0) -> Figure:
    """Draw the limit law of one preactivation against the rows of finite runs.

    Left, quantiles against quantiles: the law is right when points lie on the diagonal; the band holds
    95 % of the quantiles of as many independent rows. Right, both densities.

    Args:
        theory: a prediction that kept its preactivations.
        runs: a simulation that kept its preactivations.
        step: how many updates were made.
        unit: which of the k units.

    Returns:
        The figure.

    Raises:
        ValueError: the step was not computed, preactivations were not kept, no such unit.
    """
    check_arguments(preactivations, locals())
    law, rows = _one_unit(theory, step, unit), _one_unit(runs, step, unit)
    figure = new_figure(7.0, 3.4)
    left, right = figure.subplots(1, 2)
    _draw_quantiles(left, law, rows)
    _draw_densities(right, law, rows)
    figure.suptitle(f"preactivation of unit {unit} after {step} updates", fontsize="medium")
    return figure


def _draw_scores(axes: Axes, report: Agreement, name: str, edge: float) -> None:
    style, z, steps = STYLES[name], report.z[name], report.steps
    with np.errstate(divide="ignore", invalid="ignore"):
        bound = report.tolerance[name] / report.standard_error[name]
    for sign in (1, -1):
        axes.plot(steps, sign * bound, color=style.color, ls=style.dash, lw=0.7, alpha=0.6)
    shown: dict[str, Any] = {"color": style.color, "mfc": "white", "ms": 3.5}
    label = words(name, [])
    axes.plot(steps, z, ls=style.dash, lw=0.8, marker=style.markers[0], label=label, **shown)
    beyond = np.isinf(z)
    if beyond.any():
        at_edge = np.sign(z[beyond]) * edge
        axes.plot(steps[beyond], at_edge, ls="none", marker="^", clip_on=False, **shown)


def _run_label(run: Trajectory) -> str:
    letter, size = size_of(run)
    label = str(run.provenance.get("kind", "simulation"))
    label += "" if size is None else f" ${letter} = {size}$"
    return f"{label} ({run.num_diverged} runs diverged)" if run.num_diverged else label


def _error(trajectory: Trajectory, metric: str) -> np.ndarray | None:
    return None if trajectory.standard_error is None else getattr(trajectory.standard_error, metric)


def _draw_line(axes: Axes, theory: Trajectory, metric: str, label: str) -> None:
    values, error = getattr(theory, metric), _error(theory, metric)
    if values is None:
        return
    style = STYLES[metric]
    axes.plot(theory.steps, values, color=style.color, ls=style.dash, lw=1.6, label=label, zorder=4)
    if error is not None:
        low, high = values - WIDTH * error, values + WIDTH * error
        axes.fill_between(theory.steps, low, high, color=style.color, alpha=0.25, lw=0, zorder=2)


def _draw_points(axes: Axes, run: Trajectory, metric: str, label: str, marker: str, *, filled: bool) -> None:
    values, error = getattr(run, metric), _error(run, metric)
    if values is None:
        return
    count = len(run.steps)
    at = np.unique(np.linspace(0, count - 1, min(count, MOST_MARKERS)).round().astype(int))
    color = STYLES[metric].color
    axes.errorbar(
        run.steps[at],
        values[at],
        yerr=None if error is None else WIDTH * error[at],
        fmt=marker,
        color=color,
        mfc=color if filled else "white",
        ms=4.5,
        mew=1.0,
        elinewidth=1.0,
        capsize=2.0,
        label=label,
        zorder=3,
    )


def _spans_decades(trajectories: Iterable[Trajectory], names: Iterable[str]) -> bool:
    found = [getattr(one, name) for name in names for one in trajectories]
    values = np.concatenate([curve for curve in found if curve is not None])
    values = values[np.isfinite(values)]
    return bool(values.size and values.min() > 0 and values.max() > LOG_RANGE * values.min())


def _mark_divergence(axes: Axes, theory: Trajectory) -> None:
    status = theory.status
    if status.code == Outcome.DIVERGED and status.step is not None:
        axes.axvline(status.step, color="0.4", ls=":", lw=1.0, label="theory diverged")


def _one_unit(trajectory: Trajectory, step: int, unit: int) -> Preactivations:
    found = trajectory.preactivations(step)
    unit = check_count("unit", unit, minimum=0)
    num_units = found.values.shape[1]
    if unit >= num_units:
        raise ValueError(f"`unit` must be below the number of units {num_units}, got {unit}.")
    order = np.argsort(found.values[:, unit])
    return Preactivations(found.values[order, unit], found.labels, found.weights[order])


def _quantiles(law: Preactivations, probabilities: np.ndarray) -> np.ndarray:
    """Return quantiles of sorted samples, each standing at the middle of its weight."""
    middle = np.cumsum(law.weights) - law.weights / 2
    return np.interp(probabilities, middle / law.weights.sum(), law.values)


def _draw_quantiles(axes: Axes, law: Preactivations, rows: Preactivations) -> None:
    """Draw quantiles at probabilities spaced as normal quantiles are, so that tails are seen."""
    from scipy.special import betaincinv, ndtr, ndtri

    count = len(rows.values)
    last = ndtri(1 - 0.5 / min(count, len(law.values)))
    at = ndtr(np.linspace(-last, last, NUM_QUANTILES))
    expected = _quantiles(law, at)
    ranks = (count * at + 0.5, count * (1 - at) + 0.5)
    low, high = (_quantiles(law, betaincinv(*ranks, edge)) for edge in (0.025, 0.975))
    axes.fill_between(expected, low, high, color="0.8", lw=0, label="95 % of independent rows", zorder=1)
    axes.plot(expected, expected, color="black", lw=1.0, label="theory", zorder=2)
    color = STYLES["train_error"].color
    shown: dict[str, Any] = {"color": color, "mfc": "white", "ls": "none", "ms": 4, "zorder": 3}
    axes.plot(expected, _quantiles(rows, at), marker="o", label=ROWS, **shown)
    finish(axes, "quantile of the limit law", "quantile of the rows")
    axes.legend(frameon=False, fontsize="small", loc="upper left")


def _draw_densities(axes: Axes, law: Preactivations, rows: Preactivations) -> None:
    low = min(law.values[0], rows.values[0])
    bins = np.linspace(low, max(law.values[-1], rows.values[-1]), NUM_BINS + 1)
    drawn = ((rows, ROWS, "0.75", True), (law, "theory", STYLES["train_error"].color, False))
    highest = 0.0
    for samples, label, color, fill in drawn:
        height, _ = np.histogram(samples.values, bins, weights=samples.weights, density=True)
        axes.stairs(height, bins, fill=fill, color=color, lw=1.4, label=label)
        highest = max(highest, float(height.max()))
    axes.set_ylim(0, 1.3 * highest)
    finish(axes, "preactivation $h$", "density")
    axes.legend(frameon=False, fontsize="small", loc="upper left")

"""Figures for papers: theory as lines with bands, simulation as points with bars.

Train and test differ in colour, in lightness, in the dashes of the line and in the shape of the
marker, so that no figure needs colour to be read. Figures are plain `matplotlib` objects made
without `pyplot`: nothing is shown, no global state is touched.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from dyntheory._checks import check_count, check_name
from dyntheory.agreement import Agreement
from dyntheory.files import replacing
from dyntheory.trajectory import CURVES, Preactivations, Trajectory

WIDTH = 2.0  # half-width of bands and bars, in standard errors
MOST_MARKERS = 26
LOG_RANGE = 30.0  # curves that span more than this factor get a logarithmic axis
NUM_QUANTILES = 200
NUM_BINS = 50
METADATA: dict[str, dict[str, Any]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None},
    ".pdf": {"CreationDate": None},
}  # a figure depends on what it shows, not on when it was drawn


@dataclasses.dataclass(frozen=True)
class Style:
    """How one curve looks.

    Args:
        color: of line and markers; dark against light, so that grey tells them apart.
        dash: of the theory line.
        markers: of the simulations, one after the other.
        live: marker of an estimate from one real run.
    """

    color: str
    dash: str | tuple[int, tuple[float, ...]]
    markers: str
    live: str


STYLES = {
    "train_error": Style("#0b3c78", "-", "o^v", "x"),
    "test_error": Style("#e8743b", (0, (5.0, 2.0)), "sD<", "+"),
    "train_loss": Style("#3f7f5f", (0, (1.0, 1.5)), "X*>", "1"),
    "test_loss": Style("#b48ac8", (0, (6.0, 1.5, 1.0, 1.5)), "P8H", "2"),
}


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
    names = [check_name("metric", name, CURVES) for name in metrics]
    everybody = [theory, *runs, *([] if estimate is None else [estimate])]
    for name in names:
        if all(getattr(one, name) is None for one in everybody):
            raise ValueError(f"None of the trajectories has {name}: leave it out of metrics=(…).")
    axes = _new_axes() if ax is None else ax
    for name in names:
        style = STYLES[name]
        _draw_line(axes, theory, name, f"{_words(name, names)}, theory")
        for number, run in enumerate(runs):
            marker = style.markers[number % len(style.markers)]
            label = f"{_words(name, names)}, {_run_label(run)}"
            _draw_points(axes, run, name, label, marker, filled=number % 2 == 1)
        if estimate is not None:
            label = f"{_words(name, names)}, estimate"
            _draw_points(axes, estimate, name, label, style.live, filled=True)
    if logy if logy is not None else _spans_decades(everybody, names):
        axes.set_yscale("log")
    _mark_divergence(axes, theory)
    kinds = dict.fromkeys(name.split("_")[1] for name in names)
    _finish(axes, "step $t$", " and ".join(kinds), title)
    axes.legend(frameon=False, fontsize="small")
    return cast(Figure, axes.figure.figure)


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
    axes = _new_axes() if ax is None else ax
    finite = [abs(z[np.isfinite(z)]).max(initial=0.0) for z in report.z.values()]
    edge = 1.25 * max(report.threshold, *finite)
    for name, z in report.z.items():
        style = STYLES[name]
        with np.errstate(divide="ignore", invalid="ignore"):
            bound = report.tolerance[name] / report.standard_error[name]
        for sign in (1, -1):
            axes.plot(report.steps, sign * bound, color=style.color, ls=style.dash, lw=0.8)
        shown = {"color": style.color, "ls": "none", "mfc": "white"}
        axes.plot(report.steps, z, marker=style.markers[0], ms=4, label=_words(name, []), **shown)
        beyond = np.isinf(z)
        axes.plot(report.steps[beyond], np.sign(z[beyond]) * edge, marker="^", clip_on=False, **shown)
    for sign in (1, -1):
        label = f"|z| = {report.threshold:.2f}, level {report.level:g}" if sign == 1 else None
        axes.axhline(sign * report.threshold, color="black", ls=":", lw=1.2, label=label)
    axes.axhline(0.0, color="0.6", lw=0.8, zorder=1)
    axes.set_ylim(-edge, edge)
    worst = report.worst
    verdict = f"{report.verdict} (worst: {worst.metric} at step {worst.step}, z = {worst.z:+.2f})"
    _finish(axes, "step $t$", "(simulation − theory) / s.e.", verdict)
    axes.legend(frameon=False, fontsize="small", ncols=3, loc="lower left")
    return cast(Figure, axes.figure.figure)


def preactivations(theory: Trajectory, runs: Trajectory, step: int, unit: int = 0) -> Figure:
    """Draw the limit law of one preactivation against the rows of finite runs.

    Left, quantiles against quantiles: the law is right when points lie on the diagonal; the band is
    ±2 standard errors of the quantiles of as many independent rows. Right, both densities.

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
    law, rows = _one_unit(theory, step, unit), _one_unit(runs, step, unit)
    figure = _new_figure((7.0, 3.4))
    left, right = figure.subplots(1, 2)
    _draw_quantiles(left, law, rows)
    _draw_densities(right, law, rows)
    figure.suptitle(f"preactivation of unit {unit} after {step} updates", fontsize="medium")
    return figure


def save_figure(fig: Figure, path: str | Path, *, force: bool = False) -> Path:
    """Write a figure as PNG, SVG or PDF, whole or not at all.

    Args:
        fig: the figure.
        path: its suffix chooses the format.
        force: whether an existing file may be replaced.

    Returns:
        The path.

    Raises:
        FileExistsError: the file exists and `force` is False.
        FileNotFoundError: its directory does not exist.
        ValueError: the suffix is none of .png, .svg, .pdf.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in METADATA:
        raise ValueError(f"The name of a figure must end in {', '.join(METADATA)}, got '{path}': change the end.")
    settings = {"svg.hashsalt": "dyntheory", "pdf.fonttype": 42}
    with replacing(path, force=force) as beside, matplotlib.rc_context(settings):
        fig.savefig(beside, format=suffix[1:], dpi=200, metadata=METADATA[suffix])
    return path


def _new_figure(size: tuple[float, float]) -> Figure:
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _new_axes() -> Axes:
    return _new_figure((5.4, 3.7)).add_subplot()


def _finish(axes: Axes, xlabel: str, ylabel: str, title: str | None) -> None:
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    if title is not None:
        axes.set_title(title, fontsize="medium")
    axes.spines[["top", "right"]].set_visible(False)


def _words(metric: str, among: Sequence[str]) -> str:
    """Return "train" where the axis says the rest, else "train error"."""
    one_kind = len({name.split("_")[1] for name in among}) == 1
    return metric.split("_")[0] if one_kind else metric.replace("_", " ")


def _run_label(run: Trajectory) -> str:
    size = run.provenance.get("num_features")
    label = str(run.provenance.get("kind", "simulation"))
    label += "" if size is None else f" $d = {size}$"
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
    if status.code == "diverged" and status.step is not None:
        axes.axvline(status.step, color="0.4", ls=":", lw=1.0, label="theory diverges")


def _one_unit(trajectory: Trajectory, step: int, unit: int) -> Preactivations:
    found = trajectory.preactivations(step)
    check_count("unit", unit, minimum=0)
    num_units = found.values.shape[1]
    if unit >= num_units:
        raise ValueError(f"`unit` must be below the number of units {num_units}, got {unit}.")
    order = np.argsort(found.values[:, unit])
    return Preactivations(found.values[order, unit], found.labels, found.weights[order])


def _quantiles(law: Preactivations, probabilities: np.ndarray) -> np.ndarray:
    """Return quantiles of sorted, weighted samples, each sample standing at the middle of its weight."""
    middle = np.cumsum(law.weights) - law.weights / 2
    return np.interp(probabilities, middle / law.weights.sum(), law.values)


def _draw_quantiles(axes: Axes, law: Preactivations, rows: Preactivations) -> None:
    count = min(NUM_QUANTILES, len(rows.values))
    at = (np.arange(count) + 0.5) / count
    expected, style = _quantiles(law, at), STYLES["train_error"]
    width = WIDTH * np.sqrt(at * (1 - at) / len(rows.values))
    low, high = (_quantiles(law, np.clip(at + sign * width, 0, 1)) for sign in (-1, 1))
    axes.fill_between(expected, low, high, color="0.8", lw=0, label="±2 s.e.", zorder=1)
    axes.plot(expected, expected, color="black", lw=1.0, label="theory", zorder=2)
    shown = {"color": style.color, "mfc": "white", "ls": "none", "ms": 3.5, "zorder": 3}
    axes.plot(expected, _quantiles(rows, at), marker="o", label=_ROWS, **shown)
    _finish(axes, "quantile of the limit law", "quantile of the rows", None)
    axes.legend(frameon=False, fontsize="small")


_ROWS = "rows of finite runs"


def _draw_densities(axes: Axes, law: Preactivations, rows: Preactivations) -> None:
    low = min(law.values[0], rows.values[0])
    bins = np.linspace(low, max(law.values[-1], rows.values[-1]), NUM_BINS + 1)
    for samples, label in ((rows, _ROWS), (law, "theory")):
        height, _ = np.histogram(samples.values, bins, weights=samples.weights, density=True)
        fill = label == _ROWS
        color = "0.75" if fill else STYLES["train_error"].color
        axes.stairs(height, bins, fill=fill, color=color, lw=1.4, label=label)
    _finish(axes, "preactivation $h$", "density", None)
    axes.legend(frameon=False, fontsize="small")

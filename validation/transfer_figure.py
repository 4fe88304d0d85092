"""The figure of `transfer`: test error over learning rates, by size above and by width below."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from dyntheory.plot.style import WIDTH, new_figure
from validation.transfer_cases import MEAN_FIELD, STANDARD, Case

MARKERS = "osD^vPX"
HIGHEST = 0.9  # an error above that of saying zero, 0.48, by far: training is about to diverge


def figure_of(sizes: Mapping[str, Case], widths: Mapping[str, Mapping[int, Case]], width_size: int) -> Figure:
    """Draw four panels: SGD in our numbers, Adam in those of a flax script, both scalings."""
    figure = new_figure(8.6, 6.6)
    above, below = figure.subplots(2, 2)
    _by_size(above[0], sizes["sgd"], is_flax=False, title="SGD: the same number on W and on the flax kernel")
    _by_size(above[1], sizes["adam"], is_flax=True, title="Adam: its number on the flax kernel falls as $1/\\sqrt{d}$")
    titles = {MEAN_FIELD: "mean field: $\\eta k$ on W, $\\eta/k$ on the head", STANDARD: "standard: $\\eta$ on both"}
    for axes, (name, title) in zip(below, titles.items(), strict=True):
        _by_width(axes, widths[name], width_size, title)
    low = min(np.nanmin(case.theory) for name in titles for case in widths[name].values() if case.is_predicted)
    for axes in below:
        axes.set_ylim(low - 0.04, HIGHEST)
    for axes in (above[0], below[0]):
        axes.set_ylabel("test error after the last step")
    return figure


def _finish(axes: Any, label: str, title: str) -> None:
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(label)
    axes.set_title(title, fontsize="medium")
    axes.legend(frameon=False, fontsize="small")


def _colors(count: int) -> np.ndarray:
    return matplotlib.colormaps["viridis"](np.linspace(0.0, 0.85, count))


def _points(axes: Any, rates: np.ndarray, runs: np.ndarray, *, marker: str, color: Any, label: str) -> None:
    """Draw means of runs, but of rates at which some of them are about to diverge."""
    kept = (np.where(np.isfinite(runs), runs, np.inf) < HIGHEST).all(axis=1)
    means, errors = runs[kept].mean(axis=1), runs[kept].std(axis=1, ddof=1) / np.sqrt(runs.shape[1])
    look: dict[str, Any] = {"fmt": marker, "ms": 4.5, "mfc": "white", "capsize": 2.0, "lw": 0.9}
    axes.errorbar(rates[: len(runs)][kept], means, yerr=WIDTH * errors, color=color, label=label, **look)


def _by_size(axes: Any, case: Case, *, is_flax: bool, title: str) -> None:
    for color, marker, (d, runs) in zip(_colors(len(case.runs)), MARKERS, case.runs.items(), strict=False):
        rates = case.rates / np.sqrt(d) if is_flax else case.rates
        if is_flax:
            axes.plot(rates, case.theory, color=color, lw=1.0)
        _points(axes, rates, runs, marker=marker, color=color, label=f"d = {d}")
    if not is_flax:
        axes.plot(case.rates, case.theory, color="0.2", lw=1.0, label="theory", zorder=0)
    _finish(axes, "$\\eta$ on the kernel of the first layer" if is_flax else "$\\eta$", title)


def _by_width(axes: Any, cases: Mapping[int, Case], size: int, title: str) -> None:
    for color, marker, (k, case) in zip(_colors(len(cases)), MARKERS, cases.items(), strict=False):
        values = case.theory if case.is_predicted else case.means(size)
        if case.is_predicted:
            axes.plot(case.rates, case.theory, color=color, lw=1.0)
        face = color if case.is_predicted else "white"
        axes.plot(case.rates[case.best], values[case.best], "*", color=color, mfc=face, ms=12, zorder=3)
        label = f"k = {k}" if case.is_predicted else f"k = {k}, runs only"
        _points(axes, case.rates, case.runs[size], marker=marker, color=color, label=label)
    _finish(axes, "$\\eta$ (stars: the best one)", title)

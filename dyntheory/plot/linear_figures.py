"""The picture of a deep linear network: modes that rise one after the other, and directions that are right before."""

from __future__ import annotations

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dyntheory.flows.deep_linear.results import LinearPaths
from dyntheory.ground.kinds import check_arguments
from dyntheory.plot.style import WIDTH, add_legend, figure_of, finish, new_figure

MARKERS = 18


def mode_curves(
    theory: LinearPaths, *runs: LinearPaths, ax: Axes | None = None, alignment: bool = False, title: str | None = None
) -> Figure:
    """Draw the strength of every mode along time, and networks beside it.

    Lines are the theory, points means over runs with bars of ±2 standard errors, or single runs without bars. Thin
    vertical lines stand where a mode reaches half of its strength.

    Args:
        theory: from `flow` or `descend` of `dyntheory.deep_linear`.
        *runs: from `simulate`.
        ax: where to draw; default a figure of its own.
        alignment: whether to draw the alignment of modes in place of their strengths.
        title: of the axes.

    Returns:
        The figure; see `save_figure`.
    """
    check_arguments(mode_curves, locals())
    axes = new_figure(5.4, 3.6).add_subplot() if ax is None else ax
    name = "alignment" if alignment else "strengths"
    count = len(theory.target_strengths)
    colors = matplotlib.colormaps["viridis"](np.linspace(0.0, 0.85, count))
    for mode, color in enumerate(colors):
        label = f"$s$ = {theory.target_strengths[mode]:.3g}"
        axes.plot(theory.times, getattr(theory, name)[0, :, mode], color=color, lw=1.5, label=label)
        if not alignment and np.isfinite(theory.half_times[0, mode]):
            axes.axvline(theory.half_times[0, mode], color=color, lw=0.6, ls=":")
        for one in runs:
            _points(axes, one, getattr(one, name)[:, :, mode], color)
    finish(axes, "time $t$", "alignment with the mode" if alignment else "strength of the mode", title)
    add_legend(axes, alone=ax is None)
    return figure_of(axes)


def _points(axes: Axes, runs: LinearPaths, values: np.ndarray, color: np.ndarray) -> None:
    kept = np.unique(np.linspace(0, len(runs.times) - 1, MARKERS).round().astype(int))
    mean = values.mean(axis=0)[kept]
    errors = None if runs.num_runs < 2 else WIDTH * values.std(axis=0, ddof=1)[kept] / np.sqrt(runs.num_runs)
    axes.errorbar(runs.times[kept], mean, errors, fmt="o", color=color, mfc="white", ms=3.5, lw=0.9)

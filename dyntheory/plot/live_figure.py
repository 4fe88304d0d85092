"""The figure of one run: its training error, the estimate on fresh rows, and where to stop."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dyntheory.ground.kinds import check_arguments
from dyntheory.plot.style import STEP, STYLES, WIDTH, add_legend, figure_of, finish, new_figure
from dyntheory.results.trajectory import Trajectory


def live(run: Trajectory, *, ax: Axes | None = None, title: str | None = None) -> Figure:
    """Draw what `estimate` returned: training error, estimate with ±2 standard errors, the step to stop at.

    Args:
        run: an estimate; its held-out error is drawn where there is one.
        ax: where to draw; default: a figure of its own.
        title: of the axes.

    Returns:
        The figure.

    Raises:
        ValueError: a trajectory without train or test error.
    """
    check_arguments(live, locals())
    if run.train_error is None or run.test_error is None:
        raise ValueError("The trajectory has no train or test error to draw: pass what `estimate` returned.")
    axes = new_figure(5.4, 3.7).add_subplot() if ax is None else ax
    train, test = STYLES["train_error"], STYLES["test_error"]
    axes.plot(run.steps, run.train_error, color=train.color, ls=train.dash, lw=1.4, label="training rows")
    axes.plot(run.steps, run.test_error, color=test.color, ls=test.dash, lw=1.6, label="fresh rows, estimated")
    error = None if run.standard_error is None else run.standard_error.test_error
    if error is not None:
        low, high = run.test_error - WIDTH * error, run.test_error + WIDTH * error
        axes.fill_between(run.steps, low, high, color=test.color, alpha=0.2, lw=0)
    if run.held_out_error is not None:
        axes.plot(run.steps, run.held_out_error, "k.", ms=4, label="rows held out")
    if np.isfinite(run.test_error).any():
        axes.axvline(run.best_step, color="0.4", ls=":", lw=1.2, label=f"stop after {run.best_step} steps")
    finish(axes, STEP, "error", title)
    add_legend(axes, alone=ax is None, heading=None if error is None else "band: ±2 s.e.")
    return figure_of(axes)

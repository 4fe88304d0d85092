"""One pass over the data: errors and order parameters against time, theory as lines, runs as points."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dyntheory.flows.online.results import OnlineTrajectory
from dyntheory.ground.kinds import check_arguments
from dyntheory.plot.style import WIDTH, finish, new_figure

COLORS = ("#0b3c78", "#e8743b", "#3f7f5f", "#b48ac8", "#7a7a7a", "#c2a500")
DASHES = ("-", (0, (5.0, 2.0)), (0, (1.0, 1.5)), (0, (6.0, 1.5, 1.0, 1.5)))
MARKERS = "os^Dv"
MOST_POINTS = 21
TIME = r"time $\alpha$ = steps/$d$"


def one_pass(theory: OnlineTrajectory, *runs: OnlineTrajectory, title: str | None = None) -> Figure:
    """Draw a prediction of `dyntheory.online` with simulations: the error left, overlaps right.

    Right, solid and dashed lines of one colour are R_im, overlaps of student i with teachers m; Q_ii is dotted. Bars
    are ±2 standard errors.

    Args:
        theory: drawn as lines.
        *runs: simulations, drawn as points; of long ones some.
        title: of the figure.

    Returns:
        The figure; see `save_figure`.

    Raises:
        ValueError: a prediction without overlaps.
    """
    check_arguments(one_pass, locals())
    if theory.excess_error is None or theory.teacher_overlap is None:
        raise ValueError("`theory` must have an excess error and overlaps, as predictions have.")
    figure = new_figure(9.4, 3.6)
    left, right = figure.subplots(1, 2)
    _draw_error(left, theory, runs)
    _draw_overlaps(right, theory, runs)
    if title is not None:
        figure.suptitle(title, fontsize="medium")
    return figure


def _draw_error(axes: Axes, theory: OnlineTrajectory, runs: tuple[OnlineTrajectory, ...]) -> None:
    axes.plot(theory.times, theory.excess_error, color=COLORS[0], label="theory")
    for number, run in enumerate(runs):
        d = run.provenance.get("num_features")
        _points(axes, run, run.excess_error, "excess_error", (), COLORS[1], number, f"runs, d = {d}")
    axes.set_yscale("log")
    finish(axes, TIME, r"excess error $E(F-\varphi)^2$")
    axes.legend(frameon=False, fontsize="small")


def _draw_overlaps(axes: Axes, theory: OnlineTrajectory, runs: tuple[OnlineTrajectory, ...]) -> None:
    k, r = theory.teacher_overlap.shape[1:]
    for i in range(k):
        color = COLORS[i % len(COLORS)]
        for m in range(r):
            label = rf"$R_{{{i + 1}m}}$" if m == 0 else None
            values = theory.teacher_overlap[:, i, m]
            axes.plot(theory.times, values, color=color, ls=DASHES[m % 2], lw=1.3, label=label)
            for number, run in enumerate(runs):
                _points(axes, run, run.teacher_overlap[:, i, m], "teacher_overlap", (i, m), color, number)
        axes.plot(theory.times, theory.weight_overlap[:, i, i], color=color, ls=":", lw=1.1)
    axes.plot([], [], color="0.4", ls=":", lw=1.1, label=r"$Q_{ii}$")
    finish(axes, TIME, "overlaps")
    axes.legend(frameon=False, fontsize="small", ncols=2)


def _points(
    axes: Axes,
    run: OnlineTrajectory,
    values: np.ndarray,
    name: str,
    place: tuple[int, ...],
    color: str,
    number: int,
    label: str | None = None,
) -> None:
    shown = np.unique(np.linspace(0, len(run.times) - 1, min(MOST_POINTS, len(run.times))).round().astype(int))
    bars = None
    if run.standard_error is not None:
        bars = WIDTH * getattr(run.standard_error, name)[(slice(None), *place)][shown]
    axes.errorbar(
        *(run.times[shown], values[shown], bars),
        fmt=MARKERS[number % len(MARKERS)],
        ms=3.5,
        mfc="white",
        color=color,
        lw=0.9,
        label=label,
    )

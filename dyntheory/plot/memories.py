"""Pictures of memories: the phases of a Hopfield network, and how a memory recalls."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dyntheory.flows.memory import RecallPath, RecallRuns, phase_lines
from dyntheory.ground.checks import check_count
from dyntheory.ground.kinds import check_arguments
from dyntheory.plot.style import STEP, STYLES, WIDTH, add_legend, figure_of, finish, new_figure

COLDEST = 1e-3  # of the line on which symmetry breaks, which reaches zero with the load


def hopfield_phases(*, num_points: int = 80, ax: Axes | None = None, title: str | None = None) -> Figure:
    """Draw the phases of a Hopfield network over load and temperature, as replica symmetry has them.

    Below T_M patterns are retrieved by metastable states, below T_c by those of least free energy; above
    T_g = 1 + √α there is no order, and between T_M and T_g a spin glass. Below T_R retrieval breaks replica symmetry.

    Args:
        num_points: of each line.
        ax: where to draw; default a figure of its own.
        title: of the axes.

    Returns:
        The figure; see `save_figure`.

    Raises:
        ValueError: fewer than two points.
    """
    check_arguments(hopfield_phases, locals())
    count = check_count("num_points", num_points, minimum=2)
    axes = new_figure(5.0, 4.0).add_subplot() if ax is None else ax
    temperatures = np.concatenate([np.linspace(0.0, 0.999, count), np.geomspace(COLDEST, 0.025, count // 2)])
    temperatures = np.unique(temperatures)
    lines = phase_lines(temperatures)
    retrieved, best = STYLES["train_error"], STYLES["test_error"]
    axes.fill_betweenx(temperatures, 0, lines.retrieval, color=retrieved.color, alpha=0.10, lw=0)
    axes.fill_betweenx(temperatures, 0, lines.transition, color=best.color, alpha=0.25, lw=0)
    axes.plot(lines.retrieval, temperatures, color=retrieved.color, label="$T_M$: retrieval is a state below")
    axes.plot(lines.transition, temperatures, color=best.color, ls=best.dash, label="$T_c$: and the best one below")
    axes.plot(lines.symmetry_breaking, temperatures, color="0.5", lw=1.3, ls=":", label="$T_R$: symmetry breaks below")
    loads = np.linspace(0.0, 0.17**0.5, count) ** 2
    axes.plot(loads, 1 + np.sqrt(loads), color="black", label=r"$T_g = 1 + \sqrt{\alpha}$")
    axes.text(0.09, 1.0, "spin glass", ha="center")
    axes.text(0.03, 1.32, "paramagnet", ha="center")
    axes.text(0.012, 0.25, "retrieval", ha="left")
    axes.set_xlim(0, 0.17)
    axes.set_ylim(0, 1.55)
    finish(axes, r"load $\alpha = P/N$", "temperature $T$", title)
    axes.legend(frameon=False, fontsize="small", loc="center right", bbox_to_anchor=(1.0, 0.42))
    return figure_of(axes)


def recall(
    path: RecallPath, runs: RecallRuns | None = None, *, ax: Axes | None = None, title: str | None = None
) -> Figure:
    """Draw the share of wrong bits step by step, in the limit and in networks or channels of finite size.

    Args:
        path: what `iterate` returned.
        runs: what `simulate` returned for "message passing"; bars are ±2 standard errors.
        ax: where to draw; default a figure of its own.
        title: of the axes.

    Returns:
        The figure.
    """
    check_arguments(recall, locals())
    axes = new_figure(5.0, 3.4).add_subplot() if ax is None else ax
    style = STYLES["test_error"]
    axes.plot(path.steps, path.bit_error, color=style.color, ls=style.dash, label="limit")
    if runs is not None:
        shown = {"color": style.color, "mfc": "white", "capsize": 2.0}
        bars = WIDTH * np.nan_to_num(runs.bit_error_error)
        label = f"{runs.size} spins, {runs.num_runs} runs"
        axes.errorbar(runs.steps, runs.bit_error, yerr=bars, fmt=style.markers[0], label=label, **shown)
    finish(axes, STEP, "wrong bits", title)
    axes.set_ylim(bottom=0.0)
    add_legend(axes, alone=ax is None)
    return figure_of(axes)

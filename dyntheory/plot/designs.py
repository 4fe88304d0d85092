"""Pictures of designs: the numbers that were chosen beside those of the best constant choice."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dyntheory.ground.kinds import check_arguments
from dyntheory.plot.style import add_legend, figure_of, finish, new_figure
from dyntheory.problem.methods.schedules import RATE
from dyntheory.verbs.studies.sweep.designed import Choice, Design


def design(found: Design, *, ax: Axes | None = None, title: str | None = None) -> Figure:
    """Draw the numbers of a design: the rates of a schedule along the run, others by name.

    Args:
        found: from `dyntheory.design`.
        ax: where to draw; default a figure of its own.
        title: of the axes.

    Returns:
        The figure; see `save_figure`.
    """
    check_arguments(design, locals())
    axes = new_figure(5.0, 3.4).add_subplot() if ax is None else ax
    names = list(found.best.values)
    rates = [name for name in names if name.startswith(RATE)]
    drawn = rates or names
    places = np.linspace(0.0, 1.0, len(drawn)) if len(rates) > 1 else np.arange(len(drawn))
    choices = {"best": (found.best, "-", "black"), "best constant": (found.constant, "--", "0.5")}
    for label, (choice, line, color) in choices.items():
        if choice is not None:
            values = [choice.values[name] for name in drawn]
            axes.plot(
                places, values, line if rates else "", marker="o", color=color, label=f"{label}: {_error(choice)}"
            )
    if not rates:
        axes.set_xticks(places, [name.replace("_", " ") for name in drawn])
    finish(axes, "part of the run" if len(rates) > 1 else "", "learning rate" if rates else "value", title)
    low, high = axes.get_ylim()
    axes.set_ylim(min(0.0, low), 1.04 * high)
    add_legend(axes, alone=ax is None)
    return figure_of(axes)


def _error(choice: Choice) -> str:
    return f"test error {choice.predicted:.4f} ± {choice.standard_error:.4f}"

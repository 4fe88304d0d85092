"""The figure of `wide_networks`: losses, predicted and trained, and below how far from the prediction they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dyntheory.plot.style import STEP, WIDTH, finish, new_figure
from validation.wide_cases import LOSS_FLOOR, Outcomes, extrapolated

PANELS = ("L = 2, tanh", "L = 3, tanh, γ₀ = 2", "Adam, L = 2", "softmax, 3 classes")
DASHES = (":", "--", "-.")
THEORY, LIMIT = "0.2", "#e8743b"
SMALLEST: dict[str, Any] = {"fmt": "s", "ms": 5, "mfc": "none", "lw": 0.8, "color": "#22a884"}
LARGEST: dict[str, Any] = {"fmt": "D", "ms": 4, "mfc": "none", "lw": 0.8, "color": "#414487"}
LAST: dict[str, Any] = {"fmt": "o", "ms": 3.5, "lw": 0.8, "color": LIMIT, "label": "trained, extrapolated in 1/N"}


def figure_of(cases: Mapping[str, Outcomes], controls: Mapping[str, np.ndarray], control: str) -> Figure:
    """Draw a column for every case; that of the control has the predictions without memory."""
    names = [name for name in PANELS if name in cases]
    figure = new_figure(max(3.0 * len(names), 6.0), 6.0)
    above, below = figure.subplots(2, len(names), sharex="col", squeeze=False, height_ratios=(1.5, 1.0))
    handles: dict[str, Any] = {}
    for place, name in enumerate(names):
        axes, under = above[place], below[place]
        _losses(axes, cases[name])
        if name == control:
            for dash, (wrong, loss) in zip(DASHES, controls.items(), strict=True):
                axes.plot(loss, dash, color="#c0392b", lw=1.1, label=f"theory, {wrong}")
        _deviations(under, cases[name])
        finish(axes, "", "" if place else "training loss", f"({'abcd'[place]}) {name}")
        finish(under, STEP, "" if place else "trained over theory − 1 [%]")
        for one in (axes, under):
            handles |= dict(zip(*reversed(one.get_legend_handles_labels()), strict=True))
    columns = 4 if len(names) > 2 else 2
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=columns, frameon=False, fontsize="small")
    return figure


def _losses(axes: Axes, outcomes: Outcomes) -> None:
    theory, runs = outcomes.theory, outcomes.runs
    shown = _shown(theory)
    axes.plot(theory.steps, theory.train_loss, color=THEORY, lw=1.2, label="theory, infinite width")
    for look, width in ((SMALLEST, min(runs)), (LARGEST, max(runs))):
        bars = WIDTH * runs[width].standard_error.train_loss[shown]
        axes.errorbar(shown, runs[width].train_loss[shown], bars, label=f"trained, N = {width}", **look)
    limit = _limit(outcomes, shown)
    axes.errorbar(shown, limit[:, 0], WIDTH * limit[:, 1], **LAST)
    axes.set_yscale("log")
    low = max(LOSS_FLOOR * theory.train_loss[0], float(np.min(theory.train_loss)))
    axes.set_ylim(0.7 * low, 1.4 * theory.train_loss[0])


def _deviations(axes: Axes, outcomes: Outcomes) -> None:
    """Draw losses over the theory's, minus one, while they are above the floor."""
    theory, runs = outcomes.theory, outcomes.runs
    loss = np.asarray(theory.train_loss)
    shown = np.array([step for step in _shown(theory) if loss[step] > LOSS_FLOOR * loss[0]])
    steps = np.flatnonzero(loss > LOSS_FLOOR * loss[0])
    band = 100 * WIDTH * theory.standard_error.train_loss[steps] / loss[steps]
    axes.fill_between(steps, -band, band, color="0.85", lw=0, zorder=0, label="± 2 standard errors of the theory")
    axes.axhline(0.0, color=THEORY, lw=1.2)
    limit = _limit(outcomes, shown)
    points = [
        (look, runs[N].train_loss[shown], runs[N].standard_error.train_loss[shown])
        for look, N in ((SMALLEST, min(runs)), (LARGEST, max(runs)))
    ]
    for shift, (look, value, error) in zip((-0.2, 0.0, 0.2), [*points, (LAST, limit[:, 0], limit[:, 1])], strict=True):
        deviation, bars = value / loss[shown] - 1.0, WIDTH * error / loss[shown]
        axes.errorbar(shown + shift, 100 * deviation, 100 * bars, **look)


def _shown(theory: Any) -> np.ndarray:
    """Return the steps that have points."""
    last = int(theory.steps[-1])
    return np.arange(2 if last > 12 else 1, last + 1, max(1, last // 10))


def _limit(outcomes: Outcomes, steps: np.ndarray) -> np.ndarray:
    """Return extrapolated losses and their errors, a row a step."""
    runs = outcomes.runs
    widths = np.array(list(runs), float)
    values = np.array([one.train_loss[steps] for one in runs.values()]).T
    errors = np.array([one.standard_error.train_loss[steps] for one in runs.values()]).T
    return np.array([extrapolated(widths, *both)[:2] for both in zip(values, errors, strict=True)])

"""Pictures of perceptrons: how they learn a teacher, and how slowly descent finds the largest margin."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dyntheory.flows.perceptron import LogisticFlow, OnlineCurve
from dyntheory.ground.kinds import check_arguments
from dyntheory.plot.style import STYLES, WIDTH, add_legend, figure_of, finish, new_figure

DECADE = np.log(10.0)


def learned_online(
    theory: OnlineCurve,
    runs: OnlineCurve | None = None,
    *,
    label: str | None = None,
    color: str | None = None,
    ax: Axes | None = None,
    title: str | None = None,
) -> Figure:
    """Draw the test error of a perceptron against the examples per feature, the limit and runs of finite size.

    Args:
        theory: what `perceptron.predict` returned.
        runs: what `perceptron.simulate` returned; bars are ±2 standard errors.
        label: of the curve, for several of them on the same axes.
        color: of the curve.
        ax: where to draw; default a figure of its own.
        title: of the axes.

    Returns:
        The figure.
    """
    check_arguments(learned_online, locals())
    axes = new_figure(5.0, 3.4).add_subplot() if ax is None else ax
    chosen = STYLES["test_error"].color if color is None else color
    axes.plot(theory.times, theory.test_error, color=chosen, label="limit" if label is None else label)
    if runs is not None:
        bars = np.zeros_like(runs.test_error) if runs.standard_error is None else runs.standard_error.test_error
        shown: dict[str, Any] = {"color": chosen, "mfc": "white", "capsize": 2.0, "fmt": "o", "ms": 4.0}
        axes.errorbar(runs.times, runs.test_error, yerr=WIDTH * bars, label="runs" if label is None else None, **shown)
    finish(axes, r"examples per feature $\alpha$", "test error", title)
    add_legend(axes, alone=ax is None)
    return figure_of(axes)


def implicit_bias(flow: LogisticFlow, *, ax: Axes | None = None, title: str | None = None) -> Figure:
    """Draw how far the direction of a logistic flow is from the largest margin, against the decades of time.

    The dashed line is the direction of ŵ ln t + ρ̃, the dotted one its end c/ln t; both only where ρ̃ is known.

    Args:
        flow: what `perceptron.logistic_flow` returned.
        ax: where to draw; default a figure of its own.
        title: of the axes.

    Returns:
        The figure.
    """
    check_arguments(implicit_bias, locals())
    axes = new_figure(5.0, 3.4).add_subplot() if ax is None else ax
    late = flow.log_times > 0
    decades = flow.log_times[late] / DECADE
    axes.loglog(decades, flow.direction_error[late], "o", mfc="white", color=STYLES["train_error"].color, label="flow")
    bias = flow.bias
    if bias.is_complete and bias.offset is not None and bias.rate is not None:
        fine = np.geomspace(decades[0], decades[-1], 200)
        weights = fine[:, None] * DECADE * bias.weights + bias.offset
        direction = bias.weights / np.linalg.norm(bias.weights)
        off = np.linalg.norm(weights / np.linalg.norm(weights, axis=1, keepdims=True) - direction, axis=1)
        axes.loglog(fine, off, "--", color=STYLES["test_error"].color, label=r"$\hat w \ln t + \tilde\rho$")
        axes.loglog(fine, bias.rate / (fine * DECADE), ":", color="0.4", label=r"$c/\ln t$")
    finish(axes, r"$\log_{10} t$", r"$|w/|w| - \hat w/|\hat w||$", title)
    add_legend(axes, alone=ax is None)
    return figure_of(axes)

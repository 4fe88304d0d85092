"""The figure of a finite-size study: means against 1/d with the limit they point to, spreads against d."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, ScalarFormatter

from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.names import check_name
from dyntheory.plot.style import STYLES, WIDTH, finish, new_figure, words
from dyntheory.verbs.studies.finite_size import FiniteSize


def finite_size(report: FiniteSize, *, step: int | None = None, metric: str = "test_error") -> Figure:
    """Draw how the mean and the spread of runs approach the limit.

    Left, means over runs against 1/d, the fitted line limit + c/d, and the prediction at 1/d = 0. Right, the standard
    deviation of one run against d, both axes logarithmic, with the fitted power. Bars are ±2 standard errors.

    Args:
        report: what `finite_size` returned.
        step: which state; default the last.
        metric: which of the fitted curves.

    Returns:
        The figure.

    Raises:
        ValueError: a curve that was not fitted, or a step that was not computed.
    """
    check_arguments(finite_size, locals())
    check_name("metric", metric, report.limit)
    steps = report.theory.steps
    at = steps[-1] if step is None else step
    if at not in steps:
        raise ValueError(f"`step` must be one of {steps[0]}..{steps[-1]}, got {step!r}.")
    index = int(np.flatnonzero(steps == at)[0])
    figure = new_figure(7.0, 3.3)
    left, right = figure.subplots(1, 2)
    _draw_means(left, report, metric, index)
    _draw_spreads(right, report, metric, index)
    figure.suptitle(f"{words(metric, [])} after {at} updates", fontsize="medium")
    return figure


def _draw_means(axes: Axes, report: FiniteSize, metric: str, index: int) -> None:
    style, fit = STYLES[metric], report.limit[metric]
    means = [getattr(run, metric)[index] for run in report.runs]
    errors = [WIDTH * getattr(run.standard_error, metric)[index] for run in report.runs]
    inverse = 1 / report.sizes
    line = np.array([0.0, inverse.max()])
    label = f"limit + c/d, c = {fit.slope[index]:.3g} ± {fit.slope_error[index]:.1g}"
    axes.plot(line, fit.limit[index] + fit.slope[index] * line, color=style.color, ls=style.dash, label=label)
    shown = {"color": style.color, "mfc": "white", "capsize": 2.0}
    axes.errorbar(inverse, means, yerr=errors, fmt=style.markers[0], label="simulations", **shown)
    extrapolated = WIDTH * fit.limit_error[index]
    axes.errorbar([0], [fit.limit[index]], yerr=[extrapolated], fmt=style.markers[1], label="extrapolated", **shown)
    predicted = getattr(report.theory, metric)[index]
    axes.plot([0], [predicted], marker="*", ms=9, ls="none", color="black", label="prediction", zorder=5)
    finish(axes, "$1/d$", "mean over runs")
    axes.legend(frameon=False, fontsize="small")


def _draw_spreads(axes: Axes, report: FiniteSize, metric: str, index: int) -> None:
    style, spread = STYLES[metric], report.spread[metric][:, index]
    fit = report.fluctuation[metric]
    axes.plot(report.sizes, spread, style.markers[0], color=style.color, mfc="white", label="simulations")
    exponent = fit.exponent[index]
    if np.isfinite(exponent):
        centre = np.exp(np.mean(np.log(report.sizes)))
        level = np.exp(np.mean(np.log(spread)))
        label = f"$d^{{{exponent:.2f}}}$, ±{fit.error[index]:.1g}"
        axes.plot(
            report.sizes, level * (report.sizes / centre) ** exponent, color=style.color, ls=style.dash, label=label
        )
        axes.set_yscale("log")
    axes.set_xscale("log")
    axes.set_xticks(report.sizes)
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    finish(axes, "$d$", "standard deviation of one run")
    axes.legend(frameon=False, fontsize="small")

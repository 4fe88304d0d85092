"""Claim: A narrow network learns as its tangent kernel predicts when its output scale is large, and not at scale one.

One problem, two theories on one figure: state evolution of the finite-width network (`dyntheory.predict`; output times
A, learning rate η/A², mirrored start that vanishes) and training in closed form with the tangent kernel of its start
(`tangent_prediction`), both with points of real training at finite size beside them (`dyntheory.simulate`).

PASS RULE.

1. lazy: at the largest A train and test error of state evolution are, at every step, within 4 standard errors of the
   tangent kernel's runs, plus 5/d relative for their finite size;
2. not lazy: at the smallest A they differ somewhere by more than 10 standard errors plus 20 % (negative control of 1);
3. rate: the largest gap in test error to the largest A falls as A^b, b in [-2.4, -1.6] (a mirrored start removes the
   first order in 1/A), fitted over the scales between 4 and half the largest. Below A = 4 it falls more slowly: a first
   run at small size, fitted from A = 2 to 4, gave b = -1.5.

One broken rule fails the claim (exit status 1).

    python -m validation.lazy_training [--quick]    # a minute or two; writes results/lazy_training.{json,png}

Reference: `chizat2019lazy`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter

import dyntheory as dt
from dyntheory.kernels.bridge import ScaledNetwork, TangentRuns, mirrored_start, tangent_prediction
from dyntheory.plot.style import new_figure
from validation.claim import Claim, Verdict
from validation.record import Outcome

COLORS = ("#440154", "#414487", "#2a788e", "#22a884", "#7ad151", "#b8a000")


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run: the problem, the scales A, the sizes of the finite runs."""

    scales: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0, 16.0, 64.0)
    num_steps: int = 40
    num_units: int = 4
    learning_rate: float = 1.0
    samples_per_feature: float = 2.0
    noise_std: float = 0.3
    num_features: int = 300
    num_runs: int = 24
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class Curves:
    """State evolution and simulation at every scale, and the runs of the tangent kernel."""

    theory: dict[float, dt.Trajectory]
    runs: dict[float, dt.Trajectory]
    tangent: TangentRuns


def run(settings: Settings) -> Curves:
    """Predict at every scale, simulate at the smallest and the largest, train the tangent kernel."""
    law = dt.TeacherStudent(settings.samples_per_feature, link="sin_mixture", noise_std=settings.noise_std)
    network, key = dt.MLP((settings.num_units,), "tanh"), jax.random.key(settings.seed)
    head, first_layer = mirrored_start(network, key)
    common: dict[str, Any] = {"num_steps": settings.num_steps, "head": head, "first_layer": first_layer}
    sizes = {"num_features": settings.num_features, "num_runs": settings.num_runs}
    theory, runs = {}, {}
    for scale in settings.scales:
        method = dt.gradient_descent(ScaledNetwork(network, scale), learning_rate=settings.learning_rate / scale**2)
        theory[scale] = dt.predict(law, method, key=key, keep_preactivations=False, **common)
        if scale in (min(settings.scales), max(settings.scales)):
            other = jax.random.fold_in(key, 1)
            runs[scale] = dt.simulate(law, method, key=other, keep_preactivations=False, **common, **sizes)
    tangent = tangent_prediction(
        law, network, learning_rate=settings.learning_rate, key=jax.random.fold_in(key, 2), **common, **sizes
    )
    return Curves(theory, runs, tangent)


def excess(curves: Curves, scale: float, settings: Settings, relative: float, errors: float) -> float:
    """Return the largest difference from the tangent kernel over what is allowed; above 1 is disagreement."""
    worst = 0.0
    for name in ("train_error", "test_error"):
        members = getattr(curves.tangent, name)
        expected = np.asarray(getattr(curves.theory[scale], name))
        spread = members.std(axis=0, ddof=1) / np.sqrt(settings.num_runs)
        worst = max(
            worst, float(np.max(np.abs(members.mean(axis=0) - expected) / (errors * spread + relative * expected)))
        )
    return worst


def gaps(curves: Curves) -> dict[float, float]:
    """Return the largest gap in predicted test error to the largest scale, for every other scale."""
    last = np.asarray(curves.theory[max(curves.theory)].test_error)
    others = sorted(curves.theory)[:-1]
    return {scale: float(np.abs(np.asarray(curves.theory[scale].test_error) - last).max()) for scale in others}


def fitted_slope(found: dict[float, float], largest: float) -> float:
    """Return b of gap = A^b over the scales from 4 to half the largest."""
    used = [scale for scale in found if 4 <= scale <= largest / 2]
    return float(np.polyfit(np.log(used), np.log([found[scale] for scale in used]), 1)[0])


def judge(curves: Curves, settings: Settings) -> Verdict:
    """Apply the three rules."""
    small, large = min(settings.scales), max(settings.scales)
    found = gaps(curves)
    numbers = {
        "lazy: difference over allowance at the largest scale": excess(
            curves, large, settings, relative=5 / settings.num_features, errors=4
        ),
        "not lazy: the same at the smallest scale, wider allowance": excess(
            curves, small, settings, relative=0.2, errors=10
        ),
        "slope of the gap": fitted_slope(found, large),
        "gaps": found,
    }
    lazy, not_lazy, slope = list(numbers.values())[:3]
    passed = lazy <= 1 and not_lazy > 1 and -2.4 <= slope <= -1.6
    return (Outcome.PASSED if passed else Outcome.FAILED), numbers


def draw(curves: Curves, settings: Settings) -> Figure:
    """Draw test and train error at every scale with the tangent kernel, and the gap against the scale."""
    figure = new_figure(10.5, 3.6)
    left, middle, right = figure.subplots(1, 3)
    _errors(left, curves, settings, "test_error", "(a) test error")
    _errors(middle, curves, settings, "train_error", "(b) training error")
    found = gaps(curves)
    scales = np.array(sorted(found))
    right.loglog(scales, [found[scale] for scale in scales], "o-", color="#0b3c78", label="state evolution")
    guide = found[scales[-1]] * (scales / scales[-1]) ** -2.0
    right.loglog(scales, guide, ":", color="0.4", label="$A^{-2}$")
    right.set(title="(c) distance to lazy training", xlabel="output scale $A$", ylabel="largest gap in test error")
    for axis in (right.xaxis, right.yaxis):
        axis.set_minor_formatter(NullFormatter())
    right.legend(frameon=False, fontsize="small")
    left.legend(frameon=False, fontsize="x-small")
    for axes in (left, middle, right):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _errors(axes: Axes, curves: Curves, settings: Settings, name: str, title: str) -> None:
    steps = np.arange(settings.num_steps + 1)
    for scale, color in zip(sorted(curves.theory), COLORS, strict=False):
        axes.plot(steps, getattr(curves.theory[scale], name), color=color, label=f"state evolution, $A$ = {scale:g}")
        if scale in curves.runs:
            shown = slice(None, None, max(1, settings.num_steps // 12))
            one = curves.runs[scale]
            bars = 2 * np.asarray(getattr(one.standard_error, name))[shown]
            label = f"training, $A$ = {scale:g}"
            points = np.asarray(getattr(one, name))[shown]
            axes.errorbar(steps[shown], points, bars, fmt="o", ms=3.5, color=color, label=label)
    members = getattr(curves.tangent, name)
    mean, bars = members.mean(axis=0), 2 * members.std(axis=0, ddof=1) / np.sqrt(len(members))
    axes.plot(steps, mean, "k--", lw=1.6, label="tangent kernel")
    axes.fill_between(steps, mean - bars, mean + bars, color="0.75", lw=0, zorder=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(title=title, xlabel="step", ylabel="mean squared error")


CLAIM = Claim(
    "lazy_training",
    __doc__,
    pass_rule="See the docstring: agreement at the largest scale, disagreement at the smallest, gap falling as A^-2.",
    settings=Settings,
    quick=Settings(scales=(1.0, 4.0, 8.0, 32.0), num_steps=12, num_features=120, num_runs=16),
    measure=run,
    judge=judge,
    draw=draw,
)


if __name__ == "__main__":
    raise SystemExit(CLAIM.command())

"""Claim: Descent and its momentum methods move on quadratics exactly as computed, below every bound proved.

A quadratic of 40 curvatures from μ = 1/κ to L = 1. (i) Gradient descent, heavy ball and Nesterov's method with their
best numbers, and Nesterov's with the usual ones, run in NumPy. (ii) Descent and heavy ball with noise in the gradient,
means over runs.
(iii) Gradient descent with noise on Σ x²/(1 + x²), which is not convex, and on Σ log cosh x, which is not strongly so.
(iv) Rates of optax.sgd, with momentum and Nesterov's, fitted to late errors at four κ.

PASS RULE.

1. Losses of (i) are those of `quadratic_descent` to a relative 1e-8 of the first loss, at every step.
2. Mean losses of (ii) lie within 4 standard errors of it at ten steps, those of the last 30 % within 4 standard errors
   of `noise_floor`, and standard errors are below 5 %, else unresolved.
3. No loss of (i), (ii), and no loss or mean squared gradient of (iii) is above its bound.
4. Rates of (iv) are those of `momentum_rate` to 1e-3.

NEGATIVE CONTROLS, each of which must break its rule: rule 1 with β + 0.02; rule 2 with the floor that forgets momentum;
rule 3 with the rate 1 − √μ of acceleration for plain descent; rule 4 with β = 0.

    python -m validation.optimisation_rates [--quick]    # one minute

Reference: `polyak1964methods`, `lessard2016analysis`, `bottou2018optimization`, `nesterov2004introductory`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from dyntheory import closed_forms
from dyntheory.plot.style import WIDTH, finish, new_figure
from validation.claim import Claim, Verdict
from validation.rate_cases import (
    CONDITIONS,
    NOISE,
    NUM_CURVATURES,
    Settings,
    expected,
    fitted_rate,
    methods,
    noisy_run,
    parts_of_bounds,
    run,
    slow_methods,
    spectrum,
    theory_rates,
)
from validation.record import Outcome, joint_outcome

Z, EXACT, RATES, SMALL = 4.0, 1e-8, 1e-3, 0.05
COLORS = ("#0b3c78", "#e8743b", "#3f7f5f", "#b48ac8")


class Found(NamedTuple):
    """Losses by method, mean losses and errors with noise, worst parts of bounds, fitted rates by κ."""

    losses: dict[str, np.ndarray]
    noisy: dict[str, tuple[np.ndarray, np.ndarray, float, float]]
    parts: dict[str, float]
    rates: dict[str, np.ndarray]


def measure(settings: Settings) -> Found:
    """Run everything."""
    curvatures, start = spectrum(settings)
    losses = {
        name: np.sum(curvatures * run(lambda x: curvatures * x, start, one, settings.num_steps) ** 2, axis=-1) / 2
        for name, one in methods(settings.condition).items()
    }
    noisy = {name: noisy_run(one, settings) for name, one in slow_methods(settings).items()}
    rates = {name: np.array([fitted_rate(name, kappa) for kappa in CONDITIONS]) for name in methods(10.0)}
    return Found(losses, noisy, parts_of_bounds(losses, noisy, settings), rates)


def judge(found: Found, settings: Settings) -> Verdict:
    """Apply the rules and the controls."""
    every, asked = np.arange(settings.num_steps + 1), methods(settings.condition)
    off = {
        name: float(np.max(np.abs(loss - expected(asked[name], settings, every))) / loss[0])
        for name, loss in found.losses.items()
    }
    held = asked["heavy ball"]
    less = expected(held._replace(momentum=held.momentum + 0.02), settings, every)
    curvatures, _ = spectrum(settings)
    z, floors, resolution = {}, {}, 0.0
    for name, (mean, error, late, of_late) in found.noisy.items():
        one, probes = slow_methods(settings)[name], np.unique(np.geomspace(1, settings.num_noisy_steps, 10).astype(int))
        z[name] = (mean[probes] - expected(one, settings, probes, noise=NOISE)) / error[probes]
        last = np.arange(settings.num_noisy_steps * 7 // 10, settings.num_noisy_steps) + 1
        floors[name] = (late - expected(one, settings, last, noise=NOISE).mean()) / of_late
        resolution = max(resolution, float(np.max(error[probes] / mean[probes])))
    floor = np.sum(curvatures * closed_forms.noise_floor(curvatures, 0.1, noise_std=NOISE)) / 2
    _, _, late, of_late = found.noisy["heavy ball"]
    rates = {name: float(np.max(np.abs(one - theory_rates(name)))) for name, one in found.rates.items()}
    parts = {name: one for name, one in found.parts.items() if name != "control"}
    controls = {
        "β + 0.02": float(np.max(np.abs(found.losses["heavy ball"] - less)) / less[0]) / EXACT,
        "floor without momentum": abs(late - floor) / of_late / Z,
        "accelerated rate for descent": found.parts["control"],
        "β = 0": float(np.max(np.abs(found.rates["heavy ball"] - theory_rates("gradient descent")))) / RATES,
    }
    numbers: dict[str, Any] = {
        "loss off by": off,
        "z with noise": z,
        "z of late losses": floors,
        "resolution": resolution,
        "loss over bound": parts,
        "rates off by": rates,
        "controls over their rules": controls,
    }
    holds = max(off.values()) <= EXACT and max(parts.values()) <= 1 and max(rates.values()) <= RATES
    close = max(float(np.max(np.abs(one))) for one in [*z.values(), *floors.values()]) <= Z
    passed = Outcome.PASSED if holds and close and min(controls.values()) > 1 else Outcome.FAILED
    return joint_outcome([passed, Outcome.PASSED if resolution <= SMALL else Outcome.UNRESOLVED]), numbers


def draw(found: Found, settings: Settings) -> Figure:
    """Draw losses with bounds, floors of noise, and rates over κ."""
    figure = new_figure(10.8, 3.7)
    left, middle, right = figure.subplots(1, 3)
    every = np.arange(settings.num_steps + 1)
    few = every[:: max(1, settings.num_steps // 16)]
    for (name, one), color in zip(methods(settings.condition).items(), COLORS, strict=True):
        left.plot(every, expected(one, settings, every), color=color, lw=1.3, label=name)
        left.plot(few, found.losses[name][few], "o", color=color, ms=3.5, mfc="white")
    mu, (_, start) = 1 / settings.condition, spectrum(settings)
    sizes: dict[str, Any] = {"gap": float(found.losses["heavy ball"][0]), "distance": float(np.linalg.norm(start))}
    usual = closed_forms.accelerated_bounds(every[1:], strong_convexity=mu, **sizes).strongly_convex
    plain = closed_forms.descent_bounds(every[1:], 1.0, strong_convexity=mu, **sizes).strongly_convex
    left.plot(every[1:], plain, color=COLORS[0], lw=1.0, ls=":", label="bound, descent")
    left.plot(every[1:], usual, color=COLORS[3], lw=1.0, ls=":", label="bound, nesterov")
    left.set(yscale="log", ylim=(1e-12, 1e6))
    left.legend(frameon=False, fontsize="x-small", ncols=2, loc="upper right")
    finish(left, "step $t$", "loss", rf"(a) $\kappa$ = {settings.condition:g}: lines exact, points run")
    many = np.unique(np.geomspace(1, settings.num_noisy_steps, 60).astype(int))
    marks = many[::5]
    for (name, one), color in zip(slow_methods(settings).items(), COLORS, strict=False):
        middle.plot(many, expected(one, settings, many, noise=NOISE), color=color, lw=1.3, label=name)
        mean, error, *_ = found.noisy[name]
        middle.errorbar(marks, mean[marks], WIDTH * error[marks], fmt="o", color=color, ms=3.5, mfc="white", capsize=2)
    total = NOISE * np.sqrt(NUM_CURVATURES)
    bound = closed_forms.descent_bounds(many, 0.1, strong_convexity=mu, noise_std=total, **sizes).strongly_convex
    middle.plot(many, bound, color=COLORS[0], lw=1.0, ls=":", label="bound, descent")
    middle.set(xscale="log", yscale="log")
    middle.legend(frameon=False, fontsize="x-small")
    finish(middle, "step $t$ (logarithmic)", "mean loss", "(b) noise in the gradient")
    kappas = np.geomspace(CONDITIONS[0], CONDITIONS[-1], 60)
    for name, color in zip(methods(10.0), COLORS, strict=True):
        fine = [methods(float(kappa))[name] for kappa in kappas]
        numbers = [np.array([getattr(one, part) for one in fine]) for part in ("rate", "momentum")]
        ends = np.stack([1 / kappas, np.ones_like(kappas)])
        line = closed_forms.momentum_rate(ends, numbers[0], momentum=numbers[1], nesterov="nesterov" in name)
        right.plot(kappas, 1 - line.max(axis=0), color=color, lw=1.3, label=name)
        right.plot(CONDITIONS, 1 - found.rates[name], "o", color=color, ms=4, mfc="white")
    right.set(xscale="log", yscale="log")
    finish(right, r"condition number $\kappa$", "1 − rate", "(c) rates of optax.sgd")
    return figure


CLAIM = Claim(
    "optimisation_rates",
    __doc__,
    pass_rule=(
        "Losses without noise agree to 1e-8, mean losses with noise to 4 standard errors (below 5 %), rates of "
        "optax.sgd to 1e-3; nothing is above its bound; four wrong formulas break the same rules."
    ),
    settings=Settings,
    quick=Settings(condition=50.0, num_runs=600, num_noisy_steps=500),
    measure=measure,
    judge=judge,
    draw=draw,
)


if __name__ == "__main__":
    raise SystemExit(CLAIM.command())

"""Claim: From random weights one-pass SGD leaves the symmetric plateau after a time that grows as ln d.

Two students, two orthonormal teachers, units erf(x/√2), a frozen head of ones, independent weights at the start.
Overlaps then prefer a teacher by 1/√d, and the flow multiplies that by e^{λα}, so half of the plateau's error is
reached after (ln d)/(2λ) and a constant. λ is that of the prediction, from two starts with preferences of a ratio 100.

PASS RULE.

1. the mean escape time over runs, fitted by a line in ln d, has the slope 1/(2λ) to within 3 standard errors, and these
   are below a fifth of it, else unresolved;
2. the line fits: χ² per degree of freedom is below 3.

NEGATIVE CONTROL. A time that does not depend on d must be off: the slope is more than 5 of its standard errors from
zero. A time that grows as √d must fit worse: its χ² is larger by 10 or more. Where runs are too few to tell, it is
unresolved.

    python -m validation.plateau_lengths [--quick]    # some minutes; writes results/plateau_lengths.*

Reference: `saad1995line`.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax
import numpy as np
from matplotlib.figure import Figure

import dyntheory as dt
from dyntheory.plot.one_pass_figure import COLORS, TIME
from dyntheory.plot.style import WIDTH, finish, new_figure
from validation.claim import Claim, Verdict
from validation.record import Outcome

MOST_OFF, MOST_ERROR, MOST_CHI, ZERO, WORSE = 3.0, 0.2, 3.0, 5.0, 10.0
RATIO, UNITS, PREFERENCE = 100.0, 2, ((1.0, 0.4), (0.2, 0.7))


@dataclasses.dataclass(frozen=True)
class Settings:
    """The rate and the sizes."""

    sizes: tuple[int, ...] = (125, 250, 500, 1000, 2000, 4000)
    num_runs: int = 96
    learning_rate: float = 1.5
    time: float = 170.0
    seed: int = 5


class Line(NamedTuple):
    """A weighted fit of times by a + b f(d)."""

    slope: float
    error: float
    offset: float
    chi: float


class Found(NamedTuple):
    """Escape times by d, (runs,); theory from two starts; single runs of the smallest and the largest d."""

    times: dict[int, np.ndarray]
    theory: tuple[dt.online.OnlineTrajectory, dt.online.OnlineTrajectory]
    level: float
    growth: float
    shown: dict[int, dt.online.OnlineTrajectory]


def problem(settings: Settings) -> tuple[dt.TeacherStudent, dt.MLP, dict[str, Any]]:
    """Return law, network and options."""
    unit, ones = dt.online.scaled_erf(), np.ones(UNITS)
    law = dt.TeacherStudent(1.0, dt.online.committee(unit, ones), teacher_second_moment=np.eye(UNITS))
    options = {
        "learning_rate": settings.learning_rate,
        "head": {"layer_2": {"weights": ones[None]}},
        "head_rate": 0.0,
        "key": jax.random.key(settings.seed),
    }
    return law, dt.MLP((UNITS,), unit), options


def measure(settings: Settings) -> Found:
    """Predict from two starts, and train from random ones."""
    law, network, options = problem(settings)
    grid, theory = np.linspace(0.0, settings.time, int(4 * settings.time) + 1), []
    for size in (1e-3, 1e-3 / RATIO):
        start = dt.FirstLayer(0.3 * np.eye(UNITS), size * np.asarray(PREFERENCE))
        theory.append(dt.online.predict(law, network, time=grid, first_layer=start, **options))
    level = 0.5 * dt.online.find_plateaus(theory[0])[0].level
    early, late = (float(dt.online.escape_times(one, level=level).times[0]) for one in theory)
    times, shown = {}, {}
    for d in settings.sizes:
        runs = dt.online.simulate(
            *(law, network),
            time=grid[::2],
            num_features=d,
            num_runs=settings.num_runs,
            first_layer=dt.FirstLayer(0.3 * np.eye(UNITS)),
            exact_overlaps=False,
            matrix="revealed",
            **options,
        )
        times[d] = dt.online.escape_times(runs, level=level).times
        if d in (settings.sizes[0], settings.sizes[-1]):
            shown[d] = runs
        print(f"d = {d} done", flush=True)
    return Found(times, (theory[0], theory[1]), level, np.log(RATIO) / (late - early), shown)


def fit(found: Found, places: np.ndarray) -> Line:
    """Return the weighted line through mean escape times at `places`."""
    means = np.array([times.mean() for times in found.times.values()])
    errors = np.array([times.std(ddof=1) / np.sqrt(len(times)) for times in found.times.values()])
    design = np.stack([np.ones_like(places), places], axis=1) / errors[:, None]
    covariance = np.linalg.inv(design.T @ design)
    offset, slope = covariance @ design.T @ (means / errors)
    chi = float(np.sum(((means - offset - slope * places) / errors) ** 2))
    return Line(float(slope), float(np.sqrt(covariance[1, 1])), float(offset), chi)


def judge(found: Found, settings: Settings) -> Verdict:
    """Apply the pass rule."""
    lost = int(sum(np.isinf(times).sum() for times in found.times.values()))
    if lost:
        return Outcome.UNRESOLVED, {"runs that did not leave the plateau": lost}
    sizes = np.array(settings.sizes, float)
    line, root, expected = fit(found, np.log(sizes)), fit(found, np.sqrt(sizes)), 1 / (2 * found.growth)
    degrees = max(len(sizes) - 2, 1)
    numbers = {
        "growth rate of the preference, predicted": found.growth,
        "slope in ln d": line.slope,
        "its standard error": line.error,
        "1/(2 growth)": expected,
        "chi squared of a line in ln d": line.chi,
        "chi squared of a line in sqrt d": root.chi,
        "degrees of freedom": degrees,
        "mean escape times": {d: times.mean() for d, times in found.times.items()},
        "their standard errors": {d: times.std(ddof=1) / np.sqrt(len(times)) for d, times in found.times.items()},
        "level": found.level,
    }
    fits = abs(line.slope - expected) <= MOST_OFF * line.error and line.chi <= MOST_CHI * degrees
    controls = line.slope > ZERO * line.error and root.chi >= line.chi + WORSE
    if line.error > MOST_ERROR * expected or (fits and not controls):
        return Outcome.UNRESOLVED, numbers
    return (Outcome.PASSED if fits else Outcome.FAILED), numbers


def draw(found: Found, settings: Settings) -> Figure:
    """Draw single runs that leave the plateau, and escape times against d."""
    figure = new_figure(10.0, 3.7)
    left, right = figure.subplots(1, 2)
    for color, (d, runs) in zip(COLORS, found.shown.items(), strict=False):
        for number, curve in enumerate(runs.per_run.excess_error[:8]):
            left.plot(runs.times, curve, color=color, lw=0.7, alpha=0.8, label=f"runs, d = {d}" if not number else None)
    left.axhline(found.level, color="0.5", ls=":", label="half of the plateau")
    left.set_yscale("log")
    left.set_ylim(1e-4, None)
    finish(left, TIME, "excess error", "single runs")
    left.legend(frameon=False, fontsize="small", loc="lower left")
    sizes = np.array(settings.sizes, float)
    means = [times.mean() for times in found.times.values()]
    bars = [WIDTH * times.std(ddof=1) / np.sqrt(len(times)) for times in found.times.values()]
    line = fit(found, np.log(sizes))
    expected = np.mean(means) + (np.log(sizes) - np.log(sizes).mean()) / (2 * found.growth)
    right.errorbar(sizes, means, bars, fmt="o", mfc="white", color=COLORS[1], label="runs, mean ± 2 s.e.")
    right.plot(sizes, expected, color=COLORS[0], label=f"slope 1/(2λ) = {1 / (2 * found.growth):.2f}, predicted")
    right.plot(sizes, line.offset + line.slope * np.log(sizes), color="0.5", ls="--", label=f"fit, {line.slope:.2f}")
    right.set_xscale("log")
    right.set_xticks(sizes, [f"{d:g}" for d in sizes])
    right.minorticks_off()
    finish(right, "$d$", r"escape time $\alpha$", "time on the plateau")
    right.legend(frameon=False, fontsize="small")
    return figure


CLAIM = Claim(
    "plateau_lengths",
    __doc__,
    pass_rule="See the docstring: slope 1/(2λ) within 3 s.e., line fits, no constant and no √d.",
    settings=Settings,
    quick=Settings(sizes=(125, 500, 2000), num_runs=48),
    measure=measure,
    judge=judge,
    draw=draw,
)


if __name__ == "__main__":
    raise SystemExit(CLAIM.command())

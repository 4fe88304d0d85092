"""Claim: Adam, RMSprop and signs on least squares, every sample used once, follow one equation of the excess error.

dP/dα = −2η c(s) P + η² D(s), s² = P + σ², c and D of the optimizer on streams of noise. An optimizer remembers a fixed
number of steps, a share of d that falls as 1/d: means over runs at d and 2d are extrapolated, 2 P(2d) − P(d).

PASS RULE. At every time and for every optimizer the extrapolated error is within 4 standard errors, of runs and theory
together, of the predicted one; they are below a twentieth of it, else unresolved; every prediction has the status ok.

NEGATIVE CONTROL. SGD at the same rate must miss the extrapolated errors by more than 10 standard errors. It can do so
at late times alone, where Adam ends at a level that SGD does not know: until α = 3 the two are alike, and the control
fell short there (SGD missed by 8.5 to 33 at σ = .5, by 5.3 to 31 at σ = .2; the largest z was 1.4 in both).

    python -m validation.one_pass_adam [--quick]    # two minutes; writes results/one_pass_adam.*
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from matplotlib.figure import Figure

import dyntheory as dt
from dyntheory.plot.one_pass_figure import COLORS
from dyntheory.plot.style import WIDTH, finish, new_figure
from validation.claim import Claim, Verdict
from validation.record import Outcome, joint_outcome

MOST_Z, MOST_ERROR, CONTROL_Z = 4.0, 0.05, 10.0
OPTIMIZERS: dict[str, tuple[Any, dict[str, float]]] = {
    "Adam, b2 = .95": (optax.adam, {"b1": 0.9, "b2": 0.95}),
    "Adam, b2 = .99": (optax.adam, {"b1": 0.9, "b2": 0.99}),
    "RMSprop, .95": (optax.rmsprop, {"decay": 0.95, "eps": 1e-8}),
    "signs": (optax.sign_sgd, {}),
}


@dataclasses.dataclass(frozen=True)
class Settings:
    """Sizes d and 2d with so many runs at each, the rate, label noise."""

    num_features: int = 400
    num_runs: tuple[int, int] = (80, 50)
    learning_rate: float = 0.6
    noise_std: float = 0.2
    times: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 6.0)
    optimizers: tuple[str, ...] = tuple(OPTIMIZERS)
    seed: int = 5


class Found(NamedTuple):
    """Of one optimizer: the prediction, runs at d and at 2d."""

    theory: dt.OnlineTrajectory
    runs: tuple[dt.OnlineTrajectory, dt.OnlineTrajectory]

    @property
    def extrapolated(self) -> tuple[np.ndarray, np.ndarray]:
        """The excess error where d grows, with its standard error."""
        (small, one), (large, two) = ((part.excess_error, part.standard_error.excess_error) for part in self.runs)
        return 2 * large - small, np.hypot(one, 2 * two)


def law_of(settings: Settings) -> dt.TeacherStudent:
    """Return the law."""
    return dt.TeacherStudent(1.0, noise_std=settings.noise_std)


def measure(settings: Settings) -> dict[str, Found]:
    """Predict and train."""
    found, key, law = {}, jax.random.key(settings.seed), law_of(settings)
    for name in settings.optimizers:
        optimizer, numbers = OPTIMIZERS[name]
        given: dict[str, Any] = {"learning_rate": settings.learning_rate, "time": settings.times, "key": key, **numbers}
        theory = dt.online.adaptive_least_squares(law, optimizer, **given)
        runs = tuple(
            dt.online.simulate_adaptive_least_squares(law, optimizer, num_features=d, num_runs=count, **given)
            for d, count in zip((settings.num_features, 2 * settings.num_features), settings.num_runs, strict=True)
        )
        found[name] = Found(theory, (runs[0], runs[1]))
        print(f"{name} done", flush=True)
    return found


def control_of(settings: Settings, time: Any) -> dt.OnlineTrajectory:
    """Return plain SGD at the same rate."""
    return dt.online.least_squares(law_of(settings), learning_rate=settings.learning_rate, time=time)


def judge(found: dict[str, Found], settings: Settings) -> Verdict:
    """Apply the pass rule."""
    numbers: dict[str, Any] = {}
    outcomes = []
    plain = control_of(settings, settings.times).excess_error
    for name, one in found.items():
        mean, error = one.extrapolated
        bar = np.hypot(error, one.theory.standard_error.excess_error)
        score, missed, share = (np.max(np.abs(part)) for part in (
            (mean - one.theory.excess_error) / bar, (mean - plain) / bar, bar / mean,
        ))  # fmt: skip
        at = [np.max(np.abs(runs.excess_error / one.theory.excess_error - 1)) for runs in one.runs]
        numbers[name] = {
            "largest z": float(score),
            "largest relative standard error": float(share),
            "largest relative distance at d": float(at[0]),
            "largest relative distance at 2d": float(at[1]),
            "standard errors by which SGD misses": float(missed),
        }
        good = score <= MOST_Z and missed > CONTROL_Z and one.theory.status.ok
        outcomes.append(Outcome.PASSED if good else Outcome.FAILED)
        outcomes.append(Outcome.PASSED if share <= MOST_ERROR else Outcome.UNRESOLVED)
    return joint_outcome(outcomes), numbers


def draw(found: dict[str, Found], settings: Settings) -> Figure:
    """Draw errors against time: the equation, extrapolated runs, SGD; and how far runs of d and 2d are from it."""
    figure = new_figure(10.0, 4.0)
    left, right = figure.subplots(1, 2)
    times = np.asarray(settings.times)
    fine = np.linspace(0.0, times[-1], 61)
    left.plot(fine, control_of(settings, fine).excess_error, "k--", lw=0.9, label="SGD, same rate")
    for place, (color, (name, one)) in enumerate(zip(COLORS, found.items(), strict=False)):
        optimizer, numbers = OPTIMIZERS[name]
        curve = dt.online.adaptive_least_squares(
            law_of(settings), optimizer, learning_rate=settings.learning_rate, time=fine,
            key=jax.random.key(settings.seed), **numbers,
        )  # fmt: skip
        mean, error = one.extrapolated
        left.plot(fine, curve.excess_error, color=color, label=name)
        left.errorbar(times, mean, WIDTH * error, fmt="o", ms=3.5, mfc="white", color=color, lw=0.9)
        for runs, marker in zip(one.runs, ("s", "o"), strict=True):
            off, bar = (
                part / one.theory.excess_error for part in (runs.excess_error, runs.standard_error.excess_error)
            )
            shifted = times + 0.03 * (place - 1.5)
            right.errorbar(shifted, off - 1, WIDTH * bar, fmt=marker, ms=3.5, mfc="white", color=color, lw=0.9)
    right.axhline(0.0, color="0.4", lw=0.9)
    for marker, size in (("s", settings.num_features), ("o", 2 * settings.num_features)):
        right.plot([], [], marker, color="0.4", mfc="white", ms=3.5, label=f"d = {size}")
    left.set_yscale("log")
    finish(left, r"time $\alpha$ = steps/d", "excess error", "the equation, and runs extrapolated in 1/d")
    finish(right, r"time $\alpha$ = steps/d", "runs / theory − 1", "the memory of the optimizer is a share of d")
    for axes in (left, right):
        axes.legend(frameon=False, fontsize="small")
    return figure


CLAIM = Claim(
    "one_pass_adam",
    __doc__,
    pass_rule="Runs extrapolated in 1/d within 4 s.e. of the equation, s.e. below 5 %; SGD misses by more than 10.",
    settings=Settings,
    quick=Settings(num_features=150, num_runs=(60, 40), times=(0.5, 6.0), optimizers=("Adam, b2 = .95",)),
    measure=measure,
    judge=judge,
    draw=draw,
)


if __name__ == "__main__":
    raise SystemExit(CLAIM.command())

"""Claim: The second direction of z1 + z1 z2 is learned after the first and through it; alone, z1 z2 is not learned.

Two layers, ReLU, gradient descent on all of the data. The overlap of the first layer with a teacher direction is the
norm over units. Prediction as lines, simulations on a revealed Gaussian matrix as points.

PASS RULE.

1. order: the overlap with z₁ reaches half of its last value at least 1.5 times earlier than that with z₂;
2. the step is needed: with y = z₁z₂ alone both overlaps stay below a tenth of the staircase's last ones;
3. theory and runs: `compare` does not say "disagree" for either target, and predicted overlaps are within 5 standard
   errors of the runs plus 10/d relative.

One broken rule fails the claim (exit status 1).

    python -m validation.staircase [--quick]    # a minute or two; writes validation/results/staircase.{json,png}

Reference: `abbe2022merged` for staircases.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import optax
from matplotlib.figure import Figure

import dyntheory as dt
from dyntheory.plot.style import new_figure
from validation.claim import Claim, Verdict
from validation.record import Outcome

COLORS = ("#0072B2", "#D55E00")
EARLIER, NOTHING, ERRORS = 1.5, 0.1, 5.0


def staircase(z: jax.Array) -> jax.Array:
    """Return z₁ + z₁z₂."""
    return z[0] + z[0] * z[1]


def product(z: jax.Array) -> jax.Array:
    """Return z₁z₂."""
    return z[0] * z[1]


TARGETS: dict[str, Callable[[jax.Array], jax.Array]] = {"z₁ + z₁z₂": staircase, "z₁z₂": product}


@dataclasses.dataclass(frozen=True)
class Settings:
    """The problem and the sizes."""

    samples_per_feature: float = 6.0
    num_units: int = 4
    learning_rate: float = 0.3
    num_steps: int = 40
    num_nodes: int = 2**15
    num_features: int = 1000
    num_runs: int = 24
    seed: int = 3


@dataclasses.dataclass(frozen=True)
class Result:
    """One target: prediction, runs, verdict."""

    theory: dt.Trajectory
    runs: dt.Trajectory
    verdict: str


def run(settings: Settings) -> dict[str, Result]:
    """Predict and simulate both targets."""
    network = dt.MLP((settings.num_units,), "relu", use_bias=True)
    method = dt.gradient_descent(network, optax.sgd, learning_rate=settings.learning_rate)
    key, found = jax.random.key(settings.seed), {}
    options: dict[str, Any] = {"num_steps": settings.num_steps, "key": key, "keep_preactivations": False}
    for name, link in TARGETS.items():
        law = dt.TeacherStudent(settings.samples_per_feature, link, 0.1, teacher_second_moment=np.eye(2))
        theory = dt.predict(law, method, num_nodes=settings.num_nodes, **options)
        sizes = {"num_features": settings.num_features, "num_runs": settings.num_runs}
        runs = dt.simulate(law, method, matrix="revealed", keep_runs=True, **sizes, **options)
        found[name] = Result(theory, runs, dt.compare(theory, runs).verdict)
    return found


def strength(overlap: np.ndarray) -> np.ndarray:
    """Return the norm over units of the overlap with each direction, (..., T+1, 2)."""
    return np.linalg.norm(overlap, axis=-2)


def half_time(curve: np.ndarray) -> float:
    """Return the step at which a curve passes half of its last value, interpolated."""
    above = int(np.argmax(curve >= curve[-1] / 2))
    before = curve[above - 1]
    return above - 1 + float((curve[-1] / 2 - before) / (curve[above] - before)) if above else 0.0


def judge(results: dict[str, Result], settings: Settings) -> Verdict:
    """Apply the pass rule."""
    climbed, alone = (strength(one.theory.teacher_overlap) for one in results.values())
    times = [half_time(climbed[:, a]) for a in range(2)]
    missed = {name: _missed(one, settings) for name, one in results.items()}
    numbers: dict[str, Any] = {
        "half times": times,
        "last overlaps": climbed[-1],
        "last overlaps of z₁z₂ alone": alone[-1],
        "verdicts": {name: one.verdict for name, one in results.items()},
        "largest miss over what is allowed": missed,
    }
    holds = (
        times[1] >= EARLIER * times[0],
        bool(np.all(alone[-1] < NOTHING * climbed[-1])),
        all(one.verdict != "disagree" for one in results.values()),
        max(missed.values()) <= 1.0,
    )
    return (Outcome.PASSED if all(holds) else Outcome.FAILED), numbers


def _missed(result: Result, settings: Settings) -> float:
    """Return the largest difference of an overlap from the runs over what is allowed.

    A norm of noisy overlaps is biased, so every entry is compared by itself.
    """
    theory, runs = result.theory, result.runs
    bars = np.hypot(theory.standard_error.teacher_overlap, runs.standard_error.teacher_overlap)
    allowed = ERRORS * bars + 10 / settings.num_features * np.abs(theory.teacher_overlap)
    return float(np.max(np.abs(theory.teacher_overlap - runs.teacher_overlap) / np.maximum(allowed, 1e-12)))


def draw(results: dict[str, Result], settings: Settings) -> Figure:
    """Draw the overlaps of both targets and their test errors."""
    figure = new_figure(11, 3.6)
    panels = figure.subplots(1, 3)
    for axes, (name, result) in zip(panels, results.items(), strict=False):
        predicted, seen = (strength(one.teacher_overlap) for one in (result.theory, result.runs))
        for a, color in enumerate(COLORS):
            axes.plot(result.theory.steps, predicted[:, a], color=color, label=f"with z{'₁₂'[a]}")
            axes.plot(result.runs.steps[::2], seen[::2, a], "o", ms=3.5, mfc="white", color=color)
        axes.set(title=f"y = {name}", xlabel="step", ylabel="overlap of the first layer", ylim=(-0.05, 1.5))
        axes.legend(frameon=False)
    for (name, result), style in zip(results.items(), ("-", "--"), strict=True):
        panels[2].plot(result.theory.steps, result.theory.test_error, f"k{style}", label=f"y = {name}")
        panels[2].plot(result.runs.steps[::2], result.runs.test_error[::2], "ko", ms=3.5, mfc="white")
    panels[2].set(title="test error", xlabel="step", ylim=(0, None))
    panels[2].legend(frameon=False)
    figure.suptitle("Prediction (lines) and simulation (points)", fontsize=10)
    return figure


CLAIM = Claim(
    "staircase",
    __doc__,
    pass_rule="See the docstring: order of half times, nothing learned without the first step, theory on the runs.",
    settings=Settings,
    quick=Settings(num_steps=16, num_nodes=2**12, num_features=200, num_runs=8),
    measure=run,
    judge=judge,
    draw=draw,
)


if __name__ == "__main__":
    raise SystemExit(CLAIM.command())

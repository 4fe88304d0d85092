"""The rule of agreement on plain arrays, and the report it gives.

A point is one metric at one step. It agrees when |simulation − theory| ≤ c · s.e. + allowance ·
|theory|. The s.e. joins the errors of both sides; c is the two-sided quantile at `level` divided by
the number of points (Bonferroni: valid however the points depend on each other); the allowance is
the finite-size bias of the simulation, larger at steps where the runs of a problem separate.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal, NamedTuple, TypeAlias

import numpy as np

from dyntheory.ground.storage.marks import Axes, Coordinate
from dyntheory.ground.storage.saved import Saved

Verdict: TypeAlias = Literal["agree", "disagree", "unresolved"]
Curves: TypeAlias = dict[str, Annotated[np.ndarray, Axes("step")]]

DIFFERENT = "the two sides are not the same problem"
COARSEST_RESOLUTION = 0.2  # above this median of c · s.e. / |theory| an agreement says nothing


class WorstPoint(NamedTuple):
    """The point that exceeds its tolerance by the largest factor, or comes closest to it."""

    metric: str
    step: int
    z: float
    theory: float
    simulation: float


@dataclasses.dataclass(frozen=True)
class Agreement(Saved):
    """How well a simulation agrees with a prediction.

    Args:
        steps: (P,) steps compared: those on all sides, up to the first value that is not finite.
        difference: per metric (P,), simulation − theory.
        standard_error: per metric (P,), of the difference: the errors of both sides in squares.
        z: per metric (P,), difference / standard_error; 0 where both are 0, infinite where only
            the latter is.
        tolerance: per metric (P,), threshold · standard_error + allowance · |theory|; at steps where the runs of
            the problem separate the allowance is larger, and `notes` say so.
        threshold: c, the |z| that any point exceeds by chance with probability at most `level`.
        level: that probability.
        allowance: relative finite-size bias that is not held against the theory.
        resolution: median over points of threshold · standard_error / |theory|, with what is allowed beyond
            `allowance`: the relative difference that a typical point could have shown.
        worst: the point with the largest |difference| / tolerance.
        verdict: "disagree" when a point exceeds its tolerance, or nearly all runs are far above the
            prediction or diverge where it does not; else "unresolved" when `resolution` is above
            0.2, or when one side alone diverged; else "agree".
        notes: what else a reader must know: extrapolation, divergence, why unresolved.
    """

    steps: Annotated[np.ndarray, Coordinate("step")]
    difference: Curves
    standard_error: Curves
    z: Curves
    tolerance: Curves
    threshold: float
    level: float
    allowance: float
    resolution: float
    worst: WorstPoint
    verdict: Verdict
    notes: tuple[str, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether the verdict is "agree"."""
        return self.verdict == "agree"

    def __str__(self) -> str:
        points = len(self.steps) * len(self.difference)
        beyond = sum(int(np.sum(abs(d) > self.tolerance[m])) for m, d in self.difference.items())
        worst = self.worst
        lines = [
            f"{self.verdict}: {points - beyond} of {points} points within {self.threshold:.2f} "
            f"standard errors + {100 * self.allowance:.2g} % of the predicted value "
            f"({', '.join(self.difference)}; steps {self.steps[0]} to {self.steps[-1]})",
            f"worst point: {worst.metric} at step {worst.step}, predicted {worst.theory:.6g}, "
            f"simulated {worst.simulation:.6g}, z = {worst.z:+.2f}",
        ]
        first = [note for note in self.notes if note.startswith(DIFFERENT)]
        return "\n".join([*first, *lines, *(note for note in self.notes if note not in first)])


class Measured(NamedTuple):
    """Values and standard errors of one trajectory, per metric, at increasing steps."""

    steps: np.ndarray
    values: Curves
    errors: Curves

    def on(self, steps: np.ndarray) -> Measured:
        """Return the same at some of the steps."""
        index = np.searchsorted(self.steps, steps)
        values = {name: value[index] for name, value in self.values.items()}
        return Measured(steps, values, {name: error[index] for name, error in self.errors.items()})

    def finite_length(self) -> int:
        """Number of steps before the first value or error that is not finite, in any metric."""
        arrays = np.stack([*self.values.values(), *self.errors.values()])
        return int(np.append(np.isfinite(arrays).all(axis=0), False).argmin())


def corrected_threshold(level: float, num_points: int, degrees_of_freedom: float) -> float:
    """Return c such that any of `num_points` z-scores exceeds it with probability ≤ `level`.

    Args:
        level: probability of a false alarm over all points.
        num_points: how many z-scores are looked at.
        degrees_of_freedom: of Student's t; infinity gives the normal quantile.

    Returns:
        The two-sided quantile.
    """
    from scipy.stats import t  # takes longer to import than the rest of this file

    return float(t.isf(level / (2 * num_points), degrees_of_freedom))


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Divide with 0/0 = 0 and x/0 = ±∞."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(numerator == 0, 0.0, numerator / denominator)


def judge(
    theory: Measured,
    simulation: Measured,
    *,
    threshold: float,
    level: float,
    allowance: float,
    separation: Curves | None = None,
) -> Agreement:
    """Apply the rule at every point.

    Args:
        theory: predicted values, all finite.
        simulation: simulated values at the same steps.
        threshold: c, see `corrected_threshold`.
        level: the level it was made for.
        allowance: relative finite-size bias.
        separation: per metric (P,), the same where runs separate; what exceeds `allowance` takes its place.

    Returns:
        The report.
    """
    difference = {m: simulation.values[m] - value for m, value in theory.values.items()}
    error = {m: np.hypot(simulation.errors[m], own) for m, own in theory.errors.items()}
    scale = {m: abs(value) for m, value in theory.values.items()}
    beyond = {m: np.maximum((separation or {}).get(m, 0.0) - allowance, 0.0) * scale[m] for m in difference}
    tolerance = {m: threshold * error[m] + allowance * scale[m] + beyond[m] for m in difference}
    z = {m: _ratio(difference[m], error[m]) for m in difference}
    excess = {m: _ratio(abs(difference[m]), tolerance[m]) for m in difference}
    metric = max(excess, key=lambda m: excess[m].max())
    at = int(excess[metric].argmax())
    worst = WorstPoint(
        metric,
        int(theory.steps[at]),
        *(float(curves[metric][at]) for curves in (z, theory.values, simulation.values)),
    )
    of_runs = float(np.median([_ratio(threshold * error[m], scale[m]) for m in difference]))
    resolution = float(np.median([_ratio(threshold * error[m] + beyond[m], scale[m]) for m in difference]))
    verdict: Verdict = "agree"
    notes: tuple[str, ...] = ()
    if any(np.any(abs(difference[m]) > tolerance[m]) for m in difference):
        verdict = "disagree"
    elif resolution > COARSEST_RESOLUTION:
        verdict = "unresolved"
        needed = "more runs" if of_runs > COARSEST_RESOLUTION else "larger sizes"
        notes = (
            f"only relative differences above {resolution:.2g} would have shown at a typical step "
            f"(at most {COARSEST_RESOLUTION} is asked): {needed} are needed",
        )
    return Agreement(
        theory.steps, difference, error, z, tolerance, threshold, level, allowance, resolution,
        worst, verdict, notes,
    )  # fmt: skip

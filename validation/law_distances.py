"""How far finite rows are from a predicted law of (h, y), and how far they may be.

A distance agrees when

    distance ≤ (1 + √(π/2) c) · E[sampling] + numerical + (10/d) · scale.

* Law of a unit: distance = Wasserstein-1 between all rows of R runs and the nodes of the limit law (with their
  weights). E[sampling], what the distance would be if the law were right, is half the mean distance between two random
  halves of the runs: a half-against-half difference has four times the variance of all runs against the truth, and
  halves of *runs* (not of rows) count what rows of one run share. The sampling fluctuation is the norm of a Gaussian
  process, so its level-q quantile is at most (1 + √(π/2) Φ⁻¹(1 - q)) times its mean: Gaussian concentration around the
  median, which is at most the mean, with the largest one-directional deviation at most √(π/2) times the mean norm.
  Scale = E|h|.
* Moments E[h hᵀ], E[h y]: distance = |difference|, the first term is c times the standard error over runs, and the
  scale is the product of the two root mean squares.
* numerical = the distance between two independent node sets; (10/d) · scale = the allowance of `dyntheory.compare`.
* c = Student's quantile (in place of the normal one) with R - 1 degrees of freedom, one-sided for laws and two-sided
  for moments, at 1 % divided by the number of distances.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import t as student
from scipy.stats import wasserstein_distance

from dyntheory.trajectory import Preactivations

LEVEL = 0.01
ALLOWANCE = 10.0  # times 1/d, relative: that of dyntheory.compare
NUM_SPLITS = 30


class Size(NamedTuple):
    """Of a simulation: R runs at d features."""

    num_runs: int
    num_features: int


@dataclasses.dataclass(frozen=True)
class Distance:
    """One line of the report: how far apart, and how far apart was allowed.

    Args:
        name: what was compared.
        step: after how many updates.
        value: the distance.
        sampling: what it would be on average, or its standard error, if the law were right.
        tolerance: of the rule.
    """

    name: str
    step: int
    value: float
    sampling: float
    tolerance: float

    @property
    def ratio(self) -> float:
        """Distance over tolerance; more than one is a disagreement."""
        return self.value / self.tolerance


def judge(
    steps: Sequence[int],
    laws: list[Preactivations],
    others: list[Preactivations],
    rows: list[Preactivations],
    *,
    size: Size,
) -> list[Distance]:
    """Apply the rule to every distance.

    Args:
        steps: after how many updates each law holds.
        laws: samples of the limit law, one a step.
        others: the same on a second node set.
        rows: the finite rows, run after run.
        size: of the simulation.

    Returns:
        For each step the distance of each unit's law, then those of the moments.
    """
    moments_each = len(_moments(laws[0]))
    num_units = laws[0].values.shape[1]
    count = len(steps) * (num_units + moments_each)
    two_sided, one_sided = (float(student.isf(LEVEL / (sides * count), size.num_runs - 1)) for sides in (2, 1))
    factor = 1 + math.sqrt(math.pi / 2) * one_sided
    found = []
    for step, law, other, row in zip(steps, laws, others, rows, strict=True):
        found += [_law_distance(step, unit, law, other, row, factor, size) for unit in range(num_units)]
        found += _moment_distances(step, law, other, row, two_sided, size)
    return found


def _law_distance(
    step: int,
    unit: int,
    law: Preactivations,
    other: Preactivations,
    rows: Preactivations,
    factor: float,
    size: Size,
) -> Distance:
    values = law.values[:, unit]
    per_run = rows.values[:, unit].reshape(size.num_runs, -1)
    sampling = _half_distance(per_run) / 2
    numerical = wasserstein_distance(values, other.values[:, unit], law.weights, other.weights)
    allowed = ALLOWANCE / size.num_features * float(law.weights @ abs(values))
    distance = wasserstein_distance(per_run.ravel(), values, v_weights=law.weights)
    return Distance(f"law of h_{unit + 1}", step, distance, sampling, factor * sampling + numerical + allowed)


def _half_distance(per_run: np.ndarray) -> float:
    """Return the mean distance between two random halves of the runs."""
    rng, half = np.random.default_rng(0), len(per_run) // 2
    orders = [rng.permutation(len(per_run)) for _ in range(NUM_SPLITS)]
    pairs = [(np.sort(per_run[o[:half]], axis=None), np.sort(per_run[o[half : 2 * half]], axis=None)) for o in orders]
    return float(np.mean([np.mean(abs(one - other)) for one, other in pairs]))


def _moments(samples: Preactivations) -> dict[str, np.ndarray]:
    """Return the products whose means are compared, one array of samples each."""
    h = samples.values
    pairs = [(a, b) for a in range(h.shape[1]) for b in range(a, h.shape[1])]
    return {
        **{f"E[h_{a + 1} h_{b + 1}]": h[:, a] * h[:, b] for a, b in pairs},
        **{f"E[h_{a + 1} y]": h[:, a] * samples.labels for a in range(h.shape[1])},
    }


def _scales(samples: Preactivations) -> list[float]:
    """Return, in the order of `_moments`, products of root mean squares."""
    squares = np.column_stack([samples.values, samples.labels]) ** 2
    rms, k = np.sqrt(samples.weights @ squares), samples.values.shape[1]
    return [float(rms[a] * rms[b]) for a in range(k) for b in range(a, k)] + [float(one * rms[k]) for one in rms[:k]]


def _moment_distances(
    step: int, law: Preactivations, other: Preactivations, rows: Preactivations, threshold: float, size: Size
) -> list[Distance]:
    found = []
    of_law, of_other, of_rows = _moments(law), _moments(other), _moments(rows)
    for (name, products), scale in zip(of_law.items(), _scales(law), strict=True):
        expected = law.weights @ products
        per_run = of_rows[name].reshape(size.num_runs, -1).mean(axis=1)
        error = float(per_run.std(ddof=1) / math.sqrt(size.num_runs))
        numerical = abs(expected - other.weights @ of_other[name])
        tolerance = threshold * error + numerical + ALLOWANCE / size.num_features * scale
        found.append(Distance(name, step, float(abs(per_run.mean() - expected)), error, float(tolerance)))
    return found

"""Rows that nearly repeat another row, more nearly than chance brings independent rows together.

A row repeats its nearest if they are apart by less than a tenth of their norms. In few directions chance does that
too: in one, the nearest of 300 rows is a hundredth of a standard deviation away. Over the ball that reaches to a row's
k-th neighbour the density of independent rows is about constant: each of the k − 1 rows inside lies within a fraction q
of the radius with probability q^m, m the dimension, so that

    P(r_1 ≤ q r_k) = 1 − (1 − q^m)^{k−1}.

Below `MANY_DIRECTIONS` r_1 must be below q r_k too, with q such that independent rows raise the finding with
probability `FALSE_ALARM` at most: the mean number of rows this close is that of a Poisson law that exceeds the limit so
rarely. The dimension is the smaller of two: how many directions the rows have, and how fast numbers of neighbours grow,
m E log(r_k/r_h) = ψ(k) − ψ(h). Groups of more than k rows are then seen only where they repeat exactly.

Columns on a grid (counts, indicators, rounded numbers) make independent rows equal. Where there are some, repeats count
only if they are several times those of the same columns, each shuffled by itself.

Reference: `levina2004maximum` for the dimension.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree
from scipy.special import digamma, gammaincinv

REPEAT_SHARE = 0.02  # of the rows, up to which repeats raise no doubt
FALSE_ALARM = 5e-4
NEAR = 0.1  # of the norms
NUM_NEIGHBOURS = 20
NUM_PROJECTIONS = 12
MANY_DIRECTIONS = 7.0  # a tenth of the norm is then out of chance's reach: 6e-8 for a pair of Gaussian rows
MOST_STEPS = 10  # of a grid in the smallest gap that is seen
NUM_SHUFFLES = 2
SEVERAL = 4


def near_repeats(rows: Float[np.ndarray, "n d"], num_directions: float) -> int:
    """Return how many rows nearly repeat an earlier one, beyond chance.

    Args:
        rows: centred, columns of variance one.
        num_directions: (Σ λ)²/Σ λ² of their covariance.
    """
    found = _repeats(rows, num_directions)
    if not found or not any(map(_is_on_grid, rows.T)):
        return found
    random = np.random.default_rng(0)
    by_chance = max(_repeats(random.permuted(rows, axis=0), float(rows.shape[1])) for _ in range(NUM_SHUFFLES))
    return found if found > SEVERAL * (by_chance + 1) else 0


def _repeats(rows: Float[np.ndarray, "n d"], num_directions: float) -> int:
    """Return the number of rows less that of groups, rows being joined with their nearest where that is a repeat."""
    n, few = len(rows), num_directions < MANY_DIRECTIONS
    distances, nearest = _neighbours(rows, min(NUM_NEIGHBOURS, n - 1) if few else 1)
    share = _chance_share(n, distances.shape[1], min(num_directions, _growth(distances))) if few else 1.0
    norms = np.einsum("nd,nd->n", rows, rows)
    apart = np.sum(np.square(rows - rows[nearest]), axis=1)
    is_repeat = (distances[:, 0] <= share * distances[:, -1]) & (apart < NEAR**2 * np.minimum(norms, norms[nearest]))
    pairs = np.flatnonzero(is_repeat), nearest[is_repeat]
    joined = coo_array((np.ones(len(pairs[0])), pairs), shape=(n, n))
    return n - int(connected_components(joined, directed=False)[0])


def _neighbours(rows: Float[np.ndarray, "n d"], count: int) -> tuple[Float[np.ndarray, "n k"], np.ndarray]:
    """Return distances to the nearest rows, and which the nearest is.

    Beyond a dozen columns they are found in a dozen random directions, in which distances shrink alike.
    """
    n, d = rows.shape
    seen = rows
    if d > NUM_PROJECTIONS:
        seen = rows @ np.random.default_rng(0).standard_normal((d, NUM_PROJECTIONS)) / NUM_PROJECTIONS**0.5
    distances, indices = map(np.asarray, KDTree(seen).query(seen, k=count + 1))
    return distances[:, 1:], np.where(indices[:, 0] == np.arange(n), indices[:, 1], indices[:, 0])


def _growth(distances: Float[np.ndarray, "n k"]) -> float:
    """Return the dimension in which numbers of neighbours grow as they do."""
    k = distances.shape[1]
    half = (k + 1) // 2
    inner, outer = distances[:, half - 1], distances[:, -1]
    grows = (inner > 0) & (outer > inner)
    if not grows.any():
        return np.inf
    return float((digamma(k) - digamma(half)) / np.mean(np.log(outer[grows] / inner[grows])))


def _chance_share(num_rows: int, k: int, dimension: float) -> float:
    """Return q, the largest fraction of the k-th distance at which the nearest row is a repeat."""
    fewest = np.floor(REPEAT_SHARE * num_rows) + 1.0
    of_row = min(float(gammaincinv(fewest, FALSE_ALARM)) / num_rows, 1.0)
    return float((1.0 - (1.0 - of_row) ** (1.0 / max(k - 1, 1))) ** (1.0 / dimension))


def _is_on_grid(column: Float[np.ndarray, " n"]) -> bool:
    """Return whether all gaps between values are multiples of the smallest, or of a small part of it."""
    gaps = np.diff(np.unique(column))
    multiples = np.outer(np.arange(1, MOST_STEPS + 1), gaps / gaps.min())
    return bool(np.any(np.all(np.abs(multiples - np.round(multiples)) < 0.01, axis=1)))

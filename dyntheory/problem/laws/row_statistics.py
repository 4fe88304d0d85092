"""How rows are spread: along how many directions, and how much their norms vary.

The trace of a squared covariance comes out too large where rows are few; here the part that sampling adds is taken off.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dyntheory.ground.arrays import ArrayLike

# Of the spread of norms: doubtful above the first, outside of the theory above the second. A few hundred rows of
# independent Student-t entries (5), for which predictions hold (validation/universality.py), have 2 to 3.
NORM_SPREAD = (3.0, 4.0)


class RowStatistics(NamedTuple):
    """What centred rows of covariance Σ look like beside Gaussian ones.

    Args:
        num_directions: (tr Σ)²/tr Σ², how many directions the rows really have.
        norm_spread: variance of the squared norms over 2 tr Σ², that of Gaussian rows.
    """

    num_directions: float
    norm_spread: float


def spectral_moments(inputs: ArrayLike) -> tuple[float, float]:
    """Return tr Σ/p and tr Σ²/p of centred rows, the second without the part that sampling adds, (p/n)(tr Σ/p)²."""
    rows = np.asarray(inputs, dtype=float)
    n, p = rows.shape
    small = rows @ rows.T if n < p else rows.T @ rows
    first = float(np.trace(small)) / (n * p)
    return first, float(np.sum(small**2)) / (n**2 * p) - p / n * first**2


def row_statistics(rows: np.ndarray, *, most_rows: int | None = None) -> RowStatistics:
    """Measure centred rows that are not all zero.

    Args:
        rows: X, (n, d).
        most_rows: so many, chosen at random, are enough for tr Σ²; default all.
    """
    some = rows
    if most_rows is not None and len(rows) > most_rows:
        some = rows[np.random.default_rng(0).permutation(len(rows))[:most_rows]]
    squares = max(rows.shape[1] * spectral_moments(some)[1], 1e-300)
    norms = np.einsum("nd,nd->n", rows, rows)
    return RowStatistics(float(np.square(norms.mean()) / squares), float(norms.var() / (2.0 * squares)))

"""Means and sums of squares that runs are added to, batch by batch: memory does not grow with their number.

Two groups of n_a and n_b runs with means m_a, m_b and centred sums of squares S_a, S_b make one group with
m = m_a + (m_b − m_a) n_b/n and S = S_a + S_b + (m_b − m_a)² n_a n_b/n, n = n_a + n_b (Chan, Golub & LeVeque); the same
with outer products for covariances.

Reference: `chan1983algorithms`.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import numpy as np

from dyntheory.ground.arrays import PyTree


class Moments(NamedTuple):
    """Moments of a number of runs.

    Args:
        num_runs: how many.
        mean: over runs, of every leaf.
        squares: Σ (x − mean)² over runs, of every leaf.
        products: Σ (x − mean)(x − mean)ᵀ over runs by name, of curves (T+1,); empty when not kept.
    """

    num_runs: np.ndarray
    mean: PyTree
    squares: PyTree
    products: dict[str, np.ndarray]

    def variance(self) -> PyTree:
        """Return the unbiased variance of one run, NaN for fewer than two."""
        freedom = float(self.num_runs) - 1
        return jax.tree.map(lambda s: s / freedom if freedom > 0 else np.full(np.shape(s), np.nan), self.squares)


def moments_of(values: dict[str, PyTree], *, products: tuple[str, ...] = ()) -> Moments:
    """Return the moments of runs along the leading axis; none of them is allowed.

    Args:
        values: leaves of shape (runs, ...).
        products: which of them, of shape (runs, T+1), get their outer products.
    """
    count = len(jax.tree.leaves(values)[0])
    with np.errstate(all="ignore"):
        mean = jax.tree.map(lambda x: np.sum(x, axis=0) / max(count, 1), values)
        squares = jax.tree.map(lambda x, m: np.sum((x - m) ** 2, axis=0), values, mean)
        centred = {name: values[name] - mean[name] for name in products}
        outer = {name: x.T @ x for name, x in centred.items()}
    return Moments(np.asarray(count), mean, squares, outer)


def merged(one: Moments, other: Moments) -> Moments:
    """Return the moments of both groups of runs together."""
    count = one.num_runs + other.num_runs
    if count == 0 or other.num_runs == 0:
        return one
    if one.num_runs == 0:
        return other
    share, weight = other.num_runs / count, one.num_runs * other.num_runs / count

    def squares(a: np.ndarray, b: np.ndarray, m: np.ndarray, n: np.ndarray) -> np.ndarray:
        return a + b + (n - m) ** 2 * weight

    with np.errstate(all="ignore"):
        mean = jax.tree.map(lambda m, n: m + (n - m) * share, one.mean, other.mean)
        squared = jax.tree.map(squares, one.squares, other.squares, one.mean, other.mean)
        differences = {name: other.mean[name] - one.mean[name] for name in one.products}
        products = {
            name: one.products[name] + other.products[name] + weight * np.outer(d, d) for name, d in differences.items()
        }
    return Moments(np.asarray(count), mean, squared, products)

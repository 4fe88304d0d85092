"""Small dense linear algebra that survives rank deficiency and differentiates there."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Float

from dyntheory._typing import Array


def safe_inverse(value: Array, valid: Array) -> Array:
    """Return 1/value where `valid`, else 0, with finite derivatives on both branches."""
    return jnp.where(valid, 1.0 / jnp.where(valid, value, 1.0), 0.0)


def safe_sqrt(value: Array, valid: Array) -> Array:
    """Return √value where `valid`, else 0, with finite derivatives on both branches."""
    return jnp.where(valid, jnp.sqrt(jnp.where(valid, value, 1.0)), 0.0)


PIVOT_ROUNDING = 500


def rank_aware_cholesky(matrix: Float[Array, "m m"]) -> Float[Array, "m m"]:
    """Return lower triangular L with L Lᵀ = matrix for a positive semidefinite matrix of any rank.

    A pivot below 500 rounding units of its diagonal entry (1e-13 in float64) gets a zero column: zero initial weights,
    repeated or dependent directions are legal. Plain `cholesky` gives NaN there and `eigh` has NaN gradients.
    """
    matrix = jnp.asarray(matrix)
    size, tolerance = matrix.shape[0], PIVOT_ROUNDING * jnp.finfo(matrix.dtype).eps
    rows = jnp.arange(size)

    def add_column(index: Array, factor: Array) -> Array:
        residual = matrix[:, index] - factor @ factor[index, :]
        pivot = residual[index]
        valid = pivot > tolerance * matrix[index, index]
        scale = safe_inverse(safe_sqrt(pivot, valid), valid)
        column = jnp.where(rows >= index, residual * scale, 0.0)
        return factor.at[:, index].set(column)

    return jax.lax.fori_loop(0, size, add_column, jnp.zeros_like(matrix))

"""Small dense linear algebra that survives rank deficiency and differentiates there."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Float

from dyntheory.ground.arrays import Array


def safe_inverse(value: Array, valid: Array) -> Array:
    """Return 1/value where `valid`, else 0, with finite derivatives on both branches."""
    return jnp.where(valid, 1.0 / jnp.where(valid, value, 1.0), 0.0)


def safe_sqrt(value: Array, valid: Array) -> Array:
    """Return √value where `valid`, else 0, with finite derivatives on both branches."""
    return jnp.where(valid, jnp.sqrt(jnp.where(valid, value, 1.0)), 0.0)


def small_product(left: Float[Array, "a b"], right: Float[Array, "b c"]) -> Float[Array, "a c"]:
    """Return left @ right for a few rows and columns, as a sum: a product is compiled to a kernel of its own."""
    return jnp.sum(left[:, :, None] * right[None], axis=1)


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


BREAKDOWN = 1e-13


def gauss_rule(
    points: Float[Array, " points"], masses: Float[Array, " points"], count: int
) -> tuple[Float[Array, " nodes"], Float[Array, " nodes"]]:
    """Return Gauss's rule for a discrete measure: nodes and weights, exact for polynomials of degree 2 count − 1.

    Lanczos' process on diag(points), orthogonalised twice, then the eigenvalues of the tridiagonal matrix and the first
    entries of its eigenvectors. All points are their own rule; a measure on fewer points than nodes gets nodes without
    weight.

    Args:
        points: where the masses are.
        masses: zero or positive.
        count: number of nodes.

    Reference: `golub1969calculation`.
    """
    if count >= points.shape[0]:
        return points, masses
    total = jnp.sum(masses)
    start = safe_sqrt(masses, masses > 0) * safe_inverse(safe_sqrt(total, total > 0), total > 0)
    scale = jnp.max(jnp.abs(points))

    def step(index: Array, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        basis, diagonal, beside = carry
        row = basis[index]
        image = points * row
        diagonal = diagonal.at[index].set(row @ image)
        for _ in range(2):
            image = image - basis.T @ (basis @ image)
        square = image @ image
        valid = square > (BREAKDOWN * scale) ** 2
        norm = safe_sqrt(square, valid)
        basis = basis.at[index + 1].set(image * safe_inverse(norm, valid), mode="drop")
        return basis, diagonal, beside.at[index].set(norm)

    empty = jnp.zeros(count, points.dtype)
    basis = jnp.zeros((count, points.shape[0]), points.dtype).at[0].set(start)
    _, diagonal, beside = jax.lax.fori_loop(0, count, step, (basis, empty, empty))
    nodes, vectors = jnp.linalg.eigh(jnp.diag(diagonal) + jnp.diag(beside[:-1], 1) + jnp.diag(beside[:-1], -1))
    return nodes, total * jnp.square(vectors[0])

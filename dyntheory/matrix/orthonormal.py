"""Orthonormal rows under any inner product, with directions that are not there told from those that are.

Vectors are rows: a family is (capacity, points), zero where nothing was added yet or a direction was dropped, so that
products with the whole array are right at every time.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Float

from dyntheory.ground.arrays import Array
from dyntheory.ground.linear_algebra import safe_inverse, safe_sqrt, small_product

InnerProduct = Callable[[Array, Array], Array]

GRAM_ROUNDING = 1000


def drop_tolerance(dtype: jnp.dtype) -> float:
    """Relative remainder below which a direction counts as already present: 1e-9 in float64, 1e-4 in float32."""
    return 1e-9 if dtype == jnp.float64 else 1e-4


def gram_tolerance(dtype: jnp.dtype) -> float:
    """Relative remainder that a difference of Gram matrices can still tell from zero: 5e-7 in float64."""
    return float((GRAM_ROUNDING * jnp.finfo(dtype).eps) ** 0.5)


def euclidean(family: Float[Array, "a points"], vectors: Float[Array, "b points"]) -> Float[Array, "a b"]:
    """Return the dot products of rows."""
    return family @ vectors.T


def orthonormalise(
    vectors: Float[Array, "rows points"], inner: InnerProduct, thresholds: Float[Array, " rows"]
) -> Float[Array, "rows points"]:
    """Return orthonormal rows with the span of `vectors`, one after the other.

    A row whose remainder has norm at most its threshold becomes zero.
    """
    count = vectors.shape[0]
    positions = jnp.arange(count)

    def normalise(index: Array, rows: Array) -> Array:
        row = rows[index]
        squared = inner(row[None], row[None])[0, 0]
        valid = squared > thresholds[index] ** 2
        unit = row * safe_inverse(safe_sqrt(squared, valid), valid)
        components = jnp.where(positions > index, inner(rows, unit[None])[:, 0], 0.0)
        return (rows - components[:, None] * unit[None]).at[index].set(unit)

    return jax.lax.fori_loop(0, count, normalise, vectors)


def orthonormalising(gram: Float[Array, "rows rows"], thresholds: Float[Array, " rows"]) -> Float[Array, "rows rows"]:
    """Return the lower triangular M for which the rows of M x are orthonormal or zero, given the Gram matrix of x.

    A row of x whose remainder has norm at most its threshold gets a zero row.
    """
    identity = jnp.eye(gram.shape[0], dtype=gram.dtype)
    return orthonormalise(identity, lambda a, b: small_product(a, small_product(gram, b.T)), thresholds)


def norms_of(gram: Float[Array, "rows rows"]) -> Float[Array, " rows"]:
    """Return the norms of the vectors with this Gram matrix."""
    squared = jnp.diagonal(gram)
    return safe_sqrt(squared, squared > 0)


def extend(
    vectors: Float[Array, "rows points"],
    family: Float[Array, "capacity points"],
    inner: InnerProduct,
    drop_below: Array | float = 0.0,
) -> tuple[Float[Array, "rows points"], Float[Array, "rows capacity"]]:
    """Return orthonormal rows for the part of `vectors` outside the family, and their components inside it.

    A direction whose remainder is below `drop_tolerance` of its vector's norm counts as absent: a zero row. Twice is
    enough: each block is projected and orthonormalised twice.

    Args:
        vectors: rows to add.
        family: orthonormal rows, zero rows allowed.
        inner: the inner product of many rows with a few.
        drop_below: norm of a remainder below which a direction is dropped, whatever its vector's norm.
    """
    thresholds = jnp.maximum(drop_tolerance(vectors.dtype) * norms_of(inner(vectors, vectors)), drop_below)
    components = inner(family, vectors).T
    remainder = vectors - components @ family
    once = orthonormalising(inner(remainder, remainder), thresholds) @ remainder
    rest = once - inner(family, once).T @ family
    half = jnp.full(thresholds.shape, 0.5, thresholds.dtype)
    return orthonormalising(inner(rest, rest), half) @ rest, components


def orthonormal_on_nodes(
    vectors: Float[Array, "rows nodes"], weights: Float[Array, " nodes"]
) -> Float[Array, "rows nodes"]:
    """Return the rows made orthonormal, in order, under the weighted mean over nodes."""
    return orthonormalise(
        vectors, lambda a, b: a @ (weights[:, None] * b.T), jnp.zeros(vectors.shape[0], vectors.dtype)
    )

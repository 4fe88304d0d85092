"""Growing orthonormal families in padded arrays, under any inner product.

Vectors are rows: a family is (capacity, points), zero where nothing was added yet or a direction was dropped, so that
products with the whole array are right at every time. Twice is enough: each block is projected and orthonormalised
twice (block Gram–Schmidt with re-orthogonalisation).
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Float

from dyntheory._typing import Array
from dyntheory.linalg import safe_inverse, safe_sqrt

InnerProduct = Callable[[Array, Array], Array]


def drop_tolerance(dtype: jnp.dtype) -> float:
    """Relative remainder below which a direction counts as already present: 1e-9 in float64, 1e-4 in float32."""
    return 1e-9 if dtype == jnp.float64 else 1e-4


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


def extend(
    vectors: Float[Array, "rows points"],
    family: Float[Array, "capacity points"],
    inner: InnerProduct,
    *,
    beside: Float[Array, "others points"] | None = None,
) -> tuple[Float[Array, "rows points"], Float[Array, "rows capacity"], Float[Array, "others points"]]:
    """Return orthonormal rows for the part of `vectors` outside the family, and their components inside it.

    A direction whose remainder is below `drop_tolerance` of its vector's norm counts as absent: a zero row.

    Args:
        vectors: rows to add.
        family: orthonormal rows, zero rows allowed.
        inner: the inner product of many rows with a few.
        beside: other rows to project once in the same passes over the family; returned last.
    """
    squared_norms = jax.vmap(lambda v: inner(v[None], v[None])[0, 0])(vectors)
    norms = safe_sqrt(squared_norms, squared_norms > 0)
    count = vectors.shape[0]
    everything = vectors if beside is None else jnp.concatenate([vectors, beside])
    components = inner(family, everything).T
    remainder = everything - components @ family
    once = orthonormalise(remainder[:count], inner, drop_tolerance(vectors.dtype) * norms)
    rest = once - inner(family, once).T @ family
    found = orthonormalise(rest, inner, jnp.full(norms.shape, 0.5, norms.dtype))
    return found, components[:count], remainder[count:]


def orthonormal_on_nodes(
    vectors: Float[Array, "rows nodes"], weights: Float[Array, " nodes"]
) -> Float[Array, "rows nodes"]:
    """Return the rows made orthonormal, in order, under the weighted mean over nodes."""
    return orthonormalise(
        vectors, lambda a, b: a @ (weights[:, None] * b.T), jnp.zeros(vectors.shape[0], vectors.dtype)
    )

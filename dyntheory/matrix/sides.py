"""What a revealed matrix asks of each of its two sides.

A side keeps all that was revealed on it, as coordinates along an orthonormal basis. Vectors enter as rows of points,
are resolved into coordinates, and come back by expansion; everything in between is small linear algebra. A side also
keeps the fresh noise with which it answered the other side.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import jax.numpy as jnp

from dyntheory.ground.arrays import Array, PyTree


@runtime_checkable
class Side(Protocol):
    """One side; `space` is its own state, a pytree."""

    def init(self, num_asked: int, num_answered: int) -> Any:
        """Return a space with room for so many resolved vectors and so many noise vectors."""
        ...

    def grow(self, space: Any, count: int) -> Any:
        """Return the space with room for `count` more resolved vectors and as many noise vectors."""
        ...

    def capacity(self, space: Any) -> int:
        """Return the number of coordinates."""
        ...

    def resolve(self, space: Any, vectors: Array) -> tuple[Any, Array]:
        """Return coordinates (columns, capacity) of the columns of `vectors` (points, columns)."""
        ...

    def fresh(self, space: Any, directions: Array, wanted: Array) -> Any:
        """Reveal fresh noise orthogonal to `directions` (rows of coordinates); zero where `wanted` (count,) is."""
        ...

    def noise_components(self, space: Any, coordinates: Array) -> Array:
        """Return the inner products (columns, answered) with all noise revealed so far."""
        ...

    def noise_combination(self, space: Any, coefficients: Array) -> Array:
        """Return coordinates (columns, capacity) of a combination (columns, answered) of the noise."""
        ...

    def expand(self, space: Any, coordinates: Array) -> tuple[Any, Array]:
        """Return the vectors (points, columns) with these coordinates."""
        ...

    def mean(self, values: PyTree) -> PyTree:
        """Return the mean over points (leading axis) of every leaf."""
        ...

    def gram(self, left: Array, right: Array) -> Array:
        """Return the mean over points of left rightᵀ."""
        ...


def unit_rows(position: Array, count: int, capacity: int, dtype: Any) -> Array:
    """Return `count` unit coordinate rows, the first at `position`."""
    return jnp.asarray(jnp.arange(capacity)[None] == position + jnp.arange(count)[:, None], dtype)


def pad_rows(rows: Array, count: int) -> Array:
    """Return the rows with `count` zero rows below them."""
    return jnp.concatenate([rows, jnp.zeros((count, *rows.shape[1:]), rows.dtype)])

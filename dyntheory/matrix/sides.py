"""The two sides of a revealed matrix: coordinates of vectors, and where fresh noise comes from.

A side keeps an orthonormal basis of all that was revealed on it. Vectors enter as rows of points, are resolved into
coordinates along the basis, and come back by expansion; everything in between is small linear algebra.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from dyntheory._typing import Array, PyTree
from dyntheory.matrix.orthonormal import extend, orthonormalise


@runtime_checkable
class Side(Protocol):
    """What the revelation asks of a side; `space` is the side's own state."""

    def init(self, room: int) -> Any:
        """Return a space with room for that many fresh noise vectors."""
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

    def fresh(self, space: Any, count: int) -> tuple[Any, Array]:
        """Return coordinates (count, capacity) of fresh noise."""
        ...

    def expand(self, space: Any, coordinates: Array) -> Array:
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


class NodeSpace(NamedTuple):
    """An orthonormal basis on nodes, zero rows where nothing is yet, and the next noise rows made orthogonal to it.

    `pending` is None before the first question; `is_ready` says whether it still waits to be used.
    """

    basis: Float[Array, "capacity nodes"]
    pending: Float[Array, "columns nodes"] | None
    is_ready: Bool[Array, ""]
    num_used: Int[Array, ""]
    num_drawn: Int[Array, ""]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class NodeSide:
    """Expectations as weighted means over nodes; fresh noise is the next coordinate, projected and moment-matched.

    Reading the basis is what a long run costs. The next noise rows are therefore projected in the same passes as the
    vectors that are resolved, and wait in `NodeSpace.pending`: five passes over the basis per step.

    Args:
        weights: shape (nodes,), summing to one.
        fixed: orthonormal rows that are there from the start: the constant, the label noise.
        reserve: raw noise coordinates in the order of their revelation.
        num_columns: columns of every question but the first.
    """

    weights: Float[Array, " nodes"]
    fixed: Float[Array, "fixed nodes"]
    reserve: Float[Array, "noise nodes"]
    num_columns: int = dataclasses.field(metadata={"static": True})

    def inner(self, family: Array, vectors: Array) -> Array:
        """Return Σ_i ω_i a_i b_i for rows a, b; the few vectors carry the weights, the family is read once."""
        return family @ (self.weights[:, None] * vectors.T)

    def init(self, room: int) -> NodeSpace:
        """Return a space holding the fixed rows and room for `room` noise vectors."""
        basis = pad_rows(self.fixed, room)
        return NodeSpace(basis, None, jnp.asarray(False), jnp.asarray(self.fixed.shape[0]), jnp.asarray(0))

    def grow(self, space: NodeSpace, count: int) -> NodeSpace:
        """Return the space with room for `count` resolved vectors and `count` noise vectors."""
        return space._replace(basis=pad_rows(space.basis, 2 * count))

    def capacity(self, space: NodeSpace) -> int:
        """Return the number of basis rows."""
        return space.basis.shape[0]

    def resolve(self, space: NodeSpace, vectors: Float[Array, "nodes columns"]) -> tuple[NodeSpace, Array]:
        """Return coordinates of the columns, adding what lies outside the basis to it."""
        rows = vectors.T
        raw = jax.lax.dynamic_slice_in_dim(self.reserve, space.num_drawn, self.num_columns)
        found, coordinates, pending = extend(rows, space.basis, self.inner, beside=raw)
        new = unit_rows(space.num_used, rows.shape[0], self.capacity(space), rows.dtype)
        coordinates = coordinates + self.inner(found, rows).T @ new
        pending = pending - self.inner(found, pending).T @ found
        return self._append(space, found)._replace(pending=pending, is_ready=jnp.asarray(True)), coordinates

    def fresh(self, space: NodeSpace, count: int) -> tuple[NodeSpace, Array]:
        """Add the pending noise rows to the basis; the first question has none pending and makes its own.

        One projection is enough here: fresh coordinates are nearly orthogonal to everything from the start.
        """
        if space.pending is None:
            rest = self._projected(space, count)
        else:
            rest = jax.lax.cond(space.is_ready, lambda: space.pending, lambda: self._projected(space, count))
        noise = orthonormalise(rest, self.inner, jnp.zeros(count, rest.dtype))
        coordinates = unit_rows(space.num_used, count, self.capacity(space), rest.dtype)
        after = self._append(space, noise)._replace(num_drawn=space.num_drawn + count)
        if space.pending is None:
            return after._replace(
                pending=self._projected(after, self.num_columns), is_ready=jnp.asarray(True)
            ), coordinates
        return after._replace(is_ready=jnp.asarray(False)), coordinates

    def _projected(self, space: NodeSpace, count: int) -> Array:
        raw = jax.lax.dynamic_slice_in_dim(self.reserve, space.num_drawn, count)
        return raw - self.inner(space.basis, raw).T @ space.basis

    def expand(self, space: NodeSpace, coordinates: Float[Array, "columns capacity"]) -> Array:
        """Return Σ_b c_b F_b on the nodes."""
        return (coordinates @ space.basis).T

    def mean(self, values: PyTree) -> PyTree:
        """Return Σ_i ω_i x_i, leaf by leaf."""
        return jax.tree.map(lambda x: jnp.tensordot(self.weights, x, axes=1), values)

    def gram(self, left: Array, right: Array) -> Array:
        """Return Σ_i ω_i left_i right_iᵀ."""
        return self.inner(left.T, right.T)

    def _append(self, space: NodeSpace, rows: Array) -> NodeSpace:
        basis = jax.lax.dynamic_update_slice_in_dim(space.basis, rows, space.num_used, 0)
        return space._replace(basis=basis, num_used=space.num_used + rows.shape[0])


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class FrameSide:
    """Exact coordinates in a fixed frame, for linear row maps; fresh noise is the next unit coordinate.

    The space is the number of coordinates in use.

    Args:
        num_coordinates: D, the teacher and initial weights and every innovation of the run.
        num_initial: coordinates that the teacher and initial weights take.
    """

    num_coordinates: int = dataclasses.field(metadata={"static": True})
    num_initial: int = dataclasses.field(metadata={"static": True})

    def init(self, room: int) -> Array:
        """Return a space in which only the initial coordinates are used."""
        del room
        return jnp.asarray(self.num_initial)

    def grow(self, space: Array, count: int) -> Array:
        """Return the space as it is: a frame has all its coordinates from the start."""
        del count
        return space

    def capacity(self, space: Array) -> int:
        """Return D."""
        del space
        return self.num_coordinates

    def resolve(self, space: Array, vectors: Float[Array, "coordinates columns"]) -> tuple[Array, Array]:
        """Return the vectors themselves: they are coordinates."""
        return space, vectors.T

    def fresh(self, space: Array, count: int) -> tuple[Array, Array]:
        """Return the next unit coordinates."""
        return space + count, unit_rows(space, count, self.num_coordinates, float)

    def expand(self, space: Array, coordinates: Float[Array, "columns coordinates"]) -> Array:
        """Return the coordinates themselves."""
        del space
        return coordinates.T

    def mean(self, values: PyTree) -> PyTree:
        """Refuse: a frame has no rows to average."""
        if jax.tree.leaves(values):
            raise ValueError("Row statistics are undefined on a frame; this method needs feature nodes.")
        return values

    def gram(self, left: Array, right: Array) -> Array:
        """Return the dot products of columns."""
        return left.T @ right


def pad_rows(rows: Array, count: int) -> Array:
    """Return the rows with `count` zero rows below them."""
    return jnp.concatenate([rows, jnp.zeros((count, rows.shape[1]), rows.dtype)])

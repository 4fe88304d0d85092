"""The neurons of one layer, in the limit of infinitely many: nodes, and an orthonormal basis of what is known on them.

Rows of the basis are functions of a neuron with mean square one: the constant, every fresh noise with which a matrix
answered, and what activations and signals add to them. A vector on the neurons enters by its remainder outside the
basis, unless that is small; many vectors at once add the few directions that they share. The basis stays packed: it
holds as many rows as there are directions, and not as many as there were vectors.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from dyntheory.ground.arrays import Array

BLOCK = 8
ORTHOGONAL = 1e-12
SMALLEST = 0.1  # size of a vector below which it is known less well, over that of the largest beside it


class Neurons(NamedTuple):
    """A packed orthonormal basis on nodes of equal weight: `num_used` rows, of which `num_drawn` are fresh noise."""

    basis: Float[Array, "capacity nodes"]
    num_used: Int[Array, ""]
    num_drawn: Int[Array, ""]


def fresh_neurons(num_nodes: int, capacity: int) -> Neurons:
    """Return neurons of which nothing is known: a basis that holds the constant."""
    basis = jnp.asarray(jnp.broadcast_to(jnp.arange(capacity)[:, None] == 0, (capacity, num_nodes)), float)
    return Neurons(basis, jnp.asarray(1), jnp.asarray(0))


def expand(neurons: Neurons, coordinates: Float[Array, "vectors capacity"]) -> Float[Array, "vectors nodes"]:
    """Return the vectors with these coordinates."""
    return coordinates @ neurons.basis


def project(neurons: Neurons, vectors: Float[Array, "vectors nodes"]) -> Float[Array, "vectors capacity"]:
    """Return the inner products of vectors with the basis."""
    # Without the barrier XLA folds the transpose into the product, which then runs at a third of the speed.
    return jax.lax.optimization_barrier(neurons.basis @ vectors.T).T / vectors.shape[1]


def new_directions(
    gram: Float[Array, "vectors vectors"], sizes: Float[Array, " vectors"], threshold: Array | float
) -> tuple[Float[Array, "vectors vectors"], Int[Array, ""]]:
    """Return, as rows, combinations of vectors that are orthonormal, and how many of them there are; then come zeros.

    The vector of which most is left gives the next direction, until of none more is left than the threshold: Cholesky's
    factorisation with pivots.

    Args:
        gram: inner products of what is new in the vectors.
        sizes: root mean squares of the vectors, positive.
        threshold: part of the size of a vector that may be left out.
    """
    count, scaled = gram.shape[0], gram / (sizes[:, None] * sizes[None])
    none, places = jnp.zeros_like(scaled), jnp.arange(gram.shape[0])

    def is_unfinished(carry: tuple[Array, Array, Array, Array]) -> Array:
        found, left, _, _ = carry
        return (found < count) & (jnp.max(left) > threshold**2)

    def add(carry: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        found, left, factor, rows = carry
        pivot = jnp.argmax(left)
        root, along = jnp.sqrt(left[pivot]), factor[pivot]
        column = (scaled[:, pivot] - factor @ along) / root
        row = (jnp.asarray(places == pivot, column.dtype) - along @ rows) / root
        left = jnp.where(places == pivot, 0.0, left - column**2)
        return found + 1, left, factor.at[:, found].set(column), rows.at[found].set(row)

    found, _, _, rows = jax.lax.while_loop(is_unfinished, add, (jnp.asarray(0), jnp.diagonal(scaled), none, none))
    return rows / sizes[None], found


def sizes_of(squares: Float[Array, " vectors"]) -> Float[Array, " vectors"]:
    """Return root mean squares of vectors about their means, those of much smaller vectors raised, so none is zero."""
    sizes = jnp.sqrt(jnp.maximum(squares, 0.0))
    largest = jnp.max(sizes)
    return jnp.maximum(sizes, jnp.where(largest > 0, SMALLEST * largest, 1.0))


def take_in(
    neurons: Neurons, vectors: Float[Array, "vectors nodes"], threshold: Array | float
) -> tuple[Neurons, Float[Array, "vectors capacity"], Float[Array, "vectors vectors"]]:
    """Return the neurons knowing of the vectors, the coordinates of these, and their inner products."""
    coordinates = project(neurons, vectors)
    gram = vectors @ vectors.T / vectors.shape[1]
    sizes = sizes_of(jnp.diagonal(gram) - coordinates[:, 0] ** 2)
    combinations, count = new_directions(gram - coordinates @ coordinates.T, sizes, threshold)
    combinations = _in_blocks(combinations)

    def add(block: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        basis, coordinates = carry
        rows = _block_of(combinations, block)
        raw = rows @ vectors - (rows @ coordinates) @ basis
        here = neurons._replace(basis=basis)
        exists = _exists(block, rows.shape[0], count)
        size = jnp.sqrt(jnp.mean(jnp.square(raw), axis=1, keepdims=True))
        raw = raw / jnp.where(exists[:, None] & (size > 0), size, 1.0)
        # What is left of a vector may be small, and is orthogonal up to rounding over its size: once more, if need be.
        defect = project(here, raw)
        is_orthogonal = jnp.max(jnp.abs(defect)) < ORTHOGONAL
        raw = jax.lax.cond(is_orthogonal, lambda raw, _: raw, lambda raw, d: raw - expand(here, d), raw, defect)
        found = normalised(raw, exists, raw.shape[1])
        start = neurons.num_used + block * rows.shape[0]
        products = (found @ vectors.T).T / vectors.shape[1]
        return _written(basis, found, start), jax.lax.dynamic_update_slice_in_dim(coordinates, products, start, 1)

    basis, coordinates = jax.lax.fori_loop(0, _num_blocks(combinations, count), add, (neurons.basis, coordinates))
    return neurons._replace(basis=basis, num_used=neurons.num_used + count), coordinates, gram


def draw(
    neurons: Neurons, reserve: Float[Array, "noise nodes"], first: Array, count: Int[Array, ""], room: int
) -> Neurons:
    """Return the neurons with fresh noise: the next raw rows, made orthogonal to all that is known and normalised.

    Args:
        neurons: what is known.
        reserve: raw noise, from number `first` on.
        first: how many rows were drawn before those in the reserve.
        count: how many are wanted.
        room: the most that may be wanted, static.
    """
    size = min(BLOCK, room)

    def add(block: Array, basis: Array) -> Array:
        raw = jax.lax.dynamic_slice_in_dim(reserve, neurons.num_drawn - first + block * size, size)
        exists = _exists(block, size, count)
        here = neurons._replace(basis=basis)
        found = normalised(raw - expand(here, project(here, raw)), exists, raw.shape[1])
        return _written(basis, found, neurons.num_used + block * size)

    basis = jax.lax.fori_loop(0, -(-count // size), add, neurons.basis)
    return Neurons(basis, neurons.num_used + count, neurons.num_drawn + count)


def normalised(rows: Float[Array, "rows points"], exists: Array, num_points: int) -> Float[Array, "rows points"]:
    """Return orthonormal combinations of the rows that exist, zero for the others.

    Inner products are sums over the points by `num_points`, their number for nodes, one for coordinates.
    """
    gram = rows @ rows.T / num_points
    gram = jnp.where(exists[:, None] & exists[None], gram, jnp.eye(gram.shape[0]))
    found = jax.scipy.linalg.solve_triangular(jnp.linalg.cholesky(gram), rows, lower=True)
    return jnp.where(exists[:, None], found, 0.0)


def _written(basis: Array, rows: Array, start: Array) -> Array:
    return jax.lax.dynamic_update_slice_in_dim(basis, rows, start, 0)


def _exists(block: Array, size: int, count: Array) -> Array:
    return block * size + jnp.arange(size) < count


def _in_blocks(rows: Float[Array, "vectors vectors"]) -> Float[Array, "blocks block vectors"]:
    count = rows.shape[0]
    size = min(BLOCK, count)
    blocks = -(-count // size)
    return jnp.pad(rows, ((0, blocks * size - count), (0, 0))).reshape(blocks, size, count)


def _block_of(blocks: Float[Array, "blocks block vectors"], index: Array) -> Float[Array, "block vectors"]:
    return jax.lax.dynamic_index_in_dim(blocks, index, keepdims=False)


def _num_blocks(blocks: Float[Array, "blocks block vectors"], count: Array) -> Array:
    return -(-count // blocks.shape[1])

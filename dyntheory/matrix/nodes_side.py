"""Expectations as weighted means over nodes, with two readings of the basis per step.

Reading the basis is what a long run costs. One pass projects: the change of the vector since the last question (its
remainder is a larger part of it than of the vector itself) together with the next noise coordinates. Norms of the
remainders follow from Gram matrices alone, so coordinates are known before the remainders are. The other pass expands
the answer and, with it, makes the remainders, which the basis then takes in.

A remainder made from one projection is orthogonal to the basis up to rounding over its size, and such defects would
grow from step to step. The next projection measures them, and every later one corrects for them.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from dyntheory.ground.arrays import Array, PyTree
from dyntheory.matrix.orthonormal import drop_tolerance, gram_tolerance, norms_of, orthonormalising
from dyntheory.matrix.sides import pad_rows, unit_rows


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Pending:
    """Raw rows whose remainders the basis will take in at the next expansion.

    `components` are those along the basis, `transform` makes the remainders orthonormal. The first `num_vectors` rows
    are changes of a vector, the others noise, there only once it was asked for.
    """

    raw: Float[Array, "rows nodes"]
    components: Float[Array, "rows capacity"]
    gram: Float[Array, "rows rows"]
    transform: Float[Array, "rows rows"]
    num_vectors: int = dataclasses.field(metadata={"static": True})
    is_noise_wanted: bool = dataclasses.field(metadata={"static": True})


class NodeSpace(NamedTuple):
    """An orthonormal basis on nodes, zero rows where nothing is yet.

    `defect` is the measured Gram matrix of the basis minus the identity; `latest` are the rows not yet measured.
    `previous` is the last vector asked about as far as the basis represents it, `coordinates` are its own.
    """

    basis: Float[Array, "capacity nodes"]
    defect: Float[Array, "capacity capacity"]
    latest: Float[Array, "block nodes"]
    num_used: Int[Array, ""]
    noise_places: Int[Array, " answered"]
    num_drawn: Int[Array, ""]
    previous: Float[Array, "columns nodes"]
    coordinates: Float[Array, "columns capacity"]
    pending: Pending | None


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class NodeSide:
    """A side on nodes; fresh noise is the next coordinate, projected and moment-matched.

    Args:
        weights: shape (nodes,), summing to one.
        fixed: orthonormal rows that are there from the start: the constant, the label noise.
        reserve: raw noise coordinates in the order of their revelation, from number `first_in_reserve` on.
        first_in_reserve: how many noise coordinates came before those in the reserve.
        drop_below: root mean square of a remainder below which a direction is dropped; zero keeps all but rounding.
        num_columns: columns of every question but the first.
        is_asked_last: the last question of a step goes to this side, so its remainders wait until the next step; the
            reserve then reaches `num_columns` beyond the last step.
    """

    weights: Float[Array, " nodes"]
    fixed: Float[Array, "fixed nodes"]
    reserve: Float[Array, "noise nodes"]
    first_in_reserve: Array
    drop_below: Array
    num_columns: int = dataclasses.field(metadata={"static": True})
    is_asked_last: bool = dataclasses.field(default=False, metadata={"static": True})

    def inner(self, family: Array, vectors: Array) -> Array:
        """Return Σ_i ω_i a_i b_i for rows a, b; the few vectors carry the weights, the family is read once."""
        return family @ (self.weights[:, None] * vectors.T)

    def init(self, num_asked: int, num_answered: int) -> NodeSpace:
        """Return a space holding the fixed rows, with room for resolved vectors and noise."""
        basis = pad_rows(self.fixed, num_asked + num_answered)
        return NodeSpace(
            basis=basis,
            defect=jnp.zeros((basis.shape[0], basis.shape[0]), basis.dtype),
            latest=jnp.zeros((2 * self.num_columns, basis.shape[1]), basis.dtype),
            num_used=jnp.asarray(self.fixed.shape[0]),
            noise_places=jnp.zeros(num_answered, int),
            num_drawn=jnp.asarray(0),
            previous=jnp.zeros((self.num_columns, basis.shape[1]), basis.dtype),
            coordinates=jnp.zeros((self.num_columns, basis.shape[0]), basis.dtype),
            pending=None,
        )

    def grow(self, space: NodeSpace, count: int) -> NodeSpace:
        """Return the space with room for `count` resolved vectors and `count` noise vectors.

        A side that is asked last in a step always has something pending between steps: here an empty question.
        """
        space, wider = self._settle(space), 2 * count + self.num_columns * self.is_asked_last
        space = space._replace(
            basis=pad_rows(space.basis, wider),
            defect=jnp.pad(space.defect, ((0, wider), (0, wider))),
            noise_places=pad_rows(space.noise_places, count),
            coordinates=jnp.pad(space.coordinates, ((0, 0), (0, wider))),
        )
        return self._with_empty_question(space) if self.is_asked_last else space

    def capacity(self, space: NodeSpace) -> int:
        """Return the number of basis rows."""
        return space.basis.shape[0]

    def resolve(self, space: NodeSpace, vectors: Float[Array, "nodes columns"]) -> tuple[NodeSpace, Array]:
        """Return coordinates of the columns; what lies outside the basis waits for the next expansion."""
        space = self._settle(space)
        rows, count = vectors.T, vectors.shape[1]
        repeated = count == self.num_columns
        change = rows - space.previous if repeated else rows
        rounding = drop_tolerance(rows.dtype) * norms_of(self.inner(rows, rows))
        thresholds = jnp.maximum(rounding, self.drop_below)
        space, pending = self._project(space, change, self.num_columns, thresholds)
        new = (pending.gram @ pending.transform.T)[:count, :count]
        coordinates = pending.components[:count] + new @ unit_rows(
            space.num_used, count, self.capacity(space), rows.dtype
        )
        if repeated:
            coordinates = coordinates + space.coordinates
            space = space._replace(previous=rows, coordinates=coordinates)
        return space._replace(pending=pending, num_used=space.num_used + count), coordinates

    def fresh(self, space: NodeSpace, directions: Array, wanted: Float[Array, " count"]) -> NodeSpace:
        """Reveal the next noise coordinates: orthogonal to the whole basis, so to `directions` too."""
        del directions
        count, pending = wanted.shape[0], space.pending
        if pending is None:
            nothing = jnp.zeros((0, space.basis.shape[1]), space.basis.dtype)
            space, pending = self._project(space, nothing, count, jnp.zeros(0, space.basis.dtype))
        mask = jnp.concatenate([jnp.ones(pending.num_vectors, wanted.dtype), wanted])
        pending = dataclasses.replace(pending, transform=mask[:, None] * pending.transform, is_noise_wanted=True)
        places = space.num_used + jnp.arange(count)
        return space._replace(
            pending=pending,
            noise_places=jax.lax.dynamic_update_slice_in_dim(space.noise_places, places, space.num_drawn, 0),
            num_drawn=space.num_drawn + count,
            num_used=space.num_used + count,
        )

    def keep(self, space: NodeSpace, places: Int[Array, " kept"], count: Array) -> NodeSpace:
        """Return the space with some of its basis rows: `count` of the `places`, the others repeat the last."""
        space = self._settle(space)
        is_kept = jnp.arange(places.shape[0]) < count
        rows, square = is_kept[:, None], is_kept[:, None] & is_kept[None]
        new_place = jnp.zeros(self.capacity(space), int).at[places[::-1]].set(jnp.arange(places.shape[0])[::-1])
        return space._replace(
            basis=jnp.where(rows, space.basis[places], 0.0),
            defect=jnp.where(square, space.defect[places][:, places], 0.0),
            coordinates=jnp.where(is_kept, space.coordinates[:, places], 0.0),
            noise_places=new_place[space.noise_places],
            num_used=count,
        )

    def noise_components(self, space: NodeSpace, coordinates: Float[Array, "columns capacity"]) -> Array:
        """Return the coordinates at the places of the noise."""
        return coordinates[:, space.noise_places]

    def noise_combination(self, space: NodeSpace, coefficients: Float[Array, "columns answered"]) -> Array:
        """Return the coefficients at the places of the noise."""
        nothing = jnp.zeros((coefficients.shape[0], self.capacity(space)), coefficients.dtype)
        return nothing.at[:, space.noise_places].add(coefficients)

    def expand(self, space: NodeSpace, coordinates: Float[Array, "columns capacity"]) -> tuple[NodeSpace, Array]:
        """Return Σ_b c_b F_b on the nodes, after the basis took in what was pending: one reading for both."""
        pending = space.pending
        if pending is None:
            return space, (coordinates @ space.basis).T
        products = jnp.concatenate([coordinates, pending.components]) @ space.basis
        found, space = self._take_in(space, pending, products[coordinates.shape[0] :])
        start = space.num_used - found.shape[0]
        own = jax.lax.dynamic_slice_in_dim(coordinates, start, found.shape[0], 1)
        return space, (products[: coordinates.shape[0]] + own @ found).T

    def mean(self, values: PyTree) -> PyTree:
        """Return Σ_i ω_i x_i, leaf by leaf."""
        return jax.tree.map(lambda x: jnp.tensordot(self.weights, x, axes=1), values)

    def gram(self, left: Array, right: Array) -> Array:
        """Return Σ_i ω_i left_i right_iᵀ."""
        return self.inner(left.T, right.T)

    def _project(self, space: NodeSpace, change: Array, num_noise: int, thresholds: Array) -> tuple[NodeSpace, Pending]:
        """Return the changes and the next noise with their components along the basis."""
        noise = jax.lax.dynamic_slice_in_dim(self.reserve, space.num_drawn - self.first_in_reserve, num_noise)
        raw = jnp.concatenate([change, noise])
        has_latest = space.latest.shape[0] <= self.capacity(space) and change.shape[0] > 0
        asked = jnp.concatenate([raw, space.latest]) if has_latest else raw
        # Without the barrier XLA folds the transpose into the product, which then runs at a third of the speed.
        products = jax.lax.optimization_barrier(self.inner(space.basis, asked)).T
        projected = products[: raw.shape[0]]
        if has_latest:
            space = self._measured(space, products[raw.shape[0] :])
        components = projected - projected @ space.defect
        total = self.inner(raw, raw)
        gram = total - components @ projected.T
        absent = jnp.concatenate([thresholds, jnp.zeros(num_noise, thresholds.dtype)])
        absent = jnp.maximum(absent, gram_tolerance(raw.dtype) * norms_of(total))
        return space, Pending(raw, components, gram, orthonormalising(gram, absent), change.shape[0], False)

    def _measured(self, space: NodeSpace, products: Float[Array, "block capacity"]) -> NodeSpace:
        """Return the space with the defects of its latest rows, given their inner products with the basis."""
        count = space.latest.shape[0]
        start = space.num_used - count
        exists = jnp.any(space.latest != 0, axis=1)
        units = unit_rows(start, count, self.capacity(space), products.dtype)
        rows = jnp.where(exists[:, None], products - units, 0.0)
        defect = jax.lax.dynamic_update_slice_in_dim(space.defect, rows, start, 0)
        return space._replace(defect=jax.lax.dynamic_update_slice_in_dim(defect, rows.T, start, 1))

    def _with_empty_question(self, space: NodeSpace) -> NodeSpace:
        """Return the space as if it had been asked about vectors that are zero."""
        nothing = jnp.zeros((self.num_columns, space.basis.shape[1]), space.basis.dtype)
        space, pending = self._project(space, nothing, self.num_columns, jnp.zeros(self.num_columns, nothing.dtype))
        return space._replace(pending=pending, num_used=space.num_used + self.num_columns)

    def _settle(self, space: NodeSpace) -> NodeSpace:
        """Return the space with nothing pending."""
        if space.pending is None:
            return space
        return self._take_in(space, space.pending, space.pending.components @ space.basis)[1]

    def _take_in(self, space: NodeSpace, pending: Pending, inside: Array) -> tuple[Array, NodeSpace]:
        """Return the new orthonormal rows, and the space that has them; `inside` is the part in the basis."""
        count = pending.num_vectors
        size = pending.raw.shape[0] if pending.is_noise_wanted else count
        outside = pending.raw - inside
        rows = pending.transform[:size, :size] @ outside[:size]
        gram = self.inner(rows, rows)
        found = orthonormalising(gram, jnp.full(size, 0.5, gram.dtype)) @ rows
        basis = jax.lax.dynamic_update_slice_in_dim(space.basis, found, space.num_used - size, 0)
        if count == self.num_columns:
            kept = (pending.gram @ pending.transform.T)[:count, :count] @ found[:count]
            space = space._replace(previous=space.previous - (outside[:count] - kept))
        latest = found if size == space.latest.shape[0] else jnp.zeros_like(space.latest)
        return found, space._replace(basis=basis, latest=latest, pending=None)

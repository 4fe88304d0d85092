"""Exact coordinates in a fixed frame, for linear row maps: the feature side of the limit without nodes."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Float

from dyntheory.ground.arrays import Array, PyTree


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class FrameSide:
    """Coordinates along the teacher and initial weights and every innovation; fresh noise is the next of them.

    The space says how many innovations there is room for: an array of no columns, its rows are counted.

    Args:
        num_coordinates: D, all that the run will need.
        num_initial: coordinates that the teacher and initial weights take.
    """

    num_coordinates: int = dataclasses.field(metadata={"static": True})
    num_initial: int = dataclasses.field(metadata={"static": True})

    def init(self, num_asked: int, num_answered: int) -> Array:
        """Return a space with room for so many innovations."""
        del num_asked
        return jnp.zeros((num_answered, 0))

    def grow(self, space: Array, count: int) -> Array:
        """Return the space with room for `count` more innovations."""
        return jnp.zeros((space.shape[0] + count, 0))

    def capacity(self, space: Array) -> int:
        """Return D."""
        del space
        return self.num_coordinates

    def resolve(self, space: Array, vectors: Float[Array, "coordinates columns"]) -> tuple[Array, Array]:
        """Return the vectors themselves: they are coordinates."""
        return space, vectors.T

    def fresh(self, space: Array, directions: Array, wanted: Array) -> Array:
        """Reveal the next coordinates: orthogonal to everything so far as they are."""
        del directions, wanted
        return space

    def noise_components(self, space: Array, coordinates: Float[Array, "columns coordinates"]) -> Array:
        """Return the coordinates along the innovations."""
        return coordinates[:, self.num_initial : self.num_initial + space.shape[0]]

    def noise_combination(self, space: Array, coefficients: Float[Array, "columns answered"]) -> Array:
        """Return the coefficients at the places of the innovations."""
        rest = self.num_coordinates - self.num_initial - space.shape[0]
        return jnp.pad(coefficients, ((0, 0), (self.num_initial, rest)))

    def expand(self, space: Array, coordinates: Float[Array, "columns coordinates"]) -> tuple[Array, Array]:
        """Return the coordinates themselves."""
        return space, coordinates.T

    def mean(self, values: PyTree) -> PyTree:
        """Refuse: a frame has no rows to average."""
        if jax.tree.leaves(values):
            raise ValueError("Row statistics are undefined on a frame; this method needs feature nodes.")
        return values

    def gram(self, left: Array, right: Array) -> Array:
        """Return the dot products of columns."""
        return left.T @ right

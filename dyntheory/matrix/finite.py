"""A Gaussian matrix of finite size that is never stored: both sides are finite and fresh noise is drawn as it is asked.

It has exactly the law of a dense Gaussian matrix at any n and d, also after every direction has been revealed. Work and
memory are O((n + d) K²) and O((n + d) K) for K revealed directions.

Reference: `lu2021householder`.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from dyntheory.ground.arrays import Array, Key, PyTree
from dyntheory.matrix.orthonormal import euclidean, extend
from dyntheory.matrix.revealed import RevealedMatrix
from dyntheory.matrix.sides import pad_rows, unit_rows


class FiniteSpace(NamedTuple):
    """An orthonormal basis (mean square 1), zero rows where nothing is yet, and the noise in it."""

    basis: Float[Array, "capacity points"]
    noise: Float[Array, "answered capacity"]
    num_used: Int[Array, ""]
    num_noise: Int[Array, ""]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class FiniteSide:
    """One side of a finite Gaussian matrix; inner products are plain means over its points.

    Args:
        key: of this side's noise.
        num_points: n or d.
        projection: make noise orthogonal to the known directions; False is wrong and serves as a negative control.
    """

    key: Key
    num_points: int = dataclasses.field(metadata={"static": True})
    projection: bool = dataclasses.field(default=True, metadata={"static": True})

    def inner(self, family: Array, vectors: Array) -> Array:
        """Return the means a_i b_i for rows a, b."""
        return family @ vectors.T / self.num_points

    def init(self, num_asked: int, num_answered: int) -> FiniteSpace:
        """Return an empty space with room for that many vectors."""
        room = num_asked + num_answered
        basis = jnp.zeros((room, self.num_points), float)
        return FiniteSpace(basis, jnp.zeros((num_answered, room), float), jnp.asarray(0), jnp.asarray(0))

    def grow(self, space: FiniteSpace, count: int) -> FiniteSpace:
        """Return the space with room for `count` resolved vectors and `count` noise vectors."""
        noise = jnp.pad(space.noise, ((0, count), (0, 2 * count)))
        return space._replace(basis=pad_rows(space.basis, 2 * count), noise=noise)

    def capacity(self, space: FiniteSpace) -> int:
        """Return the number of basis rows."""
        return space.basis.shape[0]

    def resolve(self, space: FiniteSpace, vectors: Float[Array, "points columns"]) -> tuple[FiniteSpace, Array]:
        """Return coordinates of the columns, adding what lies outside the basis to it."""
        rows = vectors.T
        found, coordinates = extend(rows, space.basis, self.inner)
        new = unit_rows(space.num_used, rows.shape[0], self.capacity(space), rows.dtype)
        basis = jax.lax.dynamic_update_slice_in_dim(space.basis, found, space.num_used, 0)
        coordinates = coordinates + self.inner(found, rows).T @ new
        return space._replace(basis=basis, num_used=space.num_used + rows.shape[0]), coordinates

    def fresh(self, space: FiniteSpace, directions: Array, wanted: Float[Array, " count"]) -> FiniteSpace:
        """Draw standard normal vectors, make them orthogonal to `directions`, remember them."""
        count = wanted.shape[0]
        draw = jax.random.normal(jax.random.fold_in(self.key, space.num_used), (self.num_points, count), float)
        space, fresh = self.resolve(space, draw)
        fresh = wanted[:, None] * (fresh - self.projection * euclidean(fresh, directions) @ directions)
        noise = jax.lax.dynamic_update_slice_in_dim(space.noise, fresh, space.num_noise, 0)
        return space._replace(noise=noise, num_noise=space.num_noise + count)

    def noise_components(self, space: FiniteSpace, coordinates: Float[Array, "columns capacity"]) -> Array:
        """Return the inner products with the noise."""
        return euclidean(coordinates, space.noise)

    def noise_combination(self, space: FiniteSpace, coefficients: Float[Array, "columns answered"]) -> Array:
        """Return the combination of the noise."""
        return coefficients @ space.noise

    def expand(self, space: FiniteSpace, coordinates: Float[Array, "columns capacity"]) -> tuple[FiniteSpace, Array]:
        """Return Σ_b c_b F_b."""
        return space, (coordinates @ space.basis).T

    def mean(self, values: PyTree) -> PyTree:
        """Return the mean over points of every leaf."""
        return jax.tree.map(lambda x: jnp.mean(x, axis=0), values)

    def gram(self, left: Array, right: Array) -> Array:
        """Return the mean of left_i right_iᵀ."""
        return left.T @ right / self.num_points


def finite_matrix(
    key: Key,
    num_samples: int,
    num_features: int,
    *,
    num_teacher_units: int,
    num_units: int,
    projection: bool = True,
) -> RevealedMatrix:
    """Return a Gaussian matrix X (n, d) that is revealed as it is asked about.

    Args:
        key: decides all of its entries.
        num_samples: n.
        num_features: d.
        num_teacher_units: r, columns of the first question.
        num_units: k, columns of every later question.
        projection: False is wrong and serves as a negative control, see `FiniteSide`.
    """
    sample_key, feature_key = jax.random.split(key)
    return RevealedMatrix(
        jnp.asarray(num_samples / num_features),
        rows=FiniteSide(sample_key, num_samples, projection),
        columns=FiniteSide(feature_key, num_features, projection),
        drop_below=jnp.zeros(()),
        num_first_vectors=num_teacher_units,
        num_vectors=num_units,
    )

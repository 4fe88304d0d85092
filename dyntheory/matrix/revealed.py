"""A Gaussian matrix revealed as it is asked about (Bolthausen conditioning).

Asked for X w, it splits w along the directions q of the column side known so far; the remainder becomes a new q with
a fresh noise vector ε on the row side. Asked for Xᵀ g, it does the mirror image with directions ĝ of the row side and
noise v on the column side. With mean q² = mean ĝ² = 1,

    h = Σ_r ε^r ⟨q^r, w⟩ + α^{-1/2} Σ_s ĝ^s ⟨v^s, w⟩        p = α^{1/2} Σ_s v^s ⟨ĝ^s, g⟩ + α Σ_r q^r ⟨ε^r, g⟩.

The second sums are the Onsager memory; a fresh ε is made orthogonal to the ĝ known so far, a fresh v to the q. No map
is differentiated. What varies is the pair of sides: nodes and a frame make the limit n, d → ∞; two finite sides have
exactly the law of a Gaussian matrix, at any size, without storing it.

Reference: `bolthausen2014iterative`; `lu2021householder`; `celentano2021high`.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from dyntheory.ground.arrays import Array, PyTree
from dyntheory.matrix.orthonormal import euclidean, extend
from dyntheory.matrix.sides import Side

MAX_SEGMENTS = 4
MIN_SEGMENT = 25


class Half(NamedTuple):
    """What has been revealed on one side: its space, and the directions asked about in coordinates of it.

    The r-th direction of one side belongs to the r-th noise vector with which the other side answered.
    """

    space: Any
    directions: Float[Array, "asked capacity"]
    num_directions: Int[Array, ""]


class Revealed(NamedTuple):
    """What has been revealed of the matrix."""

    rows: Half
    columns: Half


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class RevealedMatrix:
    """Answers X w/√d and Xᵀ g/√d by revelation.

    Args:
        rows_per_column: α.
        rows: the row side.
        columns: the column side.
        drop_below: root mean square of a remainder below which a direction is dropped; zero keeps all but rounding.
        num_first_vectors: r, vectors asked about once, at the start, alone or with the first k.
        num_vectors: k, vectors of every later question.
        memory: keep the Onsager term of h; False is wrong and serves as a negative control.
    """

    rows_per_column: Array
    rows: Side
    columns: Side
    drop_below: Array
    num_first_vectors: int = dataclasses.field(metadata={"static": True})
    num_vectors: int = dataclasses.field(metadata={"static": True})
    memory: bool = dataclasses.field(default=True, metadata={"static": True})

    def init(self) -> Revealed:
        """Return a state with nothing revealed and room for the first r + k vectors."""
        asked = self.num_first_vectors + self.num_vectors
        return Revealed(_new_half(self.rows, 0, asked), _new_half(self.columns, asked, 0))

    def segments(self, num_steps: int) -> tuple[int, ...]:
        """Return how a run is cut so that products with padding cost little: equal parts, four at most."""
        count = min(MAX_SEGMENTS, max(1, num_steps // MIN_SEGMENT))
        if num_steps == 0:
            return ()
        bounds = [round(num_steps * i / count) for i in range(count + 1)]
        return tuple(b - a for a, b in itertools.pairwise(bounds))

    def grow(self, state: Revealed, num_steps: int) -> Revealed:
        """Return the state with room for `num_steps` more steps."""
        count = self.num_vectors * num_steps
        return Revealed(_grow_half(self.rows, state.rows, count), _grow_half(self.columns, state.columns, count))

    def times(self, state: Revealed, w: Float[Array, "columns vectors"]) -> tuple[Revealed, Array]:
        """Return h = X w/√d, shape (rows, vectors)."""
        scales = (jnp.ones(()), jax.lax.rsqrt(self.rows_per_column) * self.memory)
        sides = (self.columns, state.columns, self.rows, state.rows)
        columns, rows, h = _ask(*sides, w, scales, self.drop_below)
        return Revealed(rows, columns), h

    def transpose_times(self, state: Revealed, g: Float[Array, "rows vectors"]) -> tuple[Revealed, Array]:
        """Return p = Xᵀ g/√d, shape (columns, vectors)."""
        scales = (jnp.sqrt(self.rows_per_column), self.rows_per_column)
        sides = (self.rows, state.rows, self.columns, state.columns)
        rows, columns, p = _ask(*sides, g, scales, self.drop_below)
        return Revealed(rows, columns), p

    def row_mean(self, values: PyTree) -> PyTree:
        """Return the mean over rows of every leaf."""
        return self.rows.mean(values)

    def column_mean(self, values: PyTree) -> PyTree:
        """Return the mean over columns of every leaf; refused on a frame."""
        return self.columns.mean(values)

    def column_gram(self, left: Float[Array, "columns a"], right: Float[Array, "columns b"]) -> Array:
        """Return the mean over columns of left rightᵀ, shape (a, b)."""
        return self.columns.gram(left, right)


def _ask(
    near_side: Side,
    near: Half,
    far_side: Side,
    far: Half,
    vectors: Array,
    scales: tuple[Array, Array],
    drop_below: Array,
) -> tuple[Half, Half, Array]:
    """Ask about `vectors` of the near side; return both halves and the answer on the far side.

    `scales` multiply the fresh and the memory sum.
    """
    near_space, asked = near_side.resolve(near.space, vectors)
    found, _ = extend(asked, near.directions, euclidean, drop_below)
    directions = jax.lax.dynamic_update_slice_in_dim(near.directions, found, near.num_directions, 0)
    near = Half(near_space, directions, near.num_directions + vectors.shape[1])
    is_new = jnp.asarray(jnp.sum(found * found, axis=1) > 0.5, found.dtype)
    far_space = far_side.fresh(far.space, far.directions, is_new)
    answer = scales[0] * far_side.noise_combination(far_space, asked @ directions.T)
    answer = answer + scales[1] * near_side.noise_components(near_space, asked) @ far.directions
    far_space, values = far_side.expand(far_space, answer)
    return near, far._replace(space=far_space), values


def _new_half(side: Side, num_asked: int, num_answered: int) -> Half:
    space = side.init(num_asked, num_answered)
    return Half(space, jnp.zeros((num_asked, side.capacity(space)), float), jnp.asarray(0))


def _grow_half(side: Side, half: Half, count: int) -> Half:
    space = side.grow(half.space, count)
    wider = side.capacity(space) - half.directions.shape[1]
    return half._replace(space=space, directions=jnp.pad(half.directions, ((0, count), (0, wider))))

"""Correlated features: X = Z Λ^{1/2} answers through Z. X w = Z (√λ ∘ w), Xᵀ g = √λ ∘ (Zᵀ g).

Features are in the eigenbasis of their covariance. Whoever answers for Z (a stored matrix, a revealed one, the limit)
sees scaled rows and knows nothing of λ; so do the maps of a method.
"""

from __future__ import annotations

import dataclasses
from typing import TypeVar

import jax
from jaxtyping import Float

from dyntheory.ground.arrays import Array, PyTree
from dyntheory.matrix.dense import DenseMatrix
from dyntheory.matrix.revealed import RevealedMatrix


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class ScaledMatrix:
    """X = Z Λ^{1/2} for a matrix Z of independent entries.

    Args:
        matrix: Z.
        scales: √λ of each column.
    """

    matrix: DenseMatrix | RevealedMatrix
    scales: Float[Array, " columns"]

    def init(self) -> PyTree:
        """Return the state of Z before any question."""
        return self.matrix.init()

    def segments(self, num_steps: int) -> tuple[int, ...]:
        """Return the pieces of Z."""
        return self.matrix.segments(num_steps)

    def grow(self, state: PyTree, num_steps: int) -> PyTree:
        """Make room for that many more steps."""
        return self.matrix.grow(state, num_steps)

    def times(self, state: PyTree, w: Float[Array, "columns vectors"]) -> tuple[PyTree, Array]:
        """Return h = Z (√λ ∘ w)/√d, shape (rows, vectors)."""
        return self.matrix.times(state, self._scaled(w))

    def transpose_times(self, state: PyTree, g: Float[Array, "rows vectors"]) -> tuple[PyTree, Array]:
        """Return p = √λ ∘ Zᵀ g/√d, shape (columns, vectors)."""
        state, answer = self.matrix.transpose_times(state, g)
        return state, self._scaled(answer)

    def row_mean(self, values: PyTree) -> PyTree:
        """Return the mean over rows of every leaf."""
        return self.matrix.row_mean(values)

    def column_mean(self, values: PyTree) -> PyTree:
        """Return the mean over columns of every leaf, not weighted by λ."""
        return self.matrix.column_mean(values)

    def column_gram(self, left: Float[Array, "columns a"], right: Float[Array, "columns b"]) -> Array:
        """Return the mean over columns of λ left rightᵀ: the covariance of a fresh row's preactivations."""
        return self.matrix.column_gram(self._scaled(left), self._scaled(right))

    def _scaled(self, vectors: Float[Array, "columns vectors"]) -> Array:
        return self.scales[:, None] * vectors


Unscaled = TypeVar("Unscaled", bound=DenseMatrix | RevealedMatrix)


def scaled(matrix: Unscaled, scales: Float[Array, " columns"] | None) -> Unscaled | ScaledMatrix:
    """Return X = Z Λ^{1/2}, or Z itself where no scales √λ are given."""
    return matrix if scales is None else ScaledMatrix(matrix, scales)

"""The matrix itself: a dense array X answers X w/√d and Xᵀ g/√d. Two matrix products a step."""

from __future__ import annotations

import dataclasses
import math

import jax
import jax.numpy as jnp
from jaxtyping import Float

from dyntheory.ground.arrays import Array, PyTree


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class DenseMatrix:
    """A stored matrix X (n, d) with iid rows of mean 0 and variance 1; it has no state of its own.

    Stored in float32 it multiplies in float32; what goes in and comes out keeps its own precision.
    """

    inputs: Float[Array, "rows columns"]

    def init(self) -> PyTree:
        """Return the empty state."""
        return ()

    def segments(self, num_steps: int) -> tuple[int, ...]:
        """Return the whole run as one piece."""
        return (num_steps,) if num_steps else ()

    def grow(self, state: PyTree, num_steps: int) -> PyTree:
        """Return the state as it is: a stored matrix needs no room."""
        del num_steps
        return state

    def times(self, state: PyTree, w: Float[Array, "columns vectors"]) -> tuple[PyTree, Array]:
        """Return h = X w/√d, shape (rows, vectors)."""
        return state, _product(self.inputs, w) / math.sqrt(self.inputs.shape[1])

    def transpose_times(self, state: PyTree, g: Float[Array, "rows vectors"]) -> tuple[PyTree, Array]:
        """Return p = Xᵀ g/√d, shape (columns, vectors)."""
        # gᵀX reads X along its rows; Xᵀg of a single column is ten times slower where that matters (XLA on CPUs).
        return state, _product(g.T, self.inputs).T / math.sqrt(self.inputs.shape[1])

    def row_mean(self, values: PyTree) -> PyTree:
        """Return the mean over rows of every leaf."""
        return jax.tree.map(lambda x: jnp.mean(x, axis=0), values)

    def column_mean(self, values: PyTree) -> PyTree:
        """Return the mean over columns of every leaf."""
        return jax.tree.map(lambda x: jnp.mean(x, axis=0), values)

    def column_gram(self, left: Float[Array, "columns a"], right: Float[Array, "columns b"]) -> Array:
        """Return leftᵀ right/d, shape (a, b)."""
        return left.T @ right / left.shape[0]


def _product(left: Array, right: Array) -> Array:
    """Multiply in the lower precision of the two, in full (no tensor-float), and return the higher one."""
    dtypes = (left.dtype, right.dtype)
    low, high = min(dtypes, key=_bits), max(dtypes, key=_bits)
    return jnp.matmul(left.astype(low), right.astype(low), precision="highest").astype(high)


def _bits(dtype: jnp.dtype) -> int:
    return jnp.finfo(dtype).bits

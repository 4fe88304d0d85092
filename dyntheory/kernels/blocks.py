"""A kernel block by block within one computation, so that what lies between two layers stays in the cache.

A matrix of rows by rows is cut into blocks of some 2^18 numbers; of a symmetric matrix one triangle is computed and
mirrored. The intermediate moments then cost no memory worth speaking of, whatever the number of rows or positions.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from dyntheory.ground.arrays import Array, PyTree

NUMBERS_IN_A_BLOCK = 2**18

BlockKernel = Callable[[Array, Array, tuple[Array, Array] | None], tuple[PyTree, Array]]


def _even(total: int, most: int) -> tuple[int, int]:
    """Return the number of pieces and their size, as even as can be, none above `most`."""
    num = math.ceil(total / max(most, 1))
    return num, math.ceil(total / num)


def _pad(array: Array, length: int) -> Array:
    """Repeat the last row."""
    widths = ((0, length - array.shape[0]),) + ((0, 0),) * (array.ndim - 1)
    return jnp.pad(array, widths, mode="edge")


def _interleave(blocks: Array) -> Array:
    """Join (I, J, b1, b2, …) into (I·b1, J·b2, …)."""
    joined = jnp.swapaxes(blocks, 1, 2)
    return joined.reshape(blocks.shape[0] * blocks.shape[2], blocks.shape[1] * blocks.shape[3], *blocks.shape[4:])


def in_blocks(
    compute: BlockKernel,
    x1: Array,
    x2: Array,
    rows: tuple[Array, Array] | None,
    *,
    numbers_per_pair: int,
    symmetric: bool,
) -> tuple[PyTree, Array]:
    """Return `compute(x1, x2, rows)`, computed in blocks when it is large.

    Args:
        compute: rows, rows and their labels to arrays (n1, n2, …), and one number of which the largest is returned.
        x1: (n1, …).
        x2: (n2, …); `x1` itself when symmetric.
        rows: labels of the rows of both, or None.
        numbers_per_pair: size of the moments of one pair of rows.
        symmetric: whether the two sets are one, and the result a symmetric matrix.
    """
    if x1.shape[0] * x2.shape[0] * numbers_per_pair <= NUMBERS_IN_A_BLOCK:
        return compute(x1, x2, rows)
    area = max(NUMBERS_IN_A_BLOCK // numbers_per_pair, 1)
    side = max(math.isqrt(area), 1)
    num2, size2 = _even(x2.shape[0], side if symmetric else area // min(side, x1.shape[0]))
    num1, size1 = _even(x1.shape[0], side if symmetric else area // size2)
    padded = (_pad(x1, num1 * size1), _pad(x2, num2 * size2))
    labels = None if rows is None else (_pad(rows[0], num1 * size1), _pad(rows[1], num2 * size2))

    def block(index: tuple[Array, Array]) -> tuple[PyTree, Array]:
        def cut(pair: tuple[Array, Array]) -> tuple[Array, Array]:
            return (
                jax.lax.dynamic_slice_in_dim(pair[0], index[0] * size1, size1),
                jax.lax.dynamic_slice_in_dim(pair[1], index[1] * size2, size2),
            )

        return compute(*cut(padded), None if labels is None else cut(labels))

    grid = [(i, j) for i in range(num1) for j in range(i if symmetric else 0, num2)]
    found, error = jax.lax.map(block, tuple(jnp.asarray(side) for side in zip(*grid, strict=True)))
    place = {pair: number for number, pair in enumerate(grid)}

    def assemble(blocks: Array) -> Array:
        if symmetric:
            order = jnp.asarray([[place[min(i, j), max(i, j)] for j in range(num2)] for i in range(num1)])
            lower = jnp.asarray([[i > j for j in range(num2)] for i in range(num1)])[:, :, None, None]
            both = blocks[order]
            full = _interleave(jnp.where(lower, jnp.swapaxes(both, 2, 3), both))
        else:
            full = _interleave(blocks.reshape(num1, num2, *blocks.shape[1:]))
        return full[: x1.shape[0], : x2.shape[0]]

    return jax.tree.map(assemble, found), jnp.max(error)

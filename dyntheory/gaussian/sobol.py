"""Scrambled Sobol points, any rows of them at a time.

A digital net is a linear map over bits: point i is the shift ⊕ the columns of the bits of its Gray code. The scrambled
columns are read off a few points of SciPy's generator. The points themselves are two small tables XORed together, so a
run of any length makes the coordinates of its next steps and no more. Their normal quantiles are taken on the device;
those of a few by SciPy, sooner than a program for their shape is compiled. Contiguous blocks are nets themselves.

Reference: `owen1998scrambling`.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, UInt32
from scipy.special import ndtri
from scipy.stats import qmc

from dyntheory.ground.arrays import Array
from dyntheory.ground.precision import double_precision

MAX_DIMENSIONS = 21201
SOBOL_BITS = 30
FEW = 2**21


class SobolNet(NamedTuple):
    """A net of 2^bits points: `columns` (bits, dimensions) for the bits of the index, and the first point."""

    columns: UInt32[np.ndarray, "bits dimensions"]
    shift: UInt32[np.ndarray, " dimensions"]

    @property
    def num_nodes(self) -> int:
        """Number of points."""
        return 2 ** self.columns.shape[0]

    def rows(self, start: int, stop: int) -> SobolNet:
        """Return the net in some of its dimensions."""
        return SobolNet(self.columns[:, start:stop], self.shift[start:stop])

    def blocks(self, num_blocks: int) -> list[SobolNet]:
        """Return contiguous parts, a power of two of them."""
        low = self.columns.shape[0] - round(math.log2(num_blocks))
        return [
            SobolNet(self.columns[:low], self.shift ^ _combine(self.columns[low:], block))
            for block in range(num_blocks)
        ]


def _combine(columns: np.ndarray, index: int) -> np.ndarray:
    chosen = [bool(index >> bit & 1) for bit in range(len(columns))]
    return np.bitwise_xor.reduce(columns[chosen], axis=0)


def check_net(num_nodes: int, num_dimensions: int) -> None:
    """Refuse a net that there is not.

    Raises:
        ValueError: too many dimensions, or N not a power of two.
    """
    if num_dimensions > MAX_DIMENSIONS:
        raise ValueError(
            f"The node set needs {num_dimensions} dimensions (innovations of all steps), Sobol points have at most "
            f"{MAX_DIMENSIONS}: lower num_steps × num_units."
        )
    if num_nodes < 1 or num_nodes & (num_nodes - 1):
        raise ValueError(f"`num_nodes` must be a power of two, got {num_nodes}.")


def sobol_net(num_nodes: int, num_dimensions: int, seed: int) -> SobolNet:
    """Return a scrambled net.

    Args:
        num_nodes: N, a power of two.
        num_dimensions: at most 21,201.
        seed: decides the scrambling.

    Raises:
        ValueError: too many dimensions, or N not a power of two.
    """
    check_net(num_nodes, num_dimensions)
    sampler = qmc.Sobol(num_dimensions, scramble=True, bits=SOBOL_BITS, rng=np.random.default_rng(seed))

    def point() -> np.ndarray:
        return np.round(np.ldexp(sampler.random(1)[0], SOBOL_BITS)).astype(np.uint32)

    first = last = point()
    columns = np.zeros((num_nodes.bit_length() - 1, num_dimensions), np.uint32)
    for bit in range(len(columns)):
        if bit > 1:
            sampler.fast_forward(2 ** (bit - 1) - 2)
            last = point()
        here = point()
        columns[bit] = here ^ last
        last = here
    # From columns of the Gray code to columns of the index: bit j of the index flips bits j and j - 1 of its code.
    columns[1:] ^= columns[:-1].copy()
    return SobolNet(columns, first)


def _digits(net: SobolNet) -> UInt32[np.ndarray, "dimensions nodes"]:
    """Return the points as integers."""
    half = len(net.columns) // 2
    low, high = (_table(part) for part in (net.columns[:half], net.columns[half:]))
    return (net.shift[:, None, None] ^ high[:, :, None] ^ low[:, None, :]).reshape(len(net.shift), -1)


def _table(columns: np.ndarray) -> np.ndarray:
    table = np.zeros((columns.shape[1], 1), columns.dtype)
    for row in columns:
        table = np.concatenate([table, table ^ row[:, None]], axis=1)
    return table


@functools.partial(jax.jit, static_argnames="sharding")
def _quantile(digits: Array, sharding: jax.sharding.Sharding | None) -> Array:
    # 2u − 1 for the midpoint of the cell, exact in float64.
    centred = (digits.astype(jnp.float64) + 0.5) * 2.0 ** (1 - SOBOL_BITS) - 1.0
    values = math.sqrt(2.0) * jax.lax.erf_inv(centred)
    return values if sharding is None else jax.lax.with_sharding_constraint(values, sharding)


def uniforms(net: SobolNet) -> Float[np.ndarray, "dimensions nodes"]:
    """Return the points in (0, 1), at the midpoints of their cells, as a NumPy array."""
    points = _digits(net) + 0.5
    points /= 2**SOBOL_BITS
    return points


def normals(net: SobolNet, sharding: jax.sharding.Sharding | None = None) -> Float[Array, "dimensions nodes"]:
    """Return the points through the normal quantile, in float64, on the device.

    Args:
        net: the points.
        sharding: how to spread them over devices; default as JAX places them.
    """
    with double_precision():
        if sharding is None and net.num_nodes * len(net.shift) <= FEW:
            values = uniforms(net)
            return jnp.asarray(ndtri(values, out=values))
        return _quantile(_digits(net), sharding)

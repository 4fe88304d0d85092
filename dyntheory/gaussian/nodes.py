"""Node sets: scrambled Sobol points through the normal quantile, the first coordinates from a heavier law.

The first r coordinates (the teacher's, where heavy links live) are drawn from Q(z) = ¾ Φ(z) + ¼ Φ(z/2) on midpoints and
carry weights dΦ/dQ, normalised to sum one; all others are standard normal. Contiguous blocks of a Sobol sequence are
nets themselves: they serve as the sub-nets of the error bar.

Reference: `owen1998scrambling` for scrambled nets.
"""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import ndtr, ndtri
from scipy.stats import qmc

MAX_DIMENSIONS = 21201
NUM_BLOCKS = 8
SOBOL_BITS = 30


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class NodeSet:
    """Points that stand for independent standard normal coordinates.

    Args:
        coordinates: shape (..., dimensions, nodes), one row per coordinate.
        weights: shape (..., nodes), summing to one.
    """

    coordinates: np.ndarray | jax.Array
    weights: np.ndarray | jax.Array

    @property
    def num_nodes(self) -> int:
        """Number of points N."""
        return self.coordinates.shape[-1]

    def as_arrays(self) -> tuple[jax.Array, jax.Array]:
        """Return coordinates and weights in JAX's current floating type."""
        return jnp.asarray(self.coordinates, dtype=float), jnp.asarray(self.weights, dtype=float)


def heavy_quantile(uniforms: np.ndarray) -> np.ndarray:
    """Return Q⁻¹(u) for Q(z) = ¾ Φ(z) + ¼ Φ(z/2), by table and two Newton steps."""
    grid = np.linspace(-20.0, 20.0, 8001)
    values = np.interp(uniforms, 0.75 * ndtr(grid) + 0.25 * ndtr(grid / 2), grid)
    for _ in range(2):
        excess = 0.75 * ndtr(values) + 0.25 * ndtr(values / 2) - uniforms
        density = (0.75 * np.exp(-(values**2) / 2) + 0.125 * np.exp(-(values**2) / 8)) / np.sqrt(2 * np.pi)
        values = values - excess / density
    return values


def heavy_weights(values: np.ndarray) -> np.ndarray:
    """Return Σ-normalised weights Π_a 1/(¾ + ⅛ exp(3 z_a²/8)) for values of shape (..., r, nodes)."""
    weights = np.prod(1.0 / (0.75 + 0.125 * np.exp(0.375 * values**2)), axis=-2)
    return weights / weights.sum(axis=-1, keepdims=True)


@functools.lru_cache(maxsize=2)
def _sobol(num_nodes: int, num_dimensions: int, seed: int) -> np.ndarray:
    sampler = qmc.Sobol(num_dimensions, scramble=True, bits=SOBOL_BITS, rng=np.random.default_rng(seed))
    uniforms = sampler.random(num_nodes) + 0.5 / 2**SOBOL_BITS
    uniforms.flags.writeable = False
    return uniforms


def draw_nodes(
    num_nodes: int, num_dimensions: int, *, num_heavy: int, seed: int, num_blocks: int | None = None
) -> NodeSet:
    """Draw a scrambled Sobol node set, whole or cut into contiguous sub-nets.

    Args:
        num_nodes: N, a power of two.
        num_dimensions: number of coordinates, at most 21,201.
        num_heavy: how many leading coordinates come from the heavier law.
        seed: decides the scrambling; the same seed gives the same points whether cut or not.
        num_blocks: cut into that many sub-nets: a leading axis of blocks, each with its own midpoints and weights.

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
    uniforms = _sobol(num_nodes, num_dimensions, seed)
    blocks = uniforms.reshape(num_blocks or 1, -1, num_dimensions)
    size = blocks.shape[1]
    coordinates = np.empty((blocks.shape[0], num_dimensions, size))
    midpoints = (np.floor(blocks[..., :num_heavy] * size) + 0.5) / size
    coordinates[:, :num_heavy] = np.moveaxis(heavy_quantile(midpoints), -1, -2)
    coordinates[:, num_heavy:] = np.moveaxis(ndtri(blocks[..., num_heavy:]), -1, -2)
    weights = heavy_weights(coordinates[:, :num_heavy])
    if num_blocks is None:
        return NodeSet(coordinates[0], weights[0])
    return NodeSet(coordinates, weights)

"""Node sets: scrambled Sobol points through the normal quantile, the first coordinates from a heavier law.

The first r coordinates (the teacher's, where heavy links live) are drawn from Q(z) = ¾ Φ(z) + ¼ Φ(z/2) on midpoints and
carry weights dΦ/dQ, normalised to sum one; all others are standard normal. Contiguous blocks of a Sobol sequence are
nets themselves: they serve as the sub-nets of the error bar.

Reference: `owen1998scrambling` for scrambled nets.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import ndtr, ndtri

from dyntheory.gaussian.sobol import SobolNet, sobol_net, uniforms

NUM_BLOCKS = 8


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


def teacher_rows(net: SobolNet) -> tuple[np.ndarray, np.ndarray]:
    """Return coordinates (r, nodes) from the heavier law at midpoints, and the weights (nodes,) of the nodes."""
    if not len(net.shift):
        return np.empty((0, net.num_nodes)), np.full(net.num_nodes, 1.0 / net.num_nodes)
    values = heavy_quantile((np.floor(uniforms(net) * net.num_nodes) + 0.5) / net.num_nodes)
    return values, heavy_weights(values)


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
    whole = sobol_net(num_nodes, num_dimensions, seed)
    parts = [whole] if num_blocks is None else whole.blocks(num_blocks)
    heavy, weights = zip(*(teacher_rows(part.rows(0, num_heavy)) for part in parts), strict=True)
    light = [ndtri(uniforms(part.rows(num_heavy, num_dimensions))) for part in parts]
    coordinates = [np.concatenate(pair) for pair in zip(heavy, light, strict=True)]
    if num_blocks is None:
        return NodeSet(coordinates[0], weights[0])
    return NodeSet(np.stack(coordinates), np.stack(weights))

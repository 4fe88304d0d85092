"""Gaussian nodes, rank-aware factors and Gaussian test errors shared by the oracles."""

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import numpy as np
import numpy.typing as npt
from scipy.special import ndtri
from scipy.stats import qmc

Array: TypeAlias = npt.NDArray[np.float64]
ApplyHead: TypeAlias = Callable[[Any, Any], Any]
Link: TypeAlias = Callable[[Any], Any]


def gaussian_nodes(num_nodes: int, dimension: int, *, seed: int, moment_match: bool = True) -> Array:
    """Draw scrambled Sobol nodes of a standard Gaussian vector.

    Args:
        num_nodes: a power of two, larger than `dimension`.
        dimension: number of coordinates, at most 21,201.
        seed: seed of the scrambling.
        moment_match: make the mean exactly 0 and the second moment exactly the
            identity by a triangular map, so linear problems come out exact.

    Returns:
        (num_nodes, dimension) nodes.
    """
    uniforms = qmc.Sobol(dimension, scramble=True, rng=seed).random(num_nodes)
    nodes = ndtri((np.floor(uniforms * num_nodes) + 0.5) / num_nodes)
    if not moment_match:
        return nodes
    for _ in range(2):
        nodes = nodes - nodes.mean(axis=0)
        factor = np.linalg.cholesky(nodes.T @ nodes / num_nodes)
        nodes = np.linalg.solve(factor, nodes.T).T
    return nodes


def semidefinite_cholesky(moment: Array, *, tolerance: float = 1e-13) -> Array:
    """Return lower-triangular L with L Lᵀ = `moment`, zero columns where rank is lost.

    Args:
        moment: (m, m) positive semidefinite matrix.
        tolerance: a pivot below `tolerance` times its diagonal entry is absent.
    """
    size = moment.shape[0]
    factor = np.zeros((size, size))
    for row in range(size):
        factor[row] = cholesky_row(factor, moment[row, : row + 1], tolerance=tolerance)
    return factor


def cholesky_row(factor: Array, moments: Array, *, tolerance: float = 1e-13) -> Array:
    """Return the next row of a rank-aware Cholesky factor.

    Args:
        factor: (m, m) factor whose first `len(moments) - 1` rows are filled.
        moments: second moments of the new variable with the earlier ones, then
            with itself.
        tolerance: relative variance below which an innovation is absent.
    """
    row = np.zeros(factor.shape[1])
    last = len(moments) - 1
    for column in range(last):
        pivot = factor[column, column]
        if pivot > 0:
            row[column] = (moments[column] - row @ factor[column]) / pivot
    remainder = moments[last] - row @ row
    row[last] = np.sqrt(remainder) if remainder > tolerance * moments[last] else 0.0
    return row


def joint_moment(teacher: Array, overlap: Array, units: Array) -> Array:
    """Assemble the (r+k, r+k) second moment of the joint rows (w*, w).

    Args:
        teacher: (r, r) E[w* w*ᵀ].
        overlap: (k, r) E[w w*ᵀ].
        units: (k, k) E[w wᵀ].
    """
    return np.block([[teacher, overlap.T], [overlap, units]])


def population_error(
    apply_head: ApplyHead,
    head: Any,
    link: Link,
    moment: Array,
    nodes: Array,
    *,
    num_teacher: int,
    noise_std: float,
) -> float:
    """Return E(F(θ, h) − y)² over a fresh sample, (z, h) ~ N(0, C) (theory.md §3).

    Args:
        apply_head: F, mapping (head, h of length k) to a scalar.
        head: head θ, any pytree.
        link: noiseless link, mapping z of length r to a scalar.
        moment: (r+k, r+k) Gram matrix C of [W*, W].
        nodes: (N, r+k) standard Gaussian nodes.
        num_teacher: r, the number of leading teacher directions.
        noise_std: label noise σ; σ² is added in closed form.
    """
    rows = nodes @ semidefinite_cholesky(moment).T
    with jax.enable_x64(True):
        outputs = jax.vmap(apply_head, in_axes=(None, 0))(head, rows[:, num_teacher:])
        targets = jax.vmap(link)(rows[:, :num_teacher])
    excess = np.mean((np.asarray(outputs) - np.asarray(targets)) ** 2)
    return float(excess) + noise_std**2


def extend_factor(factor: Array, gram: Array, block: slice) -> None:
    """Fill the rows `block` of the Cholesky factor of `gram`, in place."""
    for row in range(block.start, block.stop):
        factor[row] = cholesky_row(factor, gram[row, : row + 1])

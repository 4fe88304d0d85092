"""Averages on nodes, for any activation and any link: points u of independent normals, (z, h) = L u with L Lᵀ = C.

A grid of Gauss and Hermite where the problem is smooth and has up to three units in all, scrambled Sobol points else.
The error is what the same problem gives on fewer nodes: a coarser grid, or eight sub-nets.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from dyntheory.flows.online.model import Averages, Model, Overlaps
from dyntheory.gaussian.nodes import NUM_BLOCKS, draw_nodes
from dyntheory.ground.arrays import Array
from dyntheory.ground.linear_algebra import rank_aware_cholesky

GRIDS = {2: (48, 36), 3: (24, 18)}
NUM_NODES = 2**13


class Nodes(NamedTuple):
    """Points (m, nodes) and their weights (nodes,), summing to one."""

    points: Array
    weights: Array


def has_grid(model: Model) -> bool:
    """Whether a grid of Gauss and Hermite serves: smooth, and few units."""
    is_smooth = bool(model.activation.smooth) and bool(model.link.smooth)
    return is_smooth and model.num_units + model.num_teacher_units in GRIDS


def grids(model: Model) -> tuple[Nodes, list[Nodes]]:
    """Return a grid, and a coarser one by which its error is told."""
    fine, coarse = (_grid(model.num_units + model.num_teacher_units, count) for count in _counts(model))
    return fine, [coarse]


def _counts(model: Model) -> tuple[int, int]:
    return GRIDS[model.num_units + model.num_teacher_units]


def _grid(dimensions: int, count: int) -> Nodes:
    points, weights = np.polynomial.hermite_e.hermegauss(count)
    weights = weights / weights.sum()
    places = np.meshgrid(*[points] * dimensions, indexing="ij")
    masses = np.meshgrid(*[weights] * dimensions, indexing="ij")
    flat = np.prod([one.ravel() for one in masses], axis=0)
    return Nodes(jnp.asarray(np.stack([one.ravel() for one in places])), jnp.asarray(flat / flat.sum()))


def nets(model: Model, num_nodes: int, seed: int) -> tuple[Nodes, list[Nodes]]:
    """Return Sobol nodes whole, and cut into eight sub-nets; teachers' coordinates have the heavier law."""
    r, m = model.num_teacher_units, model.num_units + model.num_teacher_units
    whole = draw_nodes(num_nodes, m, num_heavy=r, seed=seed)
    parts = draw_nodes(num_nodes, m, num_heavy=r, seed=seed, num_blocks=NUM_BLOCKS)
    blocks = [_standardised(points, weights) for points, weights in zip(parts.coordinates, parts.weights, strict=True)]
    return _standardised(whole.coordinates, whole.weights), blocks


def _standardised(points: Array | np.ndarray, weights: Array | np.ndarray) -> Nodes:
    """Return nodes whose mean is zero and second moment the identity: linear problems are exact on them."""
    mass = np.asarray(weights)
    centred = np.asarray(points) - np.asarray(points) @ mass[:, None]
    factor = np.linalg.cholesky((centred * mass[None]) @ centred.T)
    return Nodes(jnp.asarray(np.linalg.solve(factor, centred)), jnp.asarray(mass))


def node_averages(model: Model, now: Overlaps, noise_variance: Array, nodes: Nodes) -> Averages:
    """Return the averages on nodes; `noise_variance` is σ²."""
    r = model.num_teacher_units
    placed = (rank_aware_cholesky(now.teachers_first) @ nodes.points).T
    z, h = placed[:, :r], placed[:, r:]
    e = model.output(now.head[None], h) - model.clean_labels(z)
    slopes = now.head[None] * model.slope(h)
    residuals = e[:, None] * slopes
    weighted = nodes.weights[:, None] * residuals
    noise = (nodes.weights[:, None] * slopes).T @ slopes
    return Averages(
        error=nodes.weights @ e**2,
        with_students=weighted.T @ h,
        with_teachers=weighted.T @ z,
        squares=weighted.T @ residuals + noise_variance * noise,
        head=(nodes.weights * e) @ model.activation(h),
    )

"""The matrix in the limit n, d → ∞: nodes on the sample side, an exact frame on the feature side.

The frame holds coordinates along (teacher directions, initial weight columns, v^0, v^1, …), so feature-side quantities
are (D, units) arrays with the ordinary dot product. Linear feature maps act on coordinate rows exactly.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple, cast

import jax.numpy as jnp
from jaxtyping import Float

from dyntheory._typing import Array
from dyntheory.gaussian.nodes import NodeSet
from dyntheory.linalg import rank_aware_cholesky
from dyntheory.matrix.frame import FrameSide
from dyntheory.matrix.nodes_side import NodeSide
from dyntheory.matrix.orthonormal import orthonormal_on_nodes
from dyntheory.matrix.revealed import Revealed, RevealedMatrix


class LimitStart(NamedTuple):
    """A limit matrix with everything the loop starts from."""

    matrix: RevealedMatrix
    teacher_weights: Float[Array, "coordinates teacher_units"]
    weights: Float[Array, "coordinates units"]
    label_noise: Float[Array, "nodes outputs"]


def num_dimensions(num_steps: int, num_units: int, num_teacher_units: int, num_outputs: int) -> int:
    """Return how many node coordinates a run of that length needs: z, ξ, then k innovations for every state."""
    return num_teacher_units + num_outputs + num_units * (num_steps + 1)


def num_columns(num_steps: int, num_units: int, num_teacher_units: int, num_outputs: int) -> int:
    """Return how many orthonormal columns the nodes carry at the end of a run."""
    return 1 + num_dimensions(num_steps, num_units, num_teacher_units, num_outputs) + num_units * num_steps


def limit_matrix(
    nodes: NodeSet,
    joint_second_moment: Float[Array, "m m"],
    samples_per_feature: Array,
    *,
    num_teacher_units: int,
    num_outputs: int,
    num_steps: int,
    memory: bool = True,
    drop_below: Array | float = 0.0,
) -> LimitStart:
    """Set up the limit matrix on a node set of shape (`num_dimensions(…)`, nodes).

    Args:
        nodes: coordinates in the order z (r), ξ (outputs), innovations; those of later steps may be missing and come
            through `with_reserve`.
        joint_second_moment: E[(w*, w⁰)(w*, w⁰)ᵀ], shape (r + k, r + k), any rank.
        samples_per_feature: α.
        num_teacher_units: r.
        num_outputs: numbers in one label.
        num_steps: T.
        memory: False drops the Onsager term (negative control).
        drop_below: root mean square of a remainder below which a direction is dropped.
    """
    coordinates, weights = nodes.as_arrays()
    num_units = joint_second_moment.shape[0] - num_teacher_units
    num_answers, size = num_units * num_steps, coordinates.shape[-1]
    raw_noise = coordinates[num_teacher_units : num_teacher_units + num_outputs]
    constant = jnp.ones((1, size), coordinates.dtype)
    fixed = orthonormal_on_nodes(jnp.concatenate([constant, raw_noise]), weights)
    innovations = jnp.concatenate([coordinates[:num_teacher_units], coordinates[num_teacher_units + num_outputs :]])
    start = joint_second_moment.shape[0]
    rows = jnp.zeros((start + num_answers, start), coordinates.dtype)
    rows = rows.at[:start].set(rank_aware_cholesky(joint_second_moment).T)
    matrix = RevealedMatrix(
        samples_per_feature,
        samples=NodeSide(weights, fixed, innovations, jnp.asarray(0), jnp.asarray(drop_below), num_columns=num_units),
        features=FrameSide(num_coordinates=start + num_answers, num_initial=start),
        drop_below=jnp.asarray(drop_below),
        num_teacher_units=num_teacher_units,
        num_units=num_units,
        memory=memory,
    )
    return LimitStart(
        matrix=matrix,
        teacher_weights=rows[:, :num_teacher_units],
        weights=rows[:, num_teacher_units:],
        label_noise=fixed[1:].T,
    )


def with_reserve(matrix: RevealedMatrix, rows: Float[Array, "noise nodes"], first: Array) -> RevealedMatrix:
    """Return the matrix with noise coordinates for the next steps, the first of them number `first` of the run."""
    samples = dataclasses.replace(cast(NodeSide, matrix.samples), reserve=rows, first_in_reserve=first)
    return dataclasses.replace(matrix, samples=samples)


def rows_in_use(state: Revealed) -> Array:
    """Return which rows (capacity,) of the nodes' basis hold a direction; the last block is kept together."""
    space = state.samples.space
    place = jnp.arange(space.basis.shape[0])
    is_latest = (place < space.num_used) & (place >= space.num_used - space.latest.shape[0])
    return is_latest | jnp.any(space.basis != 0.0, axis=1)


def keep_rows(matrix: RevealedMatrix, state: Revealed, places: Array, count: Array) -> Revealed:
    """Return the state with some rows of the nodes' basis, see `NodeSide.keep`."""
    half = state.samples
    space = cast(NodeSide, matrix.samples).keep(half.space, places, count)
    directions = jnp.where(jnp.arange(places.shape[0]) < count, half.directions[:, places], 0.0)
    return state._replace(samples=half._replace(space=space, directions=directions))


def check_nodes(nodes: NodeSet, *, num_steps: int, num_units: int, num_teacher_units: int, num_outputs: int) -> None:
    """Refuse node sets on which directions would run out or noise be used twice.

    Raises:
        ValueError: too few nodes, or another number of coordinates than the run needs.
    """
    counts = (num_steps, num_units, num_teacher_units, num_outputs)
    wanted, columns = num_dimensions(*counts), num_columns(*counts)
    found, size = nodes.coordinates.shape[-2:]
    if found != wanted:
        raise ValueError(f"The node set must have {wanted} coordinates for this run, got {found}.")
    if size < 2 * columns:
        raise ValueError(f"The node set must have at least {2 * columns} nodes for {columns} directions, got {size}.")

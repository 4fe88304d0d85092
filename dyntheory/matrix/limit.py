"""The matrix in the limit n, d → ∞: nodes on the sample side, an exact frame or nodes on the feature side.

The frame holds coordinates along (teacher directions, initial weight columns, v^0, v^1, …), so feature-side quantities
are (D, units) arrays with the ordinary dot product. Linear feature maps act on coordinate rows exactly. All other maps
(Adam, sign, thresholds) act on feature nodes, each of them a feature with its own teacher and initial weights.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from dyntheory.gaussian.nodes import NodeSet
from dyntheory.ground.arrays import Array
from dyntheory.ground.linear_algebra import rank_aware_cholesky
from dyntheory.matrix.frame import FrameSide
from dyntheory.matrix.nodes_side import NodeSide
from dyntheory.matrix.orthonormal import orthonormal_on_nodes
from dyntheory.matrix.revealed import Half, RevealedMatrix
from dyntheory.matrix.scaled import ScaledMatrix, scaled
from dyntheory.matrix.spectral_frame import spectral_frame
from dyntheory.problem.laws.first_layer import rows_of_draw, starting_rows, teacher_on_nodes
from dyntheory.problem.laws.law import TeacherStudent
from dyntheory.problem.laws.priors import Prior, standard_uniforms
from dyntheory.problem.laws.spectra import Spectrum
from dyntheory.problem.shape import Shape


class LimitStart(NamedTuple):
    """A limit matrix with everything the loop starts from."""

    matrix: RevealedMatrix | ScaledMatrix
    teacher_weights: Float[Array, "features teacher_units"]
    weights: Float[Array, "features units"]
    label_noise: Float[Array, "nodes outputs"]


def split_noise(
    rows: Float[Array, "noise nodes"], num_steps: int, num_units: int, num_uniforms: int
) -> tuple[Float[Array, "innovations nodes"], Float[Array, "steps nodes uniforms"]]:
    """Return the innovations and the uniforms among rows of `num_units` and `num_uniforms` a step; a rest is kept."""
    size = num_steps * (num_units + num_uniforms)
    by_step = rows[:size].reshape(num_steps, num_units + num_uniforms, rows.shape[1])
    innovations = by_step[:, :num_units].reshape(-1, rows.shape[1])
    uniforms = jax.scipy.special.ndtr(jnp.swapaxes(by_step[:, num_units:], 1, 2))
    return jnp.concatenate([innovations, rows[size:]]), uniforms


def limit_matrix(
    law: TeacherStudent,
    joint_second_moment: Float[Array, "m m"],
    nodes: NodeSet,
    *,
    num_steps: int,
    feature_nodes: NodeSet | None = None,
    draw: tuple[Array, Array] | None = None,
    memory: bool = True,
    drop_below: Array | float = 0.0,
) -> LimitStart:
    """Set up the limit matrix on a node set.

    Args:
        law: the data.
        joint_second_moment: E[(w*, w⁰)(w*, w⁰)ᵀ], shape (r + k, r + k), any rank.
        nodes: normal coordinates in the order z (r), ξ (outputs), innovations; those of later steps may be missing
            and come through `with_reserve`.
        num_steps: T.
        feature_nodes: normal coordinates in the order (w*, w⁰) (r + k), innovations, k of them beyond the last step;
            before them one for the eigenvalue, if features are correlated. None for the exact frame, on which only
            linear feature maps make sense.
        draw: (W*, W⁰) whose rows the feature nodes stand for, instead of a law.
        memory: False drops the Onsager term (negative control).
        drop_below: root mean square of a remainder below which a direction is dropped.
    """
    r, num_units = law.num_teacher_units, joint_second_moment.shape[0] - law.num_teacher_units
    coordinates, weights = nodes.as_arrays()
    fixed = _fixed_rows(coordinates[r : r + law.num_outputs], weights)
    innovations = jnp.concatenate([coordinates[:r], coordinates[r + law.num_outputs :]])
    threshold = jnp.asarray(drop_below)
    scales = None
    if feature_nodes is not None:
        start = _StartingRows(joint_second_moment, law.teacher_priors, draw, law.features, r)
        features, rows, scales = _feature_nodes(feature_nodes, start, threshold)
    elif law.features is not None:
        features, rows, scales = spectral_frame(
            law.features, joint_second_moment, num_teacher_units=r, num_steps=num_steps, draw=draw
        )
    else:
        features, rows = _frame(joint_second_moment, num_units * num_steps, coordinates.dtype)
    matrix = RevealedMatrix(
        jnp.asarray(law.samples_per_feature, coordinates.dtype),
        rows=NodeSide(weights, fixed, innovations, jnp.asarray(0), threshold, num_columns=num_units),
        columns=features,
        drop_below=threshold,
        num_first_vectors=r,
        num_vectors=num_units,
        memory=memory,
    )
    return LimitStart(scaled(matrix, scales), rows[:, :r], rows[:, r:], fixed[1:].T)


def _fixed_rows(raw: Float[Array, "rows nodes"], weights: Float[Array, " nodes"]) -> Float[Array, "fixed nodes"]:
    """Return the constant and the rows, orthonormal."""
    return orthonormal_on_nodes(jnp.concatenate([jnp.ones((1, raw.shape[1]), raw.dtype), raw]), weights)


def _frame(moment: Float[Array, "m m"], num_answers: int, dtype: Any) -> tuple[FrameSide, Array]:
    """Return the frame and (w*, w⁰) in it."""
    start = moment.shape[0]
    rows = jnp.zeros((start + num_answers, start), dtype)
    rows = rows.at[:start].set(rank_aware_cholesky(moment).T)
    return FrameSide(num_coordinates=start + num_answers, num_initial=start), rows


class _StartingRows(NamedTuple):
    """How rows (w*, w⁰) are distributed."""

    moment: Float[Array, "m m"]
    priors: tuple[Prior, ...] | None
    draw: tuple[Array, Array] | None
    spectrum: Spectrum | None
    num_teacher_units: int

    @property
    def num_units(self) -> int:
        """Columns of w⁰."""
        return self.moment.shape[0] - self.num_teacher_units


def _feature_nodes(nodes: NodeSet, start: _StartingRows, threshold: Array) -> tuple[NodeSide, Array, Array | None]:
    """Return the nodes, (w*, w⁰) and √λ on them; Gaussian rows, mostly also those of a draw, have their moment."""
    (coordinates, weights), spectrum = nodes.as_arrays(), start.spectrum
    count, place, modes, amplitudes = start.moment.shape[0], coordinates[0], None, None
    coordinates = coordinates if spectrum is None else coordinates[1:]
    if start.draw is not None:
        of_rows = None if spectrum is None else spectrum.modes_of(start.draw[0].shape[0])
        index, weights = rows_of_draw(start.draw, place, None if spectrum is None else spectrum.values[of_rows])
        rows, modes = jnp.concatenate(start.draw, axis=1)[index], None if of_rows is None else of_rows[index]
    else:
        if spectrum is not None:
            modes, weights = spectrum.modes_on_nodes(standard_uniforms(place))
            amplitudes = spectrum.amplitudes(modes, start.num_teacher_units)
        normals, teacher = _fixed_rows(coordinates[:count], weights)[1:].T, None
        if start.priors is not None:
            teacher, ratio = teacher_on_nodes(start.priors, normals[:, : start.num_teacher_units])
            total = weights @ ratio
            weights = weights * ratio * (jax.lax.stop_gradient(total) / total)
        rows = starting_rows(
            start.moment, start.priors, normals, amplitudes=amplitudes, teacher=teacher, weights=weights
        )
    side = NodeSide(
        weights,
        jnp.ones((1, coordinates.shape[1]), coordinates.dtype),
        coordinates[count:],
        jnp.asarray(0),
        threshold,
        num_columns=start.num_units,
        is_asked_last=True,
    )
    return side, rows, None if spectrum is None or modes is None else spectrum.scales(modes)


def bare(matrix: Any) -> RevealedMatrix:
    """Return the limit matrix of independent entries behind a scaled one."""
    inner: Any = matrix.matrix if isinstance(matrix, ScaledMatrix) else matrix
    return inner


class Reserve(NamedTuple):
    """Innovations of the next steps, and how many came before them in the run."""

    rows: Float[Array, "noise nodes"]
    first: Array


def with_reserve(
    matrix: RevealedMatrix | ScaledMatrix, rows: Reserve, columns: Reserve | None
) -> RevealedMatrix | ScaledMatrix:
    """Return the matrix with innovations for the next steps; None for a frame, which needs none."""
    if isinstance(matrix, ScaledMatrix):
        inner: Any = with_reserve(bare(matrix), rows, columns)
        return dataclasses.replace(matrix, matrix=inner)
    sides: dict[str, Any] = {"rows": rows} if columns is None else {"rows": rows, "columns": columns}
    changed = {
        name: dataclasses.replace(getattr(matrix, name), reserve=given.rows, first_in_reserve=given.first)
        for name, given in sides.items()
    }
    return dataclasses.replace(matrix, **changed)


def rows_in_use(half: Half) -> Array:
    """Return which rows (capacity,) of a basis on nodes hold a direction; the last block is kept together."""
    space = half.space
    place = jnp.arange(space.basis.shape[0])
    is_latest = (place < space.num_used) & (place >= space.num_used - space.latest.shape[0])
    return is_latest | jnp.any(space.basis != 0.0, axis=1)


def keep_rows(side: NodeSide, half: Half, places: Array, count: Array) -> Half:
    """Return one half with some rows of the nodes' basis, see `NodeSide.keep`."""
    space = side.keep(half.space, places, count)
    directions = jnp.where(jnp.arange(places.shape[0]) < count, half.directions[:, places], 0.0)
    return half._replace(space=space, directions=directions)


def check_nodes(shape: Shape, nodes: NodeSet, feature_nodes: NodeSet | None = None) -> None:
    """Refuse node sets on which directions would run out or noise be used twice.

    Raises:
        ValueError: too few nodes, or another number of coordinates than the run needs.
    """
    _check_node_set("node set", nodes, shape.sample_dimensions, shape.columns)
    if feature_nodes is not None:
        _check_node_set("set of feature nodes", feature_nodes, shape.feature_dimensions, shape.columns)


def _check_node_set(name: str, nodes: NodeSet, num_dimensions: int, num_columns: int) -> None:
    found, size = nodes.coordinates.shape[-2:]
    if found != num_dimensions:
        raise ValueError(f"The {name} must have {num_dimensions} coordinates for this run, got {found}.")
    if size < 2 * num_columns:
        raise ValueError(
            f"The {name} must have at least {2 * num_columns} nodes for {num_columns} directions, got {size}."
        )

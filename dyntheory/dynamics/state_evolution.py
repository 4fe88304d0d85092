"""The pure core of `predict`: fixed nodes, arrays in, arrays out; safe under jit, vmap and, for smooth maps, grad.

Derivatives are right in every number of the law, the method, the head and the moments, also where directions are
dropped (in a moment that is zero, the derivative of the dropped direction counts as zero). For kinked activations and
links that jump (ReLU, sign) only the values are right: differentiating them is refused, see `differentiation`.

It follows JAX's precision flag. In float32 directions closer than 1e-4 cannot be told apart: expect train errors with
two to three correct digits, and a warning when it is traced.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Float

from dyntheory.dynamics.curves import Curves
from dyntheory.dynamics.differentiation import guarded, guarded_inputs
from dyntheory.dynamics.generalization import population_metrics
from dyntheory.dynamics.loop import Start, run
from dyntheory.dynamics.observables import Record, check_record, means_of, rows_of, warning_of_jumps
from dyntheory.dynamics.seen_by_features import NAME, noted_too, noting, refusing_jumps
from dyntheory.gaussian.nodes import NodeSet
from dyntheory.ground.arrays import Array, PyTree
from dyntheory.ground.checks import check_count, check_second_moment
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.precision import full_products
from dyntheory.ground.status import DyntheoryWarning
from dyntheory.matrix.limit import LimitStart, check_nodes, limit_matrix, split_noise
from dyntheory.problem.laws.law import TeacherStudent
from dyntheory.problem.methods.method import GeneralFirstOrderMethod
from dyntheory.problem.shape import Shape


@full_products()
def state_evolution(
    law: TeacherStudent,
    method: GeneralFirstOrderMethod,
    head: PyTree,
    joint_second_moment: Float[Array, "m m"],
    nodes: NodeSet,
    test_nodes: NodeSet,
    *,
    num_steps: int,
    keep_preactivations: bool = False,
    record: Mapping[str, Callable[..., PyTree]] | Record = (),
    feature_nodes: NodeSet | None = None,
    draw: tuple[Array, Array] | None = None,
    memory: bool = True,
    rematerialize: bool = False,
) -> Curves:
    """Return the limit of training on fixed nodes.

    Args:
        law: the data.
        method: a method; without `feature_nodes` its feature map must be linear.
        head: the initial head.
        joint_second_moment: E[(w*, w⁰)(w*, w⁰)ᵀ], see `dyntheory.problem.laws.first_layer.joint_second_moment`.
        nodes: `Shape.sample_dimensions` coordinates (`dyntheory.problem.shape`), the first r of them the teacher's.
        test_nodes: `Shape.test_dimensions` coordinates.
        num_steps: T, static.
        keep_preactivations: record h^t on the nodes.
        record: order parameters by name as in `predict`, or a record of `dyntheory.dynamics.observables`; static.
        feature_nodes: `Shape.feature_dimensions` coordinates, for any row-wise feature map; None takes the exact
            frame.
        draw: (W*, W⁰) whose rows the feature nodes stand for, instead of a law; `joint_second_moment` is its own.
        memory: False drops the Onsager term: wrong, for negative controls.
        rematerialize: bound the memory of a gradient: about 2√T copies of the basis instead of several for every
            step. Costs a second forward pass; values are the same.

    Raises:
        ValueError: a node set of the wrong shape; when differentiated, a map with a kink or a number in which no
            derivative along nodes is right (the fraction of mini-batches, the rate of dropout). A jump of the feature
            map that only this run's shared values wake up gives derivatives that are NaN inside jit.

    Reference: `han2025precise`, first main theorem; `bolthausen2014iterative` for the form used.
    """
    check_arguments(state_evolution, locals())
    num_steps = check_count("num_steps", num_steps, minimum=0)
    _check_start(law, method, joint_second_moment, draw)
    _warn_of_single_precision()
    numbers = (law, method, head, joint_second_moment)
    law, method, head, joint_second_moment = guarded_inputs(law, method, numbers)
    shape = Shape.of(law, method, num_steps)
    check_nodes(shape, nodes, feature_nodes)
    asked = means_of(record) if isinstance(record, Mapping) else record
    check_record(asked, law, method, head, has_feature_rows=feature_nodes is not None)
    asked = warning_of_jumps(asked)
    sides = _parted(shape, nodes, feature_nodes)
    given = limit_matrix(
        law,
        joint_second_moment,
        sides.samples,
        num_steps=num_steps,
        feature_nodes=sides.features,
        draw=draw,
        memory=memory,
    )
    wanted = (*asked, *rows_of("preactivations")) if keep_preactivations else asked
    on_nodes = feature_nodes is not None
    records = run(
        law,
        noting(method) if on_nodes else method,
        given.matrix,
        _start(law, head, given, sides),
        num_steps=num_steps,
        record=noted_too(wanted) if on_nodes else wanted,
        rematerialize=rematerialize,
    )
    noted = records.recorded.pop(NAME, None)
    curves = Curves(records, *population_metrics(law, method, records.gram, records.head, test_nodes))
    curves = guarded(law, method, curves)
    return curves if noted is None else refusing_jumps(curves, method, noted, (law, head, joint_second_moment))


def _check_start(law: TeacherStudent, method: GeneralFirstOrderMethod, joint: Any, draw: Any) -> None:
    shapes = [jnp.shape(rows) for rows in (() if draw is None else draw)]
    if any(len(shape) != 2 for shape in shapes):
        raise ValueError(f"`draw` must be (W*, W⁰), (d, r) and (d, k), got shapes {shapes}.")
    check_second_moment("joint_second_moment", joint, law.num_teacher_units + method.num_units)


def _start(law: TeacherStudent, head: PyTree, given: LimitStart, sides: _Sides) -> Start:
    return Start(
        teacher_weights=given.teacher_weights,
        weights=given.weights,
        label_noise=given.label_noise,
        head=head,
        samples_per_feature=jnp.asarray(law.samples_per_feature, float),
        sample_uniforms=sides.sample_uniforms,
        feature_uniforms=sides.feature_uniforms,
    )


def _warn_of_single_precision() -> None:
    dtype = jnp.zeros((), float).dtype
    if dtype != jnp.float64:
        warnings.warn(
            f"state_evolution computes in {dtype}: nearly parallel directions (relative remainder below 1e-4) are "
            "dropped. Set jax_enable_x64 for full accuracy; `predict` does so by itself.",
            DyntheoryWarning,
            stacklevel=4,
        )


class _Sides(NamedTuple):
    """Node sets with innovations only, and the uniforms that were among their coordinates."""

    samples: NodeSet
    sample_uniforms: Array | None
    features: NodeSet | None
    feature_uniforms: Array | None


def _parted(shape: Shape, nodes: NodeSet, feature_nodes: NodeSet | None) -> _Sides:
    """Part innovations from uniforms."""
    samples = _split(nodes, shape, shape.first_sample_dimensions, shape.sample_noise)
    if feature_nodes is None:
        return _Sides(*samples, None, None)
    return _Sides(*samples, *_split(feature_nodes, shape, shape.first_feature_dimensions, shape.feature_noise))


def _split(nodes: NodeSet, shape: Shape, num_first: int, num_uniforms: int) -> tuple[NodeSet, Array | None]:
    """Return the nodes without the coordinates behind the uniforms of the maps, and those uniforms."""
    if not num_uniforms:
        return nodes, None
    coordinates, weights = nodes.as_arrays()
    innovations, uniforms = split_noise(coordinates[num_first:], shape.num_steps, shape.num_units, num_uniforms)
    return NodeSet(jnp.concatenate([coordinates[:num_first], innovations]), weights), uniforms

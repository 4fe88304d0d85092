"""The verb `sensitivity`: how predicted curves change with a number of the problem, without differentiating a map.

Values at x ± h and x ± 2h on the same nodes give D_h = (Q(x+h) − Q(x−h))/2h and D_2h alike; reported is Richardson's
(4 D_h − D_2h)/3. The step is wide: with kinks, the nodes between the two values are what the derivative is about, and a
narrow step has too few of them. The error bar adds the numerical error of that difference, from the eight sub-nets, and
|D_h − D_2h|/3, what the extrapolation took away (root mean square over neighbouring steps, since it may change sign).
"""

from __future__ import annotations

import dataclasses
import functools
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from dyntheory.dynamics.state_evolution import state_evolution
from dyntheory.gaussian.node_count import choose_num_nodes
from dyntheory.gaussian.nodes import NUM_BLOCKS, NodeSet, draw_nodes
from dyntheory.gaussian.sub_nets import NEIGHBOURS, standard_error
from dyntheory.ground.arrays import Array, Key, Progress, PyTree
from dyntheory.ground.checks import check_count, check_finite, check_positive, check_scalar
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.names import check_name
from dyntheory.ground.precision import double_precision, to_numpy
from dyntheory.ground.randomness import seed
from dyntheory.ground.resources import silent
from dyntheory.ground.status import DyntheoryWarning, Outcome, Status
from dyntheory.ground.storage.saved import Saved
from dyntheory.problem.laws.law import TeacherStudent
from dyntheory.problem.methods.linearity import feature_map_is_linear
from dyntheory.problem.methods.method import GeneralFirstOrderMethod
from dyntheory.problem.prepared import PreparedProblem, check_problem, prepare
from dyntheory.problem.shape import Shape
from dyntheory.results.judgement import diverged_where
from dyntheory.results.trajectory import CURVES, OVERLAPS, Curve, Steps, TeacherOverlap, WeightOverlap

FIELDS = (*CURVES, *OVERLAPS)
OFFSETS = (-2.0, -1.0, 1.0, 2.0)
RELATIVE_STEP = 0.1
UNRESOLVED = 0.1


@dataclasses.dataclass(frozen=True)
class Derivatives(Saved):
    """Derivatives of predicted curves in one number of the problem; the fields are those of `Trajectory`.

    Args:
        steps: (T+1,) integers.
        train_loss: (T+1,) derivative of the mean loss on the training samples.
        test_loss: (T+1,) the same on a fresh sample.
        train_error: (T+1,) derivative of the training error.
        test_error: (T+1,) derivative of the test error.
        teacher_overlap: (T+1, k, r).
        weight_overlap: (T+1, k, k).
        value: x, where the derivative is taken.
        step_size: h; values at x ± h and x ± 2h were used.
        standard_error: the same structure: one sigma, numerical and of the differences.
        status: how it ended.
    """

    steps: Steps
    train_loss: Curve
    test_loss: Curve
    train_error: Curve
    test_error: Curve
    teacher_overlap: TeacherOverlap
    weight_overlap: WeightOverlap
    value: float
    step_size: float
    standard_error: Derivatives | None = None
    status: Status = dataclasses.field(default_factory=Status)


def sensitivity(
    problem: Callable[[float], Mapping[str, Any]],
    value: float,
    *,
    num_steps: int,
    key: Key,
    step_size: float | None = None,
    num_nodes: int | None = None,
    progress: Progress | None = None,
) -> Derivatives:
    """Differentiate predicted curves in one number, right for kinked maps (ReLU, sign) as for smooth ones.

    Takes wide-step central differences on common nodes; `jax.grad` through `state_evolution` is faster, for many
    numbers at once, where every map is smooth.

    Args:
        problem: number -> arguments of `predict`: "law", "method", and if wanted "head", "first_layer". Numbers that
            are data (rates, n/d, noise, moments) compile once; a number inside a function (a parameter of a link)
            compiles again for each of the four values.
        value: x, the number at which to differentiate.
        num_steps: T.
        key: decides the head and the nodes, as in `predict`.
        step_size: h; default a tenth of |x|, or 0.1 at x = 0. x ± 2h must be legal.
        num_nodes: N, a power of two; default 2^14 or what the number of steps and units asks for.
        progress: called with (fraction done, what is being done).

    Returns:
        The derivative of every curve and overlap, with `standard_error` (one sigma) and `status`.

    Raises:
        TypeError: `problem` does not return arguments of `predict`, or they do not have the same shapes.
        ValueError: a number outside its range, also at x ± 2h, or a method that cannot be predicted.

    Example:
        >>> import jax, optax, dyntheory as dt
        >>> law = dt.TeacherStudent(2.0, noise_std=0.3)
        >>> def with_rate(rate):
        ...     return {"law": law, "method": dt.gradient_descent(dt.LinearModel(), optax.sgd, learning_rate=rate)}
        >>> change = dt.sensitivity(with_rate, 0.3, num_steps=1, key=jax.random.key(0))
        >>> round(float(change.test_error[1]), 6)  # E‖w¹ − w*‖² = 2 ((1 − η)² + η²/α) + η² σ²/α
        -2.173

    Reference: `glasserman2004monte`, sections 7.1 and 7.2: differences with common random numbers, and why pathwise
    derivatives fail at jumps.
    """
    check_arguments(sensitivity, locals())
    num_steps = check_count("num_steps", num_steps, minimum=0)
    check_scalar("value", value)
    check_finite("value", value)
    step_size = RELATIVE_STEP * (abs(value) or 1.0) if step_size is None else step_size
    check_scalar("step_size", step_size)
    check_positive("step_size", step_size)
    report = progress or silent
    values, blocks = [], []
    with double_precision():
        prepared = [_prepare(problem, value + offset * step_size, num_steps, key) for offset in OFFSETS]
        nodes = _Nodes.draw(prepared, key, num_steps, num_nodes)
        for index, one in enumerate(prepared):
            report(index / len(OFFSETS), f"value {index + 1} of {len(OFFSETS)}")
            values.append(_curves(one, nodes.whole, num_steps))
            blocks.append(_curves(one, nodes.parts, num_steps))
    report(1.0, "done")
    return _differences(values, blocks, float(value), float(step_size))


class _Sets(NamedTuple):
    """Nodes of one kind each; no feature nodes for linear feature maps."""

    samples: NodeSet
    test: NodeSet
    features: NodeSet | None


@dataclasses.dataclass(frozen=True)
class _Nodes:
    """Nodes of training samples, test samples and features: whole, with one block, and cut into sub-nets (an axis)."""

    whole: _Sets
    parts: _Sets

    @classmethod
    def draw(cls, problems: list[PreparedProblem], key: Key, num_steps: int, num_nodes: int | None) -> _Nodes:
        law, method = problems[0].law, problems[0].method
        shape, r = Shape.of(law, method, num_steps), law.num_teacher_units
        num_nodes = choose_num_nodes(num_nodes, shape.columns)
        dimensions = {
            "nodes": (shape.sample_dimensions, r),
            "test_nodes": (shape.test_dimensions, r),
            "feature_nodes": (shape.feature_dimensions, 0),
        }
        is_linear = all(feature_map_is_linear(one.method, one.heads[0]) for one in problems)

        def draw(name: str, blocks: int) -> NodeSet:
            size, heavy = dimensions[name]
            return draw_nodes(num_nodes, size, num_heavy=heavy, seed=seed(key, name), num_blocks=blocks)

        def sets(blocks: int) -> _Sets:
            features = None if is_linear else draw("feature_nodes", blocks)
            return _Sets(draw("nodes", blocks), draw("test_nodes", blocks), features)

        return cls(sets(1), sets(NUM_BLOCKS))


def _prepare(problem: Callable[[float], Mapping[str, Any]], value: float, num_steps: int, key: Key) -> PreparedProblem:
    """Return the problem at one value, checked."""
    try:
        given = problem(value)
    except ValueError as error:
        error.add_note(f"`problem` was called with {value:.6g}, one of x ± h, x ± 2h: choose a smaller `step_size`.")
        raise
    if not isinstance(given, Mapping) or not {"law", "method"} <= set(given):
        raise TypeError(f"`problem` must return a mapping with law and method, arguments of `predict`, got {given!r}.")
    for name in given:
        check_name("argument returned by `problem`", name, ("law", "method", "head", "first_layer"))
    law, method, first_layer = given["law"], given["method"], given.get("first_layer")
    num_steps, _ = check_problem(law, method, first_layer, num_steps, key, 1)
    return prepare(law, method, key, head=given.get("head"), first_layer=first_layer, num_heads=1)


def _curves(problem: PreparedProblem, nodes: _Sets, num_steps: int) -> dict[str, np.ndarray]:
    """Return the reported fields on every sub-net, as NumPy arrays (blocks, T+1, …)."""
    law, method, heads, moment, draw = problem
    solved = _solve(law, method, heads[0], moment, draw, nodes, num_steps=num_steps)
    return to_numpy(solved)


@functools.partial(jax.jit, static_argnames=("num_steps",))
def _solve(
    law: TeacherStudent,
    method: GeneralFirstOrderMethod,
    head: PyTree,
    moment: Array,
    draw: tuple[Array, Array] | None,
    nodes: _Sets,
    *,
    num_steps: int,
) -> dict[str, Array]:
    def on_block(block: _Sets) -> dict[str, Array]:
        start = (law, method, head, moment, block.samples, block.test)
        solved = state_evolution(*start, num_steps=num_steps, feature_nodes=block.features, draw=draw)
        fields = solved.reported(law.num_teacher_units)
        return {name: fields[name] for name in FIELDS}

    return jax.lax.map(on_block, nodes)


def _differences(
    values: list[dict[str, np.ndarray]], blocks: list[dict[str, np.ndarray]], value: float, step_size: float
) -> Derivatives:
    """Return Richardson's difference of every field with its error."""
    shapes = [jax.tree.map(np.shape, one) for one in values]
    if any(shape != shapes[0] for shape in shapes):
        raise TypeError(f"`problem` must return problems of one size, got curves of shapes {shapes}.")
    found, errors = {}, {}
    for name in FIELDS:
        narrow, wide = (_central([one[name] for one in values], step_size, w)[0] for w in (1, 2))
        parts = [_central([one[name] for one in blocks], step_size, w) for w in (1, 2)]
        found[name] = (4 * narrow - wide) / 3
        numerical = standard_error(found[name], (4 * parts[0] - parts[1]) / 3, relative=False)
        errors[name] = np.hypot(numerical, _over_neighbours(narrow - wide) / 3)
    steps = np.arange(len(found["train_error"]))
    numbers = {"steps": steps, "value": value, "step_size": step_size}
    status = _status(found, errors)
    return Derivatives(**found, **numbers, standard_error=Derivatives(**errors, **numbers), status=status)


def _central(values: list[np.ndarray], step_size: float, width: int) -> np.ndarray:
    """Return the central difference over ±`width` steps; values are those at `OFFSETS`."""
    before, after = OFFSETS.index(-width), OFFSETS.index(width)
    with np.errstate(all="ignore"):
        return (values[after] - values[before]) / (2 * width * step_size)


def _over_neighbours(difference: np.ndarray) -> np.ndarray:
    """Return the larger of |difference| and its root mean square over two steps before and after."""
    squared = np.square(difference)
    near = [squared[max(0, t - NEIGHBOURS) : t + NEIGHBOURS + 1].mean(axis=0) for t in range(len(squared))]
    return np.fmax(np.abs(difference), np.sqrt(near))


def _status(found: dict[str, np.ndarray], errors: dict[str, np.ndarray]) -> Status:
    """Return whether the derivatives of both errors are resolved, relative to their largest value; warn if not."""
    status = Status()
    for name in ("train_error", "test_error"):
        finite = np.isfinite(found[name]) & np.isfinite(errors[name])
        if not finite.all():
            cure = "take another value or a smaller `step_size`"
            status = diverged_where(~finite, cause="training blows up near this value", cure=cure)
            break
        scale, worst = np.max(np.abs(found[name])), int(np.argmax(errors[name]))
        if errors[name][worst] > UNRESOLVED * scale:
            status = Status(
                Outcome.UNRESOLVED,
                f"the error of the derivative of {name} is {errors[name][worst]:.2g} at step {worst} "
                f"(its largest value is {scale:.2g}): raise `num_nodes`, or change `step_size`",
                worst,
            )
    if not status.ok:
        warnings.warn(str(status), DyntheoryWarning, stacklevel=4)
    return status

"""Proves from its jaxpr that a function treats the rows of its input one by one, and finds where parameters enter.

Every value of the program gets a status: it is constant; or it holds one slice per row along a known axis, made from
that row and the parameters alone (`Row`); or it is a parameter, up to a scalar factor and the order of its entries
(`Weight`). A program with an operation that has no rule here is not understood, and nothing is claimed about it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.extend.core as jex
import jax.numpy as jnp

from dyntheory.ground.arrays import Array
from dyntheory.kernels.jaxpr_run import INLINED, bind, inlined

_ELEMENTWISE = (
    "abs acos acosh add and asin asinh atan atan2 atanh cbrt ceil clamp copy copy_p convert_element_type cos cosh "
    "digamma div eq erf erf_inv erfc exp exp2 expm1 floor ge gt integer_pow is_finite le lgamma log log1p logistic lt "
    "max min mul ne neg not or pow round rsqrt select_n sign sin sinh sqrt square stop_gradient sub tan tanh xor"
)
ELEMENTWISE = frozenset(_ELEMENTWISE.split())
REDUCTIONS = frozenset(f"reduce_{name}" for name in ("sum", "max", "min", "prod", "and", "or")) | {"argmax", "argmin"}
CUSTOM = frozenset(("custom_jvp_call", "custom_vjp_call"))


class Row(NamedTuple):
    """One slice per row along `axis`."""

    axis: int


class Weight(NamedTuple):
    """Parameter number `leaf` times scalars, broadcast along `expanded`.

    Each of `factors` is (equation, operand, power): where the program multiplies by the scalar.
    """

    leaf: int
    factors: tuple[tuple[int, int, int], ...] = ()
    expanded: frozenset[int] = frozenset()


Status: TypeAlias = Row | Weight | None


class Dense(NamedTuple):
    """A product of rows with a weight matrix or vector: which operand the rows are, and the result's row axis."""

    rows: int
    weight: Weight
    axis: int


class Bias(NamedTuple):
    """A parameter vector added to rows, and the row axis of the sum."""

    weight: Weight
    axis: int


class Plan(NamedTuple):
    """A program of dense layers: the flat jaxpr and the equations at which parameters enter."""

    jaxpr: jex.ClosedJaxpr
    uses: dict[int, Dense | Bias]


class NotUnderstood(Exception):
    """An operation that has no rule."""


def find_plan(closed: jex.ClosedJaxpr, num_leaves: int) -> Plan | None:
    """Return where the parameters (the first `num_leaves` inputs) enter a row-by-row program of dense layers.

    Returns:
        None when an operation has no rule, a parameter enters twice or in another way, or no parameter enters.
    """
    jaxpr = closed.jaxpr
    statuses: list[Status] = [Weight(leaf) for leaf in range(num_leaves)]
    uses: dict[int, Dense | Bias] = {}
    try:
        outputs = walk(jaxpr, [*statuses, Row(0)], uses)
    except NotUnderstood:
        return None
    leaves = [use.weight.leaf for use in uses.values()]
    if not uses or outputs != [Row(0)] or len(set(leaves)) != len(leaves):
        return None
    return Plan(closed, uses)


def walk(jaxpr: jex.Jaxpr, statuses: Sequence[Status], uses: dict[int, Dense | Bias] | None) -> list[Status]:
    """Return the statuses of the outputs; notes in `uses` where parameters meet rows.

    None for `uses` means a program without parameters that is run but not differentiated.
    """
    known: dict[Any, Status] = dict(zip(jaxpr.invars, statuses, strict=True))

    def status(atom: Any) -> Status:
        return None if isinstance(atom, jex.Literal) else known.get(atom)

    for index, equation in enumerate(jaxpr.eqns):
        found = [status(atom) for atom in equation.invars]
        use = parameter_use(equation, found)
        if use is not None and uses is not None:
            uses[index] = use
            results: list[Status] = [Row(use.axis)]
        elif all(one is None for one in found):
            results = [None] * len(equation.outvars)
        elif any(isinstance(one, Weight) for one in found):
            results = [transformed_weight(index, equation, found)]
        else:
            results = row_statuses(equation, found, is_differentiated=uses is not None)
        known.update(zip(equation.outvars, results, strict=True))
    return [status(atom) for atom in jaxpr.outvars]


def parameter_use(equation: Any, statuses: list[Status]) -> Dense | Bias | None:
    """Return how rows meet a parameter here: a product with a matrix, a sum with a vector; None for neither."""
    kinds = [type(status) for status in statuses]
    if sorted(kind.__name__ for kind in kinds) != ["Row", "Weight"]:
        return None
    rows, weights = kinds.index(Row), kinds.index(Weight)
    row, weight = statuses[rows], statuses[weights]
    shapes = [atom.aval.shape for atom in equation.invars]
    name = equation.primitive.name
    if not isinstance(row, Row) or not isinstance(weight, Weight):
        return None
    if name == "dot_general" and len(shapes[rows]) == 2 and len(shapes[weights]) <= 2 and not weight.expanded:
        contracted, batched = equation.params["dimension_numbers"]
        free = len(contracted[0]) == 1 and row.axis != contracted[rows][0] and not batched[0]
        return Dense(rows, weight, rows if len(shapes[weights]) == 2 else 0) if free else None
    if name in ("add", "sub") and len(shapes[0]) == len(shapes[1]):
        is_spread = row.axis in weight.expanded or shapes[weights][row.axis] == 1
        others = [size for axis, size in enumerate(shapes[rows]) if axis != row.axis]
        own = [size for axis, size in enumerate(shapes[weights]) if axis != row.axis]
        if is_spread and others == own and not weight.expanded - {row.axis}:
            return Bias(weight, row.axis)
    return None


def transformed_weight(index: int, equation: Any, statuses: list[Status]) -> Weight:
    """Return the status of a parameter that was scaled, turned or given axes of size one."""
    name, first = equation.primitive.name, statuses[0]
    weights = [status for status in statuses if isinstance(status, Weight)]
    has_rows = any(isinstance(status, Row) for status in statuses)
    if len(weights) != 1 or has_rows or len(equation.outvars) != 1:
        raise NotUnderstood(name)
    (weight,) = weights
    if name in ("mul", "div") and (name == "mul" or first is weight):
        other = 1 if first is weight else 0
        if equation.invars[other].aval.shape == ():
            return weight._replace(factors=(*weight.factors, (index, other, 1 if name == "mul" else -1)))
    if name in ("neg", "copy", "copy_p") or (name == "convert_element_type" and _is_float(equation.outvars[0])):
        return weight
    if name == "transpose" and not weight.expanded:
        return weight
    if name in ("reshape", "squeeze", "expand_dims") and not weight.expanded:
        kept = [[size for size in atom.aval.shape if size != 1] for atom in (equation.invars[0], equation.outvars[0])]
        if kept[0] == kept[1]:
            return weight
    if name == "broadcast_in_dim" and not weight.expanded:
        return weight._replace(expanded=_expanded_axes(equation))
    raise NotUnderstood(name)


def _expanded_axes(equation: Any) -> frozenset[int]:
    """Return the axes along which a broadcast repeats its operand."""
    before, after = equation.invars[0].aval.shape, equation.outvars[0].aval.shape
    kept = {int(axis): before[i] for i, axis in enumerate(equation.params["broadcast_dimensions"])}
    return frozenset(axis for axis, size in enumerate(after) if kept.get(axis, 1) == 1 and size != 1)


def _is_float(atom: Any) -> bool:
    return jnp.issubdtype(atom.aval.dtype, jnp.floating)


def row_statuses(equation: Any, statuses: list[Status], *, is_differentiated: bool) -> list[Status]:
    """Return the statuses after an operation on rows and constants."""
    name, outputs = equation.primitive.name, equation.outvars
    if name in CUSTOM:
        found = walk(_inner(equation.params["call_jaxpr"]), statuses, None)
        if is_differentiated:
            _check_derivative(equation, statuses, found)
        return found
    if name in INLINED and "jaxpr" in equation.params:
        return walk(_inner(equation.params["jaxpr"]), statuses, {} if is_differentiated else None)
    axes = {status.axis for status in statuses if isinstance(status, Row)}
    if len(axes) != 1:
        raise NotUnderstood(name)
    (axis,) = axes
    if name in ELEMENTWISE:
        return [Row(_elementwise_axis(equation, statuses, axis))] * len(outputs)
    if name in REDUCTIONS and axis not in equation.params["axes"]:
        return [Row(axis - sum(other < axis for other in equation.params["axes"]))]
    if name == "transpose":
        return [Row(tuple(equation.params["permutation"]).index(axis))]
    before, after = equation.invars[0].aval.shape, outputs[0].aval.shape
    if name == "broadcast_in_dim" and len(equation.invars) == 1:
        place = int(equation.params["broadcast_dimensions"][axis])
        if after[place] == before[axis]:
            return [Row(place)]
    if name in ("reshape", "squeeze", "expand_dims") and len(equation.invars) == 1:
        return [Row(_reshaped_axis(before, after, axis))]
    if name == "concatenate" and equation.params["dimension"] != axis and None not in statuses:
        return [Row(axis)]
    if name == "dot_general" and None in statuses:
        return [Row(_constant_product_axis(equation, statuses, axis))]
    raise NotUnderstood(name)


def _elementwise_axis(equation: Any, statuses: list[Status], axis: int) -> int:
    """Require operands of equal rank, or scalars: then entry meets entry, and a row its own."""
    rank = len(equation.outvars[0].aval.shape)
    for atom, status in zip(equation.invars, statuses, strict=True):
        shape = atom.aval.shape
        if len(shape) not in (0, rank) or (isinstance(status, Row) and len(shape) != rank):
            raise NotUnderstood(equation.primitive.name)
        if isinstance(status, Row) and shape[axis] != equation.outvars[0].aval.shape[axis]:
            raise NotUnderstood(equation.primitive.name)
    return axis


def _reshaped_axis(before: tuple[int, ...], after: tuple[int, ...], axis: int) -> int:
    """Return where the row axis is after a reshape that keeps what stands before and after it."""
    ahead = math.prod(before[:axis])
    for place, size in enumerate(after):
        if size == before[axis] and math.prod(after[:place]) == ahead and math.prod(before) == math.prod(after):
            return place
    raise NotUnderstood("reshape")


def _constant_product_axis(equation: Any, statuses: list[Status], axis: int) -> int:
    """Return the row axis of a product of rows with a constant."""
    contracted, batched = equation.params["dimension_numbers"]
    rows = 0 if isinstance(statuses[0], Row) else 1
    if batched[0] or axis in contracted[rows]:
        raise NotUnderstood("dot_general")
    ahead = sum(other not in contracted[rows] for other in range(axis))
    constant_rank = len(equation.invars[1 - rows].aval.shape) - len(contracted[1 - rows])
    return ahead if rows == 0 else constant_rank + ahead


def _inner(jaxpr: Any) -> jex.Jaxpr:
    return jaxpr.jaxpr if isinstance(jaxpr, jex.ClosedJaxpr) else jaxpr


def _check_derivative(equation: Any, statuses: list[Status], found: list[Status]) -> None:
    """Require that a derivative which somebody wrote, of a function by rows, is by rows itself."""
    shapes = [jax.ShapeDtypeStruct(atom.aval.shape, atom.aval.dtype) for atom in equation.invars]
    outputs = [jax.ShapeDtypeStruct(atom.aval.shape, atom.aval.dtype) for atom in equation.outvars]

    def pulled_back(values: list[Array], cotangents: list[Array]) -> Any:
        return jax.vjp(lambda *inner: bind(equation, inner), *values)[1](cotangents)

    if not all(_is_float(atom) for atom in (*equation.invars, *equation.outvars)) or None in found:
        raise NotUnderstood(equation.primitive.name)
    backward = inlined(pulled_back, shapes, outputs)
    back = walk(backward.jaxpr, [*statuses, *found], None)
    if any(one is not None and one != status for one, status in zip(back, statuses, strict=True)):
        raise NotUnderstood(equation.primitive.name)

"""How operations of a jaxpr treat rows and parameters: one small rule for each primitive.

A value holds one slice per row along a known axis, made from that row and the parameters alone (`Row`), or is a
parameter, up to a scalar factor and the order of its entries (`Weight`), or is constant (None). What no rule allows is
`NotUnderstood`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax.numpy as jnp

_ELEMENTWISE = (
    "abs acos acosh add and asin asinh atan atan2 atanh cbrt ceil clamp copy copy_p convert_element_type cos cosh "
    "digamma div eq erf erf_inv erfc exp exp2 expm1 floor ge gt integer_pow is_finite le lgamma log log1p logistic lt "
    "max min mul ne neg not or pow round rsqrt select_n sign sin sinh sqrt square stop_gradient sub tan tanh xor"
)
ELEMENTWISE = frozenset(_ELEMENTWISE.split())
REDUCTIONS = frozenset(f"reduce_{name}" for name in ("sum", "max", "min", "prod", "and", "or")) | {"argmax", "argmin"}
RESHAPES = ("reshape", "squeeze", "expand_dims")


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


class NotUnderstood(Exception):
    """An operation that has no rule."""


def row_after(equation: Any, statuses: list[Status]) -> Row:
    """Return where the rows are after an operation on rows and constants."""
    name = equation.primitive.name
    axes = {status.axis for status in statuses if isinstance(status, Row)}
    if len(axes) != 1 or name not in ROW_RULES:
        raise NotUnderstood(name)
    return Row(ROW_RULES[name](equation, statuses, *axes))


def _elementwise(equation: Any, statuses: list[Status], axis: int) -> int:
    """Require operands of equal rank, or scalars: then entry meets entry, and a row its own."""
    after = equation.outvars[0].aval.shape
    for atom, status in zip(equation.invars, statuses, strict=True):
        shape = atom.aval.shape
        if isinstance(status, Row):
            _require(equation, len(shape) == len(after) and shape[axis] == after[axis])
        else:
            _require(equation, len(shape) in (0, len(after)))
    return axis


def _reduced(equation: Any, statuses: list[Status], axis: int) -> int:
    gone = equation.params["axes"]
    _require(equation, axis not in gone)
    return axis - sum(other < axis for other in gone)


def _transposed(equation: Any, statuses: list[Status], axis: int) -> int:
    return tuple(equation.params["permutation"]).index(axis)


def _broadcast(equation: Any, statuses: list[Status], axis: int) -> int:
    before, after = _shapes(equation)
    place = int(equation.params["broadcast_dimensions"][axis])
    _require(equation, after[place] == before[axis])
    return place


def _reshaped(equation: Any, statuses: list[Status], axis: int) -> int:
    """Return where the row axis is after a reshape that keeps what stands before and after it."""
    before, after = _shapes(equation)
    ahead = math.prod(before[:axis])
    for place, size in enumerate(after):
        if size == before[axis] and math.prod(after[:place]) == ahead and math.prod(before) == math.prod(after):
            return place
    raise NotUnderstood(equation.primitive.name)


def _concatenated(equation: Any, statuses: list[Status], axis: int) -> int:
    _require(equation, equation.params["dimension"] != axis and None not in statuses)
    return axis


def _constant_product(equation: Any, statuses: list[Status], axis: int) -> int:
    """Return the row axis of a product of rows with a constant."""
    _require(equation, None in statuses)
    contracted, batched = equation.params["dimension_numbers"]
    rows = 0 if isinstance(statuses[0], Row) else 1
    _require(equation, not batched[0] and axis not in contracted[rows])
    ahead = sum(other not in contracted[rows] for other in range(axis))
    constant_rank = len(equation.invars[1 - rows].aval.shape) - len(contracted[1 - rows])
    return ahead if rows == 0 else constant_rank + ahead


ROW_RULES: dict[str, Callable[[Any, list[Status], int], int]] = {
    **dict.fromkeys(ELEMENTWISE, _elementwise),
    **dict.fromkeys(REDUCTIONS, _reduced),
    **dict.fromkeys(RESHAPES, _reshaped),
    "transpose": _transposed,
    "broadcast_in_dim": _broadcast,
    "concatenate": _concatenated,
    "dot_general": _constant_product,
}


def weight_after(index: int, equation: Any, statuses: list[Status]) -> Weight:
    """Return the status of a parameter that was scaled, turned or given axes of size one."""
    name = equation.primitive.name
    weights = [status for status in statuses if isinstance(status, Weight)]
    is_alone = len(weights) == 1 and not any(isinstance(status, Row) for status in statuses)
    if not is_alone or len(equation.outvars) != 1 or name not in WEIGHT_RULES:
        raise NotUnderstood(name)
    return WEIGHT_RULES[name](equation, weights[0], index, statuses.index(weights[0]))


def _scaled(equation: Any, weight: Weight, index: int, operand: int) -> Weight:
    is_product = equation.primitive.name == "mul"
    other = 1 - operand
    _require(equation, (is_product or operand == 0) and equation.invars[other].aval.shape == ())
    return weight._replace(factors=(*weight.factors, (index, other, 1 if is_product else -1)))


def _kept(equation: Any, weight: Weight, index: int, operand: int) -> Weight:
    return weight


def _converted(equation: Any, weight: Weight, index: int, operand: int) -> Weight:
    _require(equation, is_float(equation.outvars[0]))
    return weight


def _turned(equation: Any, weight: Weight, index: int, operand: int) -> Weight:
    _require(equation, not weight.expanded)
    return weight


def _resized(equation: Any, weight: Weight, index: int, operand: int) -> Weight:
    before, after = ([size for size in shape if size != 1] for shape in _shapes(equation))
    _require(equation, not weight.expanded and before == after)
    return weight


def _expanded(equation: Any, weight: Weight, index: int, operand: int) -> Weight:
    """Note the axes along which a broadcast repeats its operand."""
    _require(equation, not weight.expanded)
    before, after = _shapes(equation)
    kept = {int(axis): before[i] for i, axis in enumerate(equation.params["broadcast_dimensions"])}
    repeated = frozenset(axis for axis, size in enumerate(after) if kept.get(axis, 1) == 1 and size != 1)
    return weight._replace(expanded=repeated)


WEIGHT_RULES: dict[str, Callable[[Any, Weight, int, int], Weight]] = {
    **dict.fromkeys(("mul", "div"), _scaled),
    **dict.fromkeys(("neg", "copy", "copy_p"), _kept),
    **dict.fromkeys(RESHAPES, _resized),
    "convert_element_type": _converted,
    "transpose": _turned,
    "broadcast_in_dim": _expanded,
}


def parameter_use(equation: Any, statuses: list[Status]) -> Dense | Bias | None:
    """Return how rows meet a parameter here: a product with a matrix, a sum with a vector; None for neither."""
    rule = USES.get(equation.primitive.name)
    kinds = [type(status) for status in statuses]
    if rule is None or len(kinds) != 2 or set(kinds) != {Row, Weight}:
        return None
    return rule(equation, statuses, kinds.index(Row))


def _product_with_weights(equation: Any, statuses: list[Any], rows: int) -> Dense | None:
    row, weight = statuses[rows], statuses[1 - rows]
    ranks = [len(atom.aval.shape) for atom in equation.invars]
    contracted, batched = equation.params["dimension_numbers"]
    is_plain = ranks[rows] == 2 and ranks[1 - rows] <= 2 and not weight.expanded and not batched[0]
    if not is_plain or len(contracted[0]) != 1 or row.axis == contracted[rows][0]:
        return None
    return Dense(rows, weight, rows if ranks[1 - rows] == 2 else 0)


def _sum_with_weights(equation: Any, statuses: list[Any], rows: int) -> Bias | None:
    row, weight = statuses[rows], statuses[1 - rows]
    shape, own = (equation.invars[place].aval.shape for place in (rows, 1 - rows))
    if len(shape) != len(own):
        return None
    is_spread = row.axis in weight.expanded or own[row.axis] == 1
    is_whole = not weight.expanded - {row.axis} and all(
        size == other for axis, (size, other) in enumerate(zip(shape, own, strict=True)) if axis != row.axis
    )
    return Bias(weight, row.axis) if is_spread and is_whole else None


USES: dict[str, Callable[[Any, list[Any], int], Dense | Bias | None]] = {
    "dot_general": _product_with_weights,
    "add": _sum_with_weights,
    "sub": _sum_with_weights,
}


def is_float(atom: Any) -> bool:
    """Return whether a value of the program is of floating point."""
    return jnp.issubdtype(atom.aval.dtype, jnp.floating)


def _shapes(equation: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the shapes of the only operand and of the result."""
    _require(equation, len(equation.invars) == 1)
    return equation.invars[0].aval.shape, equation.outvars[0].aval.shape


def _require(equation: Any, is_allowed: bool) -> None:
    if not is_allowed:
        raise NotUnderstood(equation.primitive.name)

"""Does a program keep the entries along an axis apart, whatever their values? Followed from operation to operation.

A value depends on no entry, or its entry at a place depends on the one at the same place of an axis, or an operation
has coupled them: a sum over the axis, a sort, or one that has no rule here. Constants count as the same at all places.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from dyntheory.ground.checks import is_concrete
from dyntheory.ground.programs.interpret import Domain

_ENTRYWISE = (
    "abs acos acosh add add_any and asin asinh atan atan2 atanh bessel_i0e bessel_i1e cbrt ceil clamp clz complex "
    "conj convert_element_type copy copy_p cos cosh device_put digamma div eq eq_to erf erf_inv erfc exp exp2 expm1 "
    "floor ge gt igamma igammac imag integer_pow is_finite le le_to lgamma log log1p logistic lt lt_to max min mul "
    "name ne neg nextafter not optimization_barrier or polygamma population_count pow pvary real reduce_precision "
    "regularized_incomplete_beta rem round rsqrt select_n shift_left shift_right_arithmetic shift_right_logical sign "
    "sin sinh sqrt square stop_gradient sub tan tanh xor"
)
ENTRYWISE = frozenset(_ENTRYWISE.split())
_FINITE = (  # operations that make finite numbers of finite ones
    "abs add add_any and asinh atan atan2 broadcast_in_dim ceil clamp concatenate convert_element_type copy copy_p cos "
    "dot_general eq erf erfc exp2 expand_dims floor ge gt is_finite le logistic lt max min mul ne neg not "
    "optimization_barrier or pad reduce_and reduce_max reduce_min reduce_or reduce_sum reshape round select_n sign sin "
    "slice square squeeze stop_gradient sub tanh transpose"
)
FINITE = frozenset(_FINITE.split())
REDUCTIONS = frozenset(f"reduce_{name}" for name in ("sum", "max", "min", "prod", "and", "or", "xor")) | {
    "argmax",
    "argmin",
}
ALONG = {name: "axis" for name in ("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp", "split")} | {
    "sort": "dimension"
}


class Dependence(NamedTuple):
    """How a value depends on the entries.

    Args:
        axis: of this value, whose places are those of the entries; None if it depends on none.
        coupled_by: the operation that mixed the entries; empty if none did.
        is_finite: whether it is a finite number for all finite inputs, overflow aside.
    """

    axis: int | None = None
    coupled_by: str = ""
    is_finite: bool = True


class _Entries(Domain[Dependence]):
    """Kinds of dependence on the entries along one axis."""

    def of_constant(self, value: Any) -> Dependence:
        if not is_concrete(value):
            return Dependence(is_finite=False)
        is_float = jnp.issubdtype(getattr(value, "dtype", type(value)), jnp.inexact)
        return Dependence(is_finite=not is_float or bool(np.all(np.isfinite(value))))

    def join(self, kinds: Sequence[Dependence]) -> Dependence:
        axes = {kind.axis for kind in kinds} - {None}
        coupled = next((kind.coupled_by for kind in kinds if kind.coupled_by), "moving an axis" * (len(axes) > 1))
        is_finite = all(kind.is_finite for kind in kinds)
        return Dependence(None if coupled else next(iter(axes), None), coupled, is_finite)

    def chosen(self, by: Dependence, result: Dependence) -> Dependence:
        return self.join([by._replace(is_finite=True), result])

    def cut(self, kind: Dependence) -> Dependence:
        if kind.axis == 0:
            return Dependence(None, "scan", kind.is_finite)
        return kind if kind.axis is None else kind._replace(axis=kind.axis - 1)

    def stacked(self, kind: Dependence) -> Dependence:
        return kind if kind.axis is None else kind._replace(axis=kind.axis + 1)

    def after(self, equation: Any, kinds: list[Dependence]) -> list[Dependence]:
        name, count = equation.primitive.name, len(equation.outvars)
        joined = self.join(kinds)
        asks_finite = name == "is_finite" or (name == "ne" and equation.invars[0] is equation.invars[1])
        if asks_finite and joined.is_finite:
            return [Dependence()]  # what a run that has not diverged always answers
        is_finite = joined.is_finite and name in FINITE
        if name == "optimization_barrier":
            return kinds
        if joined.coupled_by or all(kind.axis is None for kind in kinds) or name in ENTRYWISE:
            return [joined._replace(is_finite=is_finite)] * count
        rule = RULES.get(name)
        axis = rule(equation, kinds) if rule else None
        return [Dependence(axis, "" if axis is not None else name, is_finite)] * count


Rule = Callable[[Any, list[Dependence]], int | None]  # the axis of the entries in the results; None: they are coupled


def _one(kinds: list[Dependence]) -> int | None:
    """Return the axis of the first operand; None if another depends on entries too."""
    return kinds[0].axis if all(kind.axis is None for kind in kinds[1:]) else None


def _broadcast(equation: Any, kinds: list[Dependence]) -> int | None:
    axis = _one(kinds)
    return None if axis is None else equation.params["broadcast_dimensions"][axis]


def _transpose(equation: Any, kinds: list[Dependence]) -> int | None:
    return tuple(equation.params["permutation"]).index(kinds[0].axis)


def _reshape(equation: Any, kinds: list[Dependence]) -> int | None:
    """Return the axis of the same length with as many places before it."""
    axis = _one(kinds)
    if axis is None:
        return None
    old, new = equation.invars[0].aval.shape, equation.outvars[0].aval.shape
    places = (place for place in range(len(new)) if new[place] == old[axis])
    return next((place for place in places if math.prod(new[:place]) == math.prod(old[:axis])), None)


def _without(axis: int | None, dropped: Sequence[int]) -> int | None:
    """Return where an axis stands once others are dropped."""
    return None if axis is None or axis in dropped else axis - sum(other < axis for other in dropped)


def _reduce(equation: Any, kinds: list[Dependence]) -> int | None:
    return _without(_one(kinds), equation.params["axes"])


def _along(equation: Any, kinds: list[Dependence]) -> int | None:
    """Return the shared axis of the operands, unless the operation runs along it."""
    axes = {kind.axis for kind in kinds} - {None}
    along = equation.params[ALONG.get(equation.primitive.name, "dimension")]
    return None if len(axes) > 1 or along in axes else axes.pop()


def _reverse(equation: Any, kinds: list[Dependence]) -> int | None:
    return None if kinds[0].axis in equation.params["dimensions"] else kinds[0].axis


def _cut_out(equation: Any, kinds: list[Dependence]) -> int | None:
    """Return the axis, if the result has it in full: the place where a slice begins must be the same for all."""
    axis = _one(kinds)
    if axis is None or equation.outvars[0].aval.shape[axis] != equation.invars[0].aval.shape[axis]:
        return None
    return axis


def _pad(equation: Any, kinds: list[Dependence]) -> int | None:
    axis = _one(kinds)
    return None if axis is None or any(equation.params["padding_config"][axis]) else axis


def _overwrite(equation: Any, kinds: list[Dependence]) -> int | None:
    """Return the axis that array and update have in common in full."""
    axes = {kind.axis for kind in kinds[:2]} - {None}
    if len(axes) > 1 or any(kind.axis is not None for kind in kinds[2:]):
        return None
    axis = axes.pop()
    whole, part = (atom.aval.shape[axis] for atom in equation.invars[:2])
    return axis if whole == part else None


def _dot(equation: Any, kinds: list[Dependence]) -> int | None:
    contracted, batch = equation.params["dimension_numbers"]
    places = [
        _of_product(kind.axis, contracted[side], batch[side], atom.aval.ndim)
        for side, (kind, atom) in enumerate(zip(kinds, equation.invars, strict=True))
    ]
    if any(place is None for kind, place in zip(kinds, places, strict=True) if kind.axis is not None):
        return None
    num_left = equation.invars[0].aval.ndim - len(contracted[0]) - len(batch[0])
    if places[1] is not None and places[1] >= len(batch[1]):
        places[1] += num_left
    found = set(places) - {None}
    return found.pop() if len(found) == 1 else None


def _of_product(axis: int | None, contracted: Sequence[int], batch: Sequence[int], ndim: int) -> int | None:
    """Return where an axis stands among batch axes, then free ones, of its side of a product."""
    if axis is None or axis in contracted:
        return None
    free = [other for other in range(ndim) if other not in contracted and other not in batch]
    return [*batch, *free].index(axis)


def _gather(equation: Any, kinds: list[Dependence]) -> int | None:
    """Return the axis that slices have in full, or, of a table read at places that depend on entries, that of these."""
    numbers, sizes = equation.params["dimension_numbers"], equation.params["slice_sizes"]
    (array, places), shape = kinds[:2], equation.invars[0].aval.shape
    if array.axis is None and places.axis is not None and not numbers.operand_batching_dims:
        read = [axis for axis in range(equation.outvars[0].aval.ndim) if axis not in numbers.offset_dims]
        return read[places.axis] if places.axis < len(read) else None
    if array.axis is None or places.axis is not None or sizes[array.axis] != shape[array.axis]:
        return None
    kept = _without(array.axis, [*numbers.collapsed_slice_dims, *numbers.operand_batching_dims])
    return None if kept is None else numbers.offset_dims[kept]


def _scatter(equation: Any, kinds: list[Dependence]) -> int | None:
    """Return the axis that array and what is written into it have in common in full."""
    numbers, (array, places, written) = equation.params["dimension_numbers"], kinds
    (whole, _, part) = (atom.aval.shape for atom in equation.invars)
    dropped = (*numbers.inserted_window_dims, *numbers.operand_batching_dims)
    common = dict(
        zip(numbers.update_window_dims, (axis for axis in range(len(whole)) if axis not in dropped), strict=True)
    )
    axis = array.axis if written.axis is None else common.get(written.axis)
    across = {there: here for here, there in common.items()}
    if places.axis is not None or axis not in across or array.axis not in (None, axis):
        return None
    return axis if whole[axis] == part[across[axis]] else None


RULES: dict[str, Rule] = {
    "broadcast_in_dim": _broadcast,
    "transpose": _transpose,
    "concatenate": _along,
    "rev": _reverse,
    "pad": _pad,
    "dot_general": _dot,
    "gather": _gather,
    **dict.fromkeys(("scatter", "scatter-add", "scatter-mul", "scatter_add", "scatter_mul"), _scatter),
    "dynamic_update_slice": _overwrite,
    **dict.fromkeys(("reshape", "squeeze", "expand_dims"), _reshape),
    **dict.fromkeys(("slice", "dynamic_slice"), _cut_out),
    **dict.fromkeys(REDUCTIONS, _reduce),
    **dict.fromkeys(ALONG, _along),
}

ENTRIES = _Entries()

"""Proves from its jaxpr that a function treats the rows of its input one by one, and finds where parameters enter.

Every value of the program gets a status by the rules of `jaxpr_rules`: constant, one slice per row, or a parameter. A
program with an operation that has no rule there is not understood, and nothing is claimed about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.extend.core as jex

from dyntheory.ground.arrays import Array
from dyntheory.kernels.jaxpr_rules import (
    Bias,
    Dense,
    NotUnderstood,
    Row,
    Status,
    Weight,
    is_float,
    parameter_use,
    row_after,
    weight_after,
)
from dyntheory.kernels.jaxpr_run import INLINED, bind, inlined

CUSTOM = frozenset(("custom_jvp_call", "custom_vjp_call"))


class Plan(NamedTuple):
    """A program of dense layers: the flat jaxpr and the equations at which parameters enter."""

    jaxpr: jex.ClosedJaxpr
    uses: dict[int, Dense | Bias]


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
            results = [weight_after(index, equation, found)]
        else:
            results = _rows_after(equation, found, is_differentiated=uses is not None)
        known.update(zip(equation.outvars, results, strict=True))
    return [status(atom) for atom in jaxpr.outvars]


def _rows_after(equation: Any, statuses: list[Status], *, is_differentiated: bool) -> list[Status]:
    """Return the statuses after an operation on rows and constants, or after a function inside of the program."""
    name = equation.primitive.name
    if name in CUSTOM:
        found = walk(_inner(equation.params["call_jaxpr"]), statuses, None)
        if is_differentiated:
            _check_derivative(equation, statuses, found)
        return found
    if name in INLINED and "jaxpr" in equation.params:
        return walk(_inner(equation.params["jaxpr"]), statuses, {} if is_differentiated else None)
    return [row_after(equation, statuses)] * len(equation.outvars)


def _inner(jaxpr: Any) -> jex.Jaxpr:
    return jaxpr.jaxpr if isinstance(jaxpr, jex.ClosedJaxpr) else jaxpr


def _check_derivative(equation: Any, statuses: list[Status], found: list[Status]) -> None:
    """Require that a derivative which somebody wrote, of a function by rows, is by rows itself."""
    shapes = [jax.ShapeDtypeStruct(atom.aval.shape, atom.aval.dtype) for atom in equation.invars]
    outputs = [jax.ShapeDtypeStruct(atom.aval.shape, atom.aval.dtype) for atom in equation.outvars]

    def pulled_back(values: list[Array], cotangents: list[Array]) -> Any:
        return jax.vjp(lambda *inner: bind(equation, inner), *values)[1](cotangents)

    if not all(is_float(atom) for atom in (*equation.invars, *equation.outvars)) or None in found:
        raise NotUnderstood(equation.primitive.name)
    backward = inlined(pulled_back, shapes, outputs)
    back = walk(backward.jaxpr, [*statuses, *found], None)
    if any(one is not None and one != status for one, status in zip(back, statuses, strict=True)):
        raise NotUnderstood(equation.primitive.name)

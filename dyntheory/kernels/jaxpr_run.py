"""Run a jaxpr equation by equation, with nested jitted calls written out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.extend.core as jex

from dyntheory.ground.arrays import Array

INLINED = frozenset(("jit", "pjit", "closed_call", "core_call", "remat2", "remat", "checkpoint"))


def inlined(function: Callable[..., Any], *arguments: Any) -> jex.ClosedJaxpr:
    """Return the jaxpr of the function with nested jitted calls written out."""
    closed = jax.make_jaxpr(function)(*arguments)

    def flat(*values: Array) -> list[Array]:
        return evaluate(closed.jaxpr, closed.consts, values)

    return jax.make_jaxpr(flat)(*jax.tree.leaves(arguments))


def evaluate(
    jaxpr: jex.Jaxpr,
    consts: Sequence[Any],
    values: Sequence[Any],
    watch: Callable[[int, list[Any], list[Any]], list[Any]] | None = None,
) -> list[Any]:
    """Run a jaxpr; `watch` sees the operands and results of every equation and may replace the results."""
    environment: dict[Any, Any] = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, *values), strict=True))

    def read(atom: Any) -> Any:
        return atom.val if _is_literal(atom) else environment[atom]

    for index, equation in enumerate(jaxpr.eqns):
        operands = [read(atom) for atom in equation.invars]
        if equation.primitive.name in INLINED and "jaxpr" in equation.params:
            inner = equation.params["jaxpr"]
            inner, held = (inner.jaxpr, inner.consts) if isinstance(inner, jex.ClosedJaxpr) else (inner, ())
            results = evaluate(inner, held, operands)
        else:
            results = bind(equation, operands)
        if watch is not None:
            results = watch(index, operands, results)
        environment.update(zip(equation.outvars, results, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def bind(equation: Any, operands: Sequence[Any]) -> list[Any]:
    """Run one equation, its own rules of differentiation and its context included."""
    named = {atom: value for atom, value in zip(equation.invars, operands, strict=True) if not _is_literal(atom)}
    debug = jax.make_jaxpr(lambda: ())().jaxpr.debug_info
    alone = jex.Jaxpr((), list(named), equation.outvars, [equation], equation.effects, debug)
    return jex.jaxpr_as_fun(jex.ClosedJaxpr(alone, ()))(*named.values())


def _is_literal(atom: Any) -> bool:
    return isinstance(atom, jex.Literal)

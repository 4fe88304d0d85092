"""Follow kinds of values, instead of values, through a program: calls, branches and loops, whatever the kinds are.

Numbers cannot prove what a function does: a threshold may wake up late, at a scale that was not tried. A kind stands
for all values; where a loop carries one, it is followed until it changes no more.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import jax
import jax.extend.core as jex

Kind = TypeVar("Kind")
CALLS = frozenset(
    ["jit", "pjit", "closed_call", "core_call", "checkpoint", "remat", "remat2", "custom_jvp_call", "custom_vjp_call"]
)


class Domain(abc.ABC, Generic[Kind]):
    """Kinds of values, and what operations make of them."""

    @abc.abstractmethod
    def of_constant(self, value: Any) -> Kind:
        """Return the kind of a number or array that the program holds."""

    @abc.abstractmethod
    def join(self, kinds: Sequence[Kind]) -> Kind:
        """Return the least kind that holds the values of all of these."""

    @abc.abstractmethod
    def after(self, equation: Any, kinds: list[Kind]) -> list[Kind]:
        """Return the kinds of the results of an operation that is no call, branch or loop."""

    @abc.abstractmethod
    def chosen(self, by: Kind, result: Kind) -> Kind:
        """Return the kind of a result where a value of kind `by` decides which branch, or how many rounds, make it."""

    def cut(self, kind: Kind) -> Kind:
        """Return the kind of a slice along the first axis."""
        return kind

    def stacked(self, kind: Kind) -> Kind:
        """Return the kind of slices put together along a new first axis."""
        return kind


def program(function: Any, *arguments: Any) -> tuple[jex.ClosedJaxpr, Any]:
    """Return the program of a function, and the shapes of what it returns."""
    return jax.make_jaxpr(function, return_shape=True)(*arguments)


def outcome(domain: Domain[Kind], closed: jex.ClosedJaxpr, kinds: Sequence[Kind]) -> list[Kind]:
    """Return the kinds of the results of a program, from those of its arguments."""
    jaxpr = closed.jaxpr
    known: dict[Any, Kind] = dict(zip(jaxpr.constvars, map(domain.of_constant, closed.consts), strict=True))
    known.update(zip(jaxpr.invars, kinds, strict=True))

    def kind(atom: Any) -> Kind:
        return domain.of_constant(atom.val) if isinstance(atom, jex.Literal) else known[atom]

    for equation in jaxpr.eqns:
        found = _after(domain, equation, [kind(atom) for atom in equation.invars])
        known.update(zip(equation.outvars, found, strict=True))
    return [kind(atom) for atom in jaxpr.outvars]


def settled(domain: Domain[Kind], step: Any, kinds: list[Kind]) -> tuple[list[Kind], list[Kind]]:
    """Return the kinds of what is carried when no step changes them any more, and those of the step's other results.

    Args:
        domain: the kinds.
        step: kinds of what is carried -> those of what is carried and of other results.
        kinds: at the start.
    """
    while True:
        found = step(kinds)
        joined = [domain.join([old, new]) for old, new in zip(kinds, found[: len(kinds)], strict=True)]
        if joined == kinds:
            return kinds, found[len(kinds) :]
        kinds = joined


def _after(domain: Domain[Kind], equation: Any, kinds: list[Kind]) -> list[Kind]:
    name = equation.primitive.name
    if name in LOOPS:
        return LOOPS[name](domain, equation, kinds)
    if name in CALLS:
        inner = equation.params["jaxpr" if "jaxpr" in equation.params else "call_jaxpr"]
        return outcome(domain, inner if isinstance(inner, jex.ClosedJaxpr) else jex.ClosedJaxpr(inner, ()), kinds)
    return domain.after(equation, kinds)


def _after_cond(domain: Domain[Kind], equation: Any, kinds: list[Kind]) -> list[Kind]:
    branches = [outcome(domain, branch, kinds[1:]) for branch in equation.params["branches"]]
    return [domain.chosen(kinds[0], domain.join(each)) for each in zip(*branches, strict=True)]


def _after_scan(domain: Domain[Kind], equation: Any, kinds: list[Kind]) -> list[Kind]:
    """Return the kinds of carry and stacked outputs; what is cut in slices is longer by an axis outside than inside.

    How JAX writes down which are which changes with its version.
    """
    body = equation.params["jaxpr"]
    cut = _num_longer(equation.invars, body.in_avals)
    width = len(equation.outvars) - _num_longer(equation.outvars, body.out_avals)
    fixed = len(kinds) - cut - width
    slices = [domain.cut(kind) for kind in kinds[fixed + width :]]
    carry, stacks = settled(
        domain,
        lambda carry: outcome(domain, body, [*kinds[:fixed], *carry, *slices]),
        kinds[fixed : fixed + width],
    )
    return [*carry, *map(domain.stacked, stacks)]


def _num_longer(outside: list[Any], inside: list[Any]) -> int:
    return sum(len(one.aval.shape) > len(other.shape) for one, other in zip(outside, inside, strict=True))


def _after_while(domain: Domain[Kind], equation: Any, kinds: list[Kind]) -> list[Kind]:
    params = equation.params
    ahead, fixed = params["cond_nconsts"], params["body_nconsts"]

    def rounds(carry: list[Kind]) -> list[Kind]:
        goes_on = outcome(domain, params["cond_jaxpr"], [*kinds[:ahead], *carry])[0]
        found = outcome(domain, params["body_jaxpr"], [*kinds[ahead : ahead + fixed], *carry])
        return [domain.chosen(goes_on, kind) for kind in found]

    return settled(domain, rounds, kinds[ahead + fixed :])[0]


LOOPS = {"cond": _after_cond, "scan": _after_scan, "while": _after_while}

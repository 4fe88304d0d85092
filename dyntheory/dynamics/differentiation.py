"""Which predictions may be differentiated: a derivative along fixed nodes misses the nodes that cross a kink.

The residual g = ∂_h ℓ(F(θ, h), y) of a ReLU network jumps at h = 0. The expectation of it is smooth in every parameter,
but its derivative has a term from the moving boundary that no node sees: the result would be wrong by tens of percent
in silence. So it is refused, and `dyntheory.sensitivity` takes differences. The same holds for optimizers that jump in
the gradient (sign descent, the first step of Adam). A kink of a continuous *link* is harmless:
labels are Lipschitz in what moves them and no map differentiates the link. The optimizer of the head may have kinks
too: its numbers are means already.
"""

from __future__ import annotations

import functools
import warnings

import jax

from dyntheory.ground.arrays import PyTree
from dyntheory.ground.smoothness import known_kink
from dyntheory.ground.status import DyntheoryWarning
from dyntheory.problem.laws.law import TeacherStudent
from dyntheory.problem.laws.links import resolve_link
from dyntheory.problem.methods.method import GeneralFirstOrderMethod
from dyntheory.problem.methods.probing import feature_map_jumps

REMEDY = (
    "a derivative along fixed nodes misses the nodes that cross it and would be wrong in silence. "
    "`dyntheory.sensitivity` gives derivatives by wide-step differences on common nodes, with their error."
)


def kinks(
    law: TeacherStudent, method: GeneralFirstOrderMethod, *, has_feature_nodes: bool = False
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what is known to have a kink that matters, and what may have one: nobody said.

    On a frame the feature map is linear; on feature nodes it is probed for jumps.

    Returns:
        Two tuples of names, for messages.
    """
    link = resolve_link(law.link)
    kinked = known_kink(method.has_kink, None if method.smooth else method.smooth)
    facts = {
        f"the derivative of {method.description or method.name}": kinked,
        f"the link {link.name}": link.jumps,
        f"the update of the first layer in {method.description or method.name}": has_feature_nodes
        and feature_map_jumps(method),
    }
    return (
        tuple(name for name, fact in facts.items() if fact),
        tuple(name for name, fact in facts.items() if fact is None),
    )


def guarded(
    law: TeacherStudent, method: GeneralFirstOrderMethod, values: PyTree, *, has_feature_nodes: bool = False
) -> PyTree:
    """Return the values, which say so when they are differentiated although a map has a kink.

    Forward and reverse mode alike; a parameter that only enters through a closure is seen too, since the guard stands
    on what comes out.

    Args:
        law: the law behind the values.
        method: the method behind them.
        values: any pytree of floating arrays.
        has_feature_nodes: whether the feature map acted on nodes.

    Raises:
        ValueError: when differentiated and a map is known to have a kink. Where nobody said, a `DyntheoryWarning`
            is issued instead: most functions that users write are smooth, and `has_kink=False` silences it.
    """
    known, unknown = kinks(law, method, has_feature_nodes=has_feature_nodes)
    return _identity(known, unknown, values) if known or unknown else values


def watched(what: str, values: PyTree) -> PyTree:
    """Return the values, which warn when they are differentiated on their way to a function of which nobody spoke."""
    return _identity((), (what,), values)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _identity(known: tuple[str, ...], unknown: tuple[str, ...], values: PyTree) -> PyTree:
    del known, unknown
    return values


@_identity.defjvp
def _differentiate(
    known: tuple[str, ...], unknown: tuple[str, ...], primals: tuple[PyTree], tangents: tuple[PyTree]
) -> tuple[PyTree, PyTree]:
    if known:
        raise ValueError(
            f"This prediction cannot be differentiated: {' and '.join(known)} jumps, and {REMEDY} "
            "If there is no such jump and the function only grows fast, say so with has_kink=False (has_jump=False "
            "for a link)."
        )
    warnings.warn(
        f"Nobody said whether {' and '.join(unknown)} jumps somewhere; if it does, {REMEDY} If it does not, say so "
        "with has_kink=False (has_jump=False for a link) or smooth=True.",
        DyntheoryWarning,
        stacklevel=2,
    )
    return primals[0], tangents[0]

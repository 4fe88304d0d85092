"""Which predictions may be differentiated: a derivative along fixed nodes misses the nodes that cross a kink.

The residual g = ∂_h ℓ(F(θ, h), y) of a ReLU network jumps at h = 0. The expectation of it is smooth in every parameter,
but its derivative has a term from the moving boundary that no node sees: the result would be wrong by tens of percent
in silence. So it is refused, and `dyntheory.sensitivity` takes differences. The same holds for optimizers that jump in
the gradient (sign descent, the first step of Adam). A kink of a continuous *link* is harmless:
labels are Lipschitz in what moves them and no map differentiates the link. The optimizer of the head may have kinks
too: its numbers are means already.
"""

from __future__ import annotations

import jax
from jax.core import Tracer

from dyntheory.ground.arrays import PyTree
from dyntheory.ground.derivatives import DIFFERENCES, refusing, warning
from dyntheory.ground.smoothness import known_kink
from dyntheory.problem.laws.law import TeacherStudent
from dyntheory.problem.laws.links import resolve_link
from dyntheory.problem.methods.method import GeneralFirstOrderMethod

REMEDY = f"a derivative along fixed nodes misses the nodes that cross it and would be wrong in silence. {DIFFERENCES}"


def kinks(law: TeacherStudent, method: GeneralFirstOrderMethod) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what is known to have a kink that matters, and what may have one: nobody said.

    Of the feature map nobody is asked: on a frame it is linear, on nodes `seen_by_features` tries it.

    Returns:
        Two tuples of names, for messages.
    """
    link = resolve_link(law.link)
    kinked = known_kink(method.has_kink, None if method.smooth else method.smooth)
    facts = {
        f"the derivative of {method.description or method.name}": kinked,
        f"the link {link.name}": link.jumps,
    }
    return (
        tuple(name for name, fact in facts.items() if fact),
        tuple(name for name, fact in facts.items() if fact is None),
    )


def guarded(law: TeacherStudent, method: GeneralFirstOrderMethod, values: PyTree) -> PyTree:
    """Return the values, which say so when they are differentiated although a map has a kink.

    Forward and reverse mode alike; a parameter that only enters through a closure is seen too, since the guard stands
    on what comes out.

    Args:
        law: the law behind the values.
        method: the method behind them.
        values: any pytree of floating arrays.

    Raises:
        ValueError: when differentiated and a map is known to have a kink. Where nobody said, a `DyntheoryWarning`
            is issued instead: most functions that users write are smooth, and `has_kink=False` silences it.
    """
    known, unknown = kinks(law, method)
    if known:
        return refusing(
            f"This prediction cannot be differentiated: {' and '.join(known)} jumps, and {REMEDY} "
            "If there is no such jump and the function only grows fast, say so with has_kink=False (has_jump=False "
            "for a link).",
            values,
        )
    return watched(" and ".join(unknown), values) if unknown else values


def guarded_inputs(law: TeacherStudent, method: GeneralFirstOrderMethod, inputs: PyTree) -> PyTree:
    """Return numbers of a problem, guarded as its values are.

    A number that only enters through a function that jumps (the noise inside a sign) has a derivative of zero as JAX
    sees it, and the values would not notice.
    """
    return jax.tree.map(lambda leaf: guarded(law, method, leaf) if isinstance(leaf, Tracer) else leaf, inputs)


def watched(what: str, values: PyTree) -> PyTree:
    """Return the values, which warn when they are differentiated on their way to a function of which nobody spoke."""
    return warning(
        f"Nobody said whether {what} jumps somewhere; if it does, {REMEDY} If it does not, say so with has_kink=False "
        "(has_jump=False for a link) or smooth=True.",
        values,
    )

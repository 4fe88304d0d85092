"""Whether a feature map is linear and homogeneous in (w⁰, p⁰, p¹, …): proved from its program, for every shared value.

Numbers cannot prove it: a threshold may wake up late, at a scale that was not tried, or where the run's own statistics
lead. So every value of the program gets a kind, at the start and then from step to step until no kind changes: zero, a
constant (whatever rows share: numbers, counts, statistics), linear in the row's history, or other. What has no rule is
other; of a map that is linear by numbers it happens to hold, nothing is claimed, and it takes nodes.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any

import jax
import jax.extend.core as jex
import jax.numpy as jnp
import numpy as np

from dyntheory.ground.arrays import PyTree
from dyntheory.ground.checks import is_concrete
from dyntheory.ground.precision import as_double, double_precision
from dyntheory.problem.methods.method import GeneralFirstOrderMethod


class Kind(enum.IntFlag):
    """How a value depends on the history of a row; the join of two kinds is their union: an affine value is other."""

    ZERO = 0
    CONSTANT = 1
    LINEAR = 2
    OTHER = 3


Kinds = list[Kind]
_SAME = (
    "add add_any broadcast_in_dim concatenate copy copy_p cumsum expand_dims neg optimization_barrier pad reduce_sum "
    "reshape rev slice split squeeze sub transpose"
)
ADDITIVE = frozenset(_SAME.split())
PRODUCTS = frozenset(("mul", "dot_general"))
PLACES = {  # operands that say where data go, or by what they are divided
    "select_n": slice(0, 1),
    "div": slice(1, 2),
    "gather": slice(1, 2),
    "scatter": slice(1, 2),
    "scatter-add": slice(1, 2),
    "dynamic_slice": slice(1, None),
    "dynamic_update_slice": slice(2, None),
}
CALLS = frozenset(
    ["jit", "pjit", "closed_call", "core_call", "checkpoint", "remat", "remat2", "custom_jvp_call", "custom_vjp_call"]
)


def feature_map_is_linear(method: GeneralFirstOrderMethod, head: PyTree) -> bool:
    """Return whether the feature side is linear and homogeneous in (w⁰, p⁰, p¹, …) whatever the run's shared values.

    Such a map commutes with rotations of the features, so coordinates in a frame replace nodes. A map that asks for
    uniforms or returns row statistics is never called linear.

    Args:
        method: the method.
        head: an initial head, for the structure of the shared value.
    """
    if method.feature_noise:
        return False
    with double_precision():
        return _is_linear(method, as_double(head))


def _is_linear(method: GeneralFirstOrderMethod, head: PyTree) -> bool:
    row = jax.ShapeDtypeStruct((method.num_units,), jnp.zeros(()).dtype)
    alpha = jax.ShapeDtypeStruct((), row.dtype)
    shared = jax.eval_shape(lambda *given: method.init_shared(*given), head, alpha, method.hyperparameters)
    begin, state = _program(lambda row, shared: method.init_feature(row, shared), row, shared)
    update, (_, _, stats) = _program(
        lambda state, p, shared: method.feature_map(state, p, shared, jnp.zeros(0)), state, row, shared
    )
    if jax.tree.leaves(stats):
        return False
    constants = [Kind.CONSTANT] * len(jax.tree.leaves(shared))
    kinds = _outcome(begin, [Kind.LINEAR, *constants])
    while True:
        *states, weights = _outcome(update, [*kinds, Kind.LINEAR, *constants])
        joined = [old | new for old, new in zip(kinds, states, strict=True)]
        if joined == kinds:
            return not weights & Kind.CONSTANT
        kinds = joined


def _program(function: Any, *arguments: PyTree) -> tuple[jex.ClosedJaxpr, Any]:
    """Return the program of a function, and the shapes of what it returns."""
    return jax.make_jaxpr(function, return_shape=True)(*arguments)


def _outcome(closed: jex.ClosedJaxpr, kinds: Sequence[Kind]) -> Kinds:
    """Return the kinds of the results of a program."""
    jaxpr = closed.jaxpr
    known: dict[Any, Kind] = dict(zip(jaxpr.constvars, map(_of_constant, closed.consts), strict=True))
    known.update(zip(jaxpr.invars, kinds, strict=True))

    def kind(atom: Any) -> Kind:
        return _of_constant(atom.val) if isinstance(atom, jex.Literal) else known[atom]

    for equation in jaxpr.eqns:
        found = _after(equation, [kind(atom) for atom in equation.invars])
        known.update(zip(equation.outvars, found, strict=True))
    return [kind(atom) for atom in jaxpr.outvars]


def _of_constant(value: Any) -> Kind:
    is_zero = is_concrete(value) and not np.any(np.asarray(value))
    return Kind.ZERO if is_zero else Kind.CONSTANT


def _after(equation: Any, kinds: Kinds) -> Kinds:
    """Return the kinds of the results of one operation."""
    name, count = equation.primitive.name, len(equation.outvars)
    if name in LOOPS:
        return LOOPS[name](equation, kinds)
    if name in CALLS:
        inner = equation.params["jaxpr" if "jaxpr" in equation.params else "call_jaxpr"]
        return _outcome(inner if isinstance(inner, jex.ClosedJaxpr) else jex.ClosedJaxpr(inner, ()), kinds)
    if name in ADDITIVE or (name == "integer_pow" and equation.params["y"] == 1):
        return [_join(kinds)] * count
    if name in PRODUCTS:
        return [_product(*kinds)]
    if name in PLACES:
        return [_placed(kinds, PLACES[name])] * count
    if name == "convert_element_type":
        return [kinds[0] if _keeps_digits(equation) else _unknown(kinds)]
    if name == "is_finite" or (name == "ne" and equation.invars[0] is equation.invars[1]):
        return [Kind.CONSTANT]  # what a run that has not diverged always answers
    return [_unknown(kinds)] * count


def _join(kinds: Kinds) -> Kind:
    joined = Kind.ZERO
    for kind in kinds:
        joined |= kind
    return joined


def _unknown(kinds: Kinds) -> Kind:
    """Return what any function makes of these: constants of constants, nothing known of all else."""
    return Kind.OTHER if any(kind & Kind.LINEAR for kind in kinds) else Kind.CONSTANT


def _product(left: Kind, right: Kind) -> Kind:
    if Kind.ZERO in (left, right):
        return Kind.ZERO
    if left & right & Kind.LINEAR:
        return Kind.OTHER
    return left if left & Kind.LINEAR else right


def _placed(kinds: Kinds, places: slice) -> Kind:
    """Return the join of the data, where the places are the same for all rows."""
    if _join(kinds[places]) & Kind.LINEAR:
        return Kind.OTHER
    data = list(kinds)
    del data[places]
    return _join(data)


def _keeps_digits(equation: Any) -> bool:
    """Return whether a conversion rounds nothing: the same kind of number, not fewer bytes."""
    before, after = (np.dtype(atom.aval.dtype) for atom in (equation.invars[0], equation.outvars[0]))
    return before.kind == after.kind == "f" and after.itemsize >= before.itemsize


def _after_cond(equation: Any, kinds: Kinds) -> Kinds:
    """Return the join of the branches, where the choice between them is the same for all rows."""
    branches = [_outcome(branch, kinds[1:]) for branch in equation.params["branches"]]
    if kinds[0] & Kind.LINEAR:
        return [Kind.OTHER] * len(branches[0])
    return [_join(list(each)) for each in zip(*branches, strict=True)]


def _after_scan(equation: Any, kinds: Kinds) -> Kinds:
    """Return the kinds of carry and stacked outputs; what is cut in slices is longer by an axis outside than inside.

    How JAX writes down which are which changes with its version.
    """
    body = equation.params["jaxpr"]
    cut = _num_longer(equation.invars, body.in_avals)
    width = len(equation.outvars) - _num_longer(equation.outvars, body.out_avals)
    fixed = len(kinds) - cut - width
    carry = kinds[fixed : fixed + width]
    while True:
        found = _outcome(body, [*kinds[:fixed], *carry, *kinds[fixed + width :]])
        joined = [old | new for old, new in zip(carry, found[:width], strict=True)]
        if joined == carry:
            return [*carry, *found[width:]]
        carry = joined


def _num_longer(outside: list[Any], inside: list[Any]) -> int:
    return sum(len(one.aval.shape) > len(other.shape) for one, other in zip(outside, inside, strict=True))


def _after_while(equation: Any, kinds: Kinds) -> Kinds:
    params = equation.params
    ahead, fixed = params["cond_nconsts"], params["body_nconsts"]
    carry = kinds[ahead + fixed :]
    while True:
        found = _outcome(params["body_jaxpr"], [*kinds[ahead : ahead + fixed], *carry])
        joined = [old | new for old, new in zip(carry, found, strict=True)]
        if joined == carry:
            break
        carry = joined
    goes_on = _outcome(params["cond_jaxpr"], [*kinds[:ahead], *carry])[0]
    return [Kind.OTHER] * len(carry) if goes_on & Kind.LINEAR else carry


LOOPS = {"cond": _after_cond, "scan": _after_scan, "while": _after_while}

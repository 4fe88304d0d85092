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
import jax.numpy as jnp
import numpy as np

from dyntheory.ground.arrays import PyTree
from dyntheory.ground.checks import is_concrete
from dyntheory.ground.precision import as_double, double_precision
from dyntheory.ground.programs.interpret import Domain, outcome, program, settled
from dyntheory.problem.methods.method import GeneralFirstOrderMethod


class Kind(enum.IntFlag):
    """How a value depends on the history of a row; the join of two kinds is their union: an affine value is other."""

    ZERO = 0
    CONSTANT = 1
    LINEAR = 2
    OTHER = 3


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
    begin, state = program(lambda row, shared: method.init_feature(row, shared), row, shared)
    update, (_, _, stats) = program(
        lambda state, p, shared: method.feature_map(state, p, shared, jnp.zeros(0)), state, row, shared
    )
    if jax.tree.leaves(stats):
        return False
    constants = [Kind.CONSTANT] * len(jax.tree.leaves(shared))
    histories = _Histories()
    _, (weights,) = settled(
        histories,
        lambda state: outcome(histories, update, [*state, Kind.LINEAR, *constants]),
        outcome(histories, begin, [Kind.LINEAR, *constants]),
    )
    return not weights & Kind.CONSTANT


class _Histories(Domain[Kind]):
    """Kinds of dependence on the history of a row."""

    def of_constant(self, value: Any) -> Kind:
        is_zero = is_concrete(value) and not np.any(np.asarray(value))
        return Kind.ZERO if is_zero else Kind.CONSTANT

    def join(self, kinds: Sequence[Kind]) -> Kind:
        joined = Kind.ZERO
        for kind in kinds:
            joined |= kind
        return joined

    def chosen(self, by: Kind, result: Kind) -> Kind:
        return Kind.OTHER if by & Kind.LINEAR else result

    def after(self, equation: Any, kinds: list[Kind]) -> list[Kind]:
        name, count = equation.primitive.name, len(equation.outvars)
        if name in ADDITIVE or (name == "integer_pow" and equation.params["y"] == 1):
            return [self.join(kinds)] * count
        if name in PRODUCTS:
            return [_product(*kinds)]
        if name in PLACES:
            return [self._placed(kinds, PLACES[name])] * count
        if name == "convert_element_type":
            return [kinds[0] if _keeps_digits(equation) else _unknown(kinds)]
        asks_finite = name == "is_finite" or (name == "ne" and equation.invars[0] is equation.invars[1])
        if asks_finite and kinds[0] != Kind.OTHER:
            return [Kind.CONSTANT]  # what a run that has not diverged always answers; √p may be no number
        return [_unknown(kinds)] * count

    def _placed(self, kinds: list[Kind], places: slice) -> Kind:
        """Return the join of the data, where the places are the same for all rows."""
        if self.join(kinds[places]) & Kind.LINEAR:
            return Kind.OTHER
        data = list(kinds)
        del data[places]
        return self.join(data)


def _unknown(kinds: list[Kind]) -> Kind:
    """Return what any function makes of these: constants of constants, nothing known of all else."""
    return Kind.OTHER if any(kind & Kind.LINEAR for kind in kinds) else Kind.CONSTANT


def _product(left: Kind, right: Kind) -> Kind:
    if Kind.ZERO in (left, right):
        return Kind.ZERO
    if left & right & Kind.LINEAR:
        return Kind.OTHER
    return left if left & Kind.LINEAR else right


def _keeps_digits(equation: Any) -> bool:
    """Return whether a conversion rounds nothing: the same kind of number, not fewer bytes."""
    before, after = (np.dtype(atom.aval.dtype) for atom in (equation.invars[0], equation.outvars[0]))
    return before.kind == after.kind == "f" and after.itemsize >= before.itemsize

"""What the feature map saw of a run on nodes: the shared value of each step and the size of p, to look for jumps there.

A jump may wake up along the run: a threshold that depends on statistics, a switch. Which shared values occur only the
run knows, so they are recorded, and where the run is differentiated the map is tried along them.
"""

from __future__ import annotations

import dataclasses
import functools
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from dyntheory.dynamics.observables import Record, View
from dyntheory.ground.arrays import Array, PyTree
from dyntheory.ground.checks import is_concrete
from dyntheory.ground.derivatives import DIFFERENCES
from dyntheory.ground.status import DyntheoryWarning
from dyntheory.problem.methods.method import GeneralFirstOrderMethod
from dyntheory.problem.methods.probing import FeatureMaps, feature_map_jumps, jumps_along

NAME = "seen by the features"
JUMPS = (
    "This prediction cannot be differentiated: the update of the first layer in {} jumps{}, and a derivative along "
    f"fixed nodes misses the nodes that cross it and would be wrong in silence. {DIFFERENCES}"
)


class Noted(NamedTuple):
    """A shared value, the one that the feature map saw last, and mean p² of every unit then."""

    own: PyTree
    seen: PyTree
    square: Array


def noting(method: GeneralFirstOrderMethod) -> GeneralFirstOrderMethod:
    """Return the method with shared values that are `Noted`; its feature side must be on nodes."""

    def init_shared(*given: Any) -> Noted:
        own = jax.tree.map(jnp.asarray, method.init_shared(*given))
        return Noted(own, own, jnp.zeros(method.num_units))

    def after_samples(shared: Noted, stats: PyTree) -> Noted:
        own = method.after_samples(shared.own, stats)
        return shared._replace(own=own, seen=own)

    def feature_map(state: PyTree, p: Array, shared: Noted, u: Array) -> tuple[PyTree, Array, PyTree]:
        state, row, stats = method.feature_map(state, p, shared.own, u)
        return state, row, (stats, jnp.square(p))

    def after_features(shared: Noted, stats: tuple[PyTree, Array]) -> Noted:
        return shared._replace(own=method.after_features(shared.own, stats[0]), square=stats[1])

    return dataclasses.replace(
        method,
        init_shared=init_shared,
        init_sample=lambda label, shared: method.init_sample(label, shared.own),
        init_feature=lambda row, shared: method.init_feature(row, shared.own),
        sample_map=lambda state, h, label, shared, u: method.sample_map(state, h, label, shared.own, u),
        feature_map=feature_map,
        head_of=lambda shared: method.head_of(shared.own),
        after_samples=after_samples,
        after_features=after_features,
    )


def noted_too(record: Record) -> Record:
    """Return a record for the noting method: what was asked for, and what was noted."""

    def of_own(observable: Callable[[View], PyTree]) -> Callable[[View], PyTree]:
        return lambda view: observable(view._replace(shared=view.shared.own))

    return (*((name, of_own(observable)) for name, observable in record), (NAME, lambda view: view.shared))


@jax.custom_jvp
def refusing_jumps(values: PyTree, method: GeneralFirstOrderMethod, noted: Noted, inputs: PyTree = ()) -> PyTree:
    """Return the values; where they are differentiated, the feature map is tried as a run starts and along this one.

    Args:
        values: any pytree of floating arrays.
        method: the method itself.
        noted: of every state, leading axis T + 1.
        inputs: other numbers that count, though JAX may see no derivative of the values in them.

    Raises:
        ValueError: when differentiated, and the map jumps. What only the numbers of a traced run tell cannot be raised
            inside jit: there the derivatives are NaN, with a warning.
    """
    del method, noted, inputs
    return values


@refusing_jumps.defjvp
def _look(primals: tuple[PyTree, Any, Noted, PyTree], tangents: tuple[PyTree, ...]) -> tuple[PyTree, PyTree]:
    values, method, noted, _ = primals
    name = method.description or method.name
    if feature_map_jumps(method):
        raise ValueError(JUMPS.format(name, ""))
    first = jax.tree.map(lambda leaf: leaf[0], noted.own)
    seen = jax.tree.map(lambda leaf: leaf[1:], noted.seen)
    found = jumps_along(FeatureMaps.of(method), first, seen, jnp.sqrt(noted.square[1:]))
    jumps, reason = jax.lax.stop_gradient(found), JUMPS.format(name, " with what rows share along this run")
    if is_concrete(jumps):
        if bool(jumps):
            raise ValueError(reason)
        return values, tangents[0]
    jax.debug.callback(functools.partial(_warn, reason), jumps)
    factor = jnp.where(jumps, jnp.nan, 1.0)
    return values, jax.tree.map(lambda t: t if t.dtype == jax.dtypes.float0 else t * factor, tangents[0])


def _warn(reason: str, jumps: Array) -> None:
    if bool(jumps):
        warnings.warn(f"{reason} Its derivatives are NaN.", DyntheoryWarning, stacklevel=2)

"""Whether a feature map jumps in p, found by sending rows p along a line: at its start, or with what a run has seen.

Where neighbours on a fine grid differ most, the interval is cut until it is a millionth of the line: what is continuous
then shrinks with it. Looked at is all that comes back: the row, what the row remembers, its statistics (the slope of a
soft threshold jumps where its value does not).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from dyntheory.ground.arrays import Array, PyTree
from dyntheory.ground.checks import is_concrete
from dyntheory.ground.precision import as_double, double_precision
from dyntheory.problem.methods.method import GeneralFirstOrderMethod

LINE = np.linspace(-3.0, 3.0, 2001)
CUTS, PIECES = 2, 64  # 3e-3 of the line's unit, over 64²: below 1e-6
KEPT = 0.5  # of the change over the first interval: what jumps keeps all, a kink or a slope a 4096th
ROUNDING = 1e-9
GENERIC_NUMBER = 0.1


class FeatureMaps(NamedTuple):
    """The feature side of a method: functions, which are static, and how many uniforms they ask for."""

    init_feature: Callable[..., PyTree]
    feature_map: Callable[..., tuple[PyTree, Array, PyTree]]
    num_units: int
    feature_noise: int

    @classmethod
    def of(cls, method: GeneralFirstOrderMethod) -> FeatureMaps:
        """Return that side of a method."""
        return cls(method.init_feature, method.feature_map, method.num_units, method.feature_noise)


def feature_map_jumps(method: GeneralFirstOrderMethod) -> bool:
    """Return whether the feature map jumps somewhere in p (sign does; the first step of Adam too) when a run starts.

    Tried first and after one earlier step, with the shared value of the start; numbers that are traced are replaced by
    a generic one. What the run's own shared values do to the map only the run knows, see `jumps_along`.

    Args:
        method: the method.
    """
    with double_precision(), jax.ensure_compile_time_eval():
        numbers = jax.tree.map(lambda x: x if is_concrete(x) else _generic(np.shape(x)), method.hyperparameters)
        shared = method.init_shared(as_double(method.init_head(jax.random.key(0))), jnp.asarray(1.7), numbers)
        twice = jax.tree.map(lambda leaf: jnp.stack([jnp.asarray(leaf)] * 2), shared)
        sizes = jnp.ones((2, method.num_units))
        return bool(jumps_along(FeatureMaps.of(method), shared, twice, sizes))


def jumps_along(
    maps: FeatureMaps, first: PyTree, seen: PyTree, sizes: Float[Array, "steps units"]
) -> Float[Array, ""] | Array:
    """Return whether the feature map jumps at some step of a run; pure, safe under jit.

    One row goes through the run, p of the size that p had, and at every step a line of p is tried in its place.

    Args:
        maps: the feature side.
        first: the shared value with which the run began.
        seen: the shared value that the map saw at every step, leading axis T on every leaf.
        sizes: root mean square of p at every step.
    """
    steps, k = sizes.shape
    random = np.random.default_rng(0)
    start, histories, lines = (jnp.asarray(random.standard_normal(s), sizes.dtype) for s in (k, (steps, k), (steps, k)))
    uniforms = jnp.full(maps.feature_noise, 0.5, sizes.dtype)

    def step(state: PyTree, now: tuple[PyTree, Array, Array, Array]) -> tuple[PyTree, Array]:
        shared, size, history, line = now
        found = _jumps(lambda place: _all_of(maps.feature_map(state, place * size * line, shared, uniforms)))
        return maps.feature_map(state, size * history, shared, uniforms)[0], found

    begin = maps.init_feature(start, first)
    _, found = jax.lax.scan(step, begin, (seen, sizes, histories, lines))
    return jnp.any(found)


def _all_of(returned: PyTree) -> Array:
    """Return all numbers that a map returns, in a row."""
    return jnp.concatenate([jnp.ravel(leaf) * 1.0 for leaf in jax.tree.leaves(returned)])


def _generic(shape: tuple[int, ...]) -> np.ndarray:
    """Return numbers in place of traced ones; those of an array sum to one, as probabilities of a prior must."""
    return np.full(shape, 1.0 / np.prod(shape) if shape else GENERIC_NUMBER)


def _jumps(along: Callable[[Array], Array]) -> Array:
    """Return whether one of the numbers along a line jumps where it changes fastest."""
    everywhere = jax.vmap(along)
    places = jnp.asarray(LINE)
    values = everywhere(places)
    change, low, high = jax.vmap(_widest, in_axes=(None, 1))(places, values)
    resolved = max(ROUNDING, 1e2 * jnp.finfo(values.dtype).eps) * jnp.max(jnp.abs(values), axis=0)

    def cut(column: Any, low: Array, high: Array) -> tuple[Array, Array, Array]:
        places = jnp.linspace(low, high, PIECES + 1)
        return _widest(places, everywhere(places)[:, column])

    last = change
    for _ in range(CUTS):
        last, low, high = jax.vmap(cut)(jnp.arange(resolved.shape[0]), low, high)
    return jnp.any((last > KEPT * change) & (change > resolved))


def _widest(places: Array, values: Array) -> tuple[Array, Array, Array]:
    """Return the largest change between neighbours, and between which places it is."""
    change = jnp.abs(jnp.diff(values))
    widest = jnp.argmax(change)
    return change[widest], places[widest], places[widest + 1]

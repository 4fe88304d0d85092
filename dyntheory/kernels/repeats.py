"""Layers in a row: what repeats is one loop in the program, so a deep network compiles like a shallow one.

The first trip is made outside of the loop, since it may change the kind of the signal; all others are compared with it
and stay outside too where a trip changes shapes or the layout.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jax

from dyntheory.kernels.moments import State
from dyntheory.kernels.sameness import Same

if TYPE_CHECKING:
    from dyntheory.kernels.layer import Layer

LEAST_TRIPS = 3
LONGEST_TRIP = 8


def propagated(layers: Sequence[Layer], state: State) -> State:
    """Return the moments after all layers."""
    known = [Same(layer) for layer in layers]
    place = 0
    while place < len(layers):
        period, count = _repeat(known[place:])
        state = _trips(layers[place : place + period], count, state)
        place += period * count
    return state


def _repeat(known: Sequence[Same]) -> tuple[int, int]:
    """Return how many layers at the beginning repeat, and how often: what covers most, (1, 1) where nothing does."""
    best = 1, 1
    for period in range(1, min(LONGEST_TRIP, len(known) // LEAST_TRIPS) + 1):
        count = 1
        while known[count * period : (count + 1) * period] == known[:period]:
            count += 1
        if count >= LEAST_TRIPS and period * count > best[0] * best[1]:
            best = period, count
    return best


def _trips(layers: Sequence[Layer], count: int, state: State) -> State:
    """Return the moments after `count` times the layers."""

    def trip(state: State) -> State:
        return functools.reduce(lambda now, layer: layer.propagate(now), layers, state)

    state = trip(state)
    if count < LEAST_TRIPS or not _stays(trip, state):
        return functools.reduce(lambda now, _: trip(now), range(count - 1), state)
    after = jax.lax.fori_loop(1, count, lambda _, now: _arrays(trip(_state(now, state))), _arrays(state))
    return _state(after, state)


def _arrays(state: State) -> Any:
    """Return the arrays of a state; two sets that are one stay one."""
    return state.cross, state.within1, None if state.within2 is state.within1 else state.within2


def _state(arrays: Any, like: State) -> State:
    cross, within1, within2 = arrays
    return State(cross, within1, within1 if like.within2 is like.within1 else within2, like.layout)


def _stays(trip: Callable[[State], State], state: State) -> bool:
    """Whether a trip leaves shapes, precision and layout as they are."""
    after: list[State] = []

    def once(arrays: Any) -> Any:
        after.append(trip(_state(arrays, state)))
        return _arrays(after[0])

    before, found = (jax.eval_shape(f, _arrays(state)) for f in (lambda arrays: arrays, once))
    is_one, stays_one = (each.within2 is each.within1 for each in (state, after[0]))
    return is_one == stays_one and state.layout == after[0].layout and _kinds(before) == _kinds(found)


def _kinds(arrays: Any) -> Any:
    """Return the structure, and shape and type of every array."""
    leaves, structure = jax.tree.flatten(arrays)
    return structure, [(leaf.shape, leaf.dtype, leaf.weak_type) for leaf in leaves]

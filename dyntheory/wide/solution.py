"""One prediction on one set of nodes and on its sub-nets: runs, test inputs, and the fields of the result."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.gaussian.sobol import MAX_DIMENSIONS, SobolNet, sobol_net
from dyntheory.ground.arrays import Array
from dyntheory.ground.compiling import compiled
from dyntheory.ground.randomness import seed
from dyntheory.wide.data import Frame
from dyntheory.wide.fields import reported
from dyntheory.wide.moved import Rules, Task, nothing_moved
from dyntheory.wide.neurons import BLOCK, Neurons, draw
from dyntheory.wide.prepared import Prepared
from dyntheory.wide.replay import TestInputs, replay
from dyntheory.wide.run import CURE, FullError, Noise, Run

ROOM = 16
TEST_BYTES, TEST_SHARE = 2**28, 4
VECTORS = 6  # on the nodes at a time, for each test input
LEAST_DROPPED = 1e-6  # what rounding can tell


def nets_of(one: Prepared, rank: int, num_nodes: int) -> tuple[SobolNet, ...]:
    """Return a net for every layer, of as many dimensions as there may be rows of noise.

    Args:
        one: the request.
        rank: of the inputs.
        num_nodes: a power of two.
    """
    asked = 2 * len(one.data.inputs) * (one.num_steps + 1)
    rows = min(asked, num_nodes) + rank + one.data.labels.shape[1] + one.num_steps + 1 + 2 * BLOCK
    start = seed(one.key, "nodes")
    return tuple(sobol_net(num_nodes, min(MAX_DIMENSIONS, rows), start + layer) for layer in range(one.network.depth))


def fields_of(
    one: Prepared, frame: Frame, found: Run, nets: tuple[SobolNet, ...], *, max_memory: int
) -> dict[str, Any]:
    """Return the curves, outputs and kernels of a run, the test inputs asked within a part of the memory."""
    most = min(TEST_BYTES, max_memory // TEST_SHARE)
    tests = None if one.data.test_inputs is None else on_test_inputs(one, frame, found, nets, most)
    return reported(one, found.seen.outputs, tests, found.seen)


def on_test_inputs(one: Prepared, frame: Frame, found: Run, nets: tuple[SobolNet, ...], most_bytes: int) -> np.ndarray:
    """Return f (T+1, P*, outputs) on the test inputs, some of them at a time."""
    state, tests = found.state, one.data.test_inputs
    assert tests is not None
    (capacity, num_nodes), room = state.neurons[0].basis.shape, min(ROOM, one.num_steps + 1)
    entries = tests / np.sqrt(one.data.num_features)
    task = one.task._replace(inputs=jnp.asarray(frame.inputs))
    fresh = nothing_moved(one.rules, task, depth=len(nets), capacity=capacity, num_nodes=num_nodes)
    while True:
        size = max(1, min(len(tests), most_bytes // (8 * num_nodes * (room * (len(nets) - 1) + VECTORS))))
        noise = tuple(_noise(layer, net, room) for layer, net in zip(state.neurons, nets, strict=True))
        parts, is_full = [], False
        for begin in range(0, len(tests), size):
            index = np.minimum(np.arange(begin, begin + size), len(tests) - 1)
            some = TestInputs(*(jnp.asarray(rows[index]) for rows in (frame.test_inputs, entries, frame.outside)))
            outputs, lacks_room = _replay(one.rules, task, state, found.sides, some, noise, fresh)
            parts.append(np.asarray(outputs))
            is_full = is_full or bool(lacks_room)
        if not is_full:
            return np.concatenate(parts, axis=1)[:, : len(tests)]
        room = min(2 * room, one.num_steps + 1)


def _noise(neurons: Neurons, net: SobolNet, room: int) -> Array:
    """Return fresh rows orthogonal to a basis."""
    if int(neurons.num_drawn) + room > len(net.shift):
        raise FullError(f"{len(net.shift)} dimensions of Sobol points leave none for the test inputs: {CURE}.")
    raw = Noise(net, room + BLOCK).reserve(int(neurons.num_drawn))[0]
    return _fresh_rows(neurons, raw, room=room)


def fresh_rows(neurons: Neurons, raw: Array, *, room: int) -> Array:
    """Return `room` rows of noise orthogonal to the basis and to each other."""
    wider = neurons._replace(basis=jnp.pad(neurons.basis, ((0, room + BLOCK), (0, 0))))
    found = draw(wider, raw, neurons.num_drawn, jnp.asarray(room), room)
    return jax.lax.dynamic_slice_in_dim(found.basis, neurons.num_used, room)


_fresh_rows = compiled(fresh_rows, fast=True, static_argnames=("room",))
_replay = compiled(replay, fast=True, static_argnames=("rules",))


def in_frame(one: Prepared, frame: Frame, drop_below: float, *, keeps_kernels: bool) -> tuple[Rules, Task]:
    """Return rules and task with the inputs in their frame."""
    rules = one.rules._replace(keeps_kernels=keeps_kernels)
    # What was dropped meets later noise on the nodes, and 1/γ₀ magnifies that in the outputs.
    threshold = max(LEAST_DROPPED, drop_below * min(1.0, one.scaling.richness))
    return rules, one.task._replace(inputs=jnp.asarray(frame.inputs), drop_below=jnp.asarray(threshold, float))

"""A whole run on one set of nodes, step by step: noise and room are made as they are needed.

How many directions a step adds is known after it. So the host drives: it supplies the next raw noise, makes room in the
bases, in few sizes, so that few programs are compiled, and keeps what was seen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.gaussian.sobol import SobolNet, normals
from dyntheory.ground.arrays import Array
from dyntheory.ground.compiling import compiled
from dyntheory.wide.moved import Rules, Sides, Task, nothing_moved
from dyntheory.wide.neurons import BLOCK, draw, fresh_neurons
from dyntheory.wide.step import Seen, State, advance
from dyntheory.wide.weights import Asked, Start, not_asked

LEAST_CAPACITY = 128
GROWTH = 1.5
NODES_PER_DIRECTION = 2
CURE = "raise `drop_below`, or take fewer steps or inputs"


class FullError(ValueError):
    """The nodes do not hold the directions of a run."""


class Run(NamedTuple):
    """What a run leaves: the state after the last step, and what was seen and asked at each of them."""

    state: State
    seen: Seen
    sides: Sides
    num_directions: tuple[int, ...]


def run(
    rules: Rules,
    task: Task,
    nets: tuple[SobolNet, ...],
    num_steps: int,
    *,
    report: Callable[[float], None] = lambda fraction: None,
) -> Run:
    """Train in the limit on the points of `nets`, one for every layer; call inside `double_precision`.

    Raises:
        FullError: more directions than the nodes can tell apart.
    """
    room = _room(rules, task)
    noise = [Noise(net, room) for net in nets]
    capacity = _next_capacity(2 * (1 + task.inputs.shape[1] + room), LEAST_CAPACITY)
    reserves = tuple(one.reserve(0) for one in noise)
    state = _begin(rules, task, reserves[0], depth=len(nets), num_nodes=nets[0].num_nodes, capacity=capacity)
    seen, sides = [], []
    for step in range(num_steps + 1):
        used, drawn = jax.device_get(
            [[one.num_used for one in state.neurons], [one.num_drawn for one in state.neurons]]
        )
        _check_room(max(used), nets[0].num_nodes, step, num_steps)
        wanted = _next_capacity(int(max(used)) + room, capacity)
        if wanted > capacity:
            state, capacity = _grow(state, more=wanted - capacity, is_linear=rules.is_linear), wanted
        reserves = tuple(one.reserve(int(count)) for one, count in zip(noise, drawn, strict=True))
        state, now, asked = _advance(rules, task, state, reserves, np.asarray(step))
        seen.append(jax.device_get(now))
        sides.append(jax.device_get(asked))
        report((step + 1) / (num_steps + 1))
    used, drawn = jax.device_get([[one.num_used for one in state.neurons], [one.num_drawn for one in state.neurons]])
    _check_room(max(used), nets[0].num_nodes, num_steps, num_steps)
    for one, count in zip(noise, drawn, strict=True):
        one.reserve(int(count))
    return Run(state, _stacked(seen), _stacked(sides), tuple(int(count) for count in used))


def _room(rules: Rules, task: Task) -> int:
    """Return how many rows a step may add to a basis, the slack of whole blocks included."""
    return 4 * task.labels.shape[0] + rules.num_outputs + 2 * BLOCK


def _next_capacity(needed: int, now: int) -> int:
    while now < needed:
        now = int(now * GROWTH) // 32 * 32 + 32
    return now


def _check_room(used: int, num_nodes: int, step: int, num_steps: int) -> None:
    if used * NODES_PER_DIRECTION > num_nodes:
        raise FullError(
            f"After {step} of {num_steps} steps {used} directions are more than a net of {num_nodes} nodes can tell "
            f"apart: raise `num_nodes`, or {CURE}."
        )


class Noise:
    """Raw normal rows of one layer, made as they are used."""

    def __init__(self, net: SobolNet, size: int) -> None:
        self.net, self.size, self.first = net, size, 0
        self.rows = self._made(0, size)

    def reserve(self, drawn: int) -> tuple[Array, Array]:
        """Return the next rows from number `drawn` on, and that number; where the net has no more, zeros.

        Raises:
            FullError: more were drawn than there are.
        """
        if drawn > len(self.net.shift):
            raise FullError(
                f"{drawn} directions were asked for, and Sobol points have {len(self.net.shift)} dimensions: {CURE}."
            )
        if drawn > self.first:
            kept = self.rows[drawn - self.first :]
            self.rows = np.concatenate([kept, self._made(drawn + len(kept), drawn + self.size)])
            self.first = drawn
        return jnp.asarray(self.rows), jnp.asarray(self.first)

    def _made(self, start: int, stop: int) -> np.ndarray:
        end = min(stop, len(self.net.shift))
        rows = np.zeros((stop - start, self.net.num_nodes))
        if end > start:
            rows[: end - start] = np.asarray(normals(self.net.rows(start, end)))
        return rows


def _stacked(parts: list[Any]) -> Any:
    """Return the parts along a leading axis of steps, emptying the list; coordinates get the last capacity."""
    structure, columns = jax.tree.structure(parts[0]), [jax.tree.leaves(part) for part in parts]
    parts.clear()
    stacked = []
    for leaf in range(structure.num_leaves):
        found = np.zeros((len(columns), *np.shape(columns[-1][leaf])))
        for place, column in enumerate(columns):
            found[(place, *(slice(size) for size in np.shape(column[leaf])))] = column[leaf]
            column[leaf] = None  # a run keeps as much here as in its bases
        stacked.append(found)
    return jax.tree.unflatten(structure, stacked)


def _begin_state(
    rules: Rules, task: Task, reserve: tuple[Array, Array], *, depth: int, num_nodes: int, capacity: int
) -> State:
    neurons = [fresh_neurons(num_nodes, capacity) for _ in range(depth)]
    size = task.inputs.shape[1]
    neurons[0] = draw(neurons[0], *reserve, jnp.asarray(size), max(size, 1))
    first = jnp.zeros((capacity, size), float).at[1 : size + 1].set(jnp.eye(size))
    moved, optimizer = nothing_moved(rules, task, depth=depth, capacity=capacity, num_nodes=num_nodes)
    return State(
        tuple(neurons),
        tuple(Start(not_asked(capacity, capacity), not_asked(capacity, capacity)) for _ in range(depth - 1)),
        first,
        jnp.zeros((rules.num_outputs, capacity), float),
        moved,
        optimizer,
    )


def grown(state: State, *, more: int, is_linear: bool) -> State:
    """Return the state with room for more directions in every basis."""

    def wider(matrix: Array, rows: int, columns: int) -> Array:
        return jnp.pad(matrix, ((0, rows), (0, columns)))

    def asked(one: Asked) -> Asked:
        return one._replace(directions=wider(one.directions, more, more), answers=wider(one.answers, more, more))

    count = len(state.moved)

    def of_matrix(index: int, leaf: Array) -> Array:
        if jnp.ndim(leaf) != 2 or not is_linear:
            return leaf
        return wider(leaf, more * (index < count - 1), more * (index > 0))

    return State(
        tuple(one._replace(basis=wider(one.basis, more, 0)) for one in state.neurons),
        tuple(Start(asked(one.lower), asked(one.upper)) for one in state.starts),
        wider(state.first, more, 0),
        wider(state.readout, 0, more),
        tuple(of_matrix(index, leaf) for index, leaf in enumerate(state.moved)),
        tuple(
            jax.tree.map(lambda leaf, index=index: of_matrix(index, leaf), one)
            for index, one in enumerate(state.optimizer)
        ),
    )


_begin = compiled(_begin_state, fast=True, static_argnames=("rules", "depth", "num_nodes", "capacity"))
_advance = compiled(advance, fast=True, static_argnames=("rules",), donate_argnames=("state",))
_grow = compiled(grown, fast=True, static_argnames=("more", "is_linear"))

"""Test inputs, asked after training.

Given what training has revealed, the law of any other input is exact: it never acts back. So training is repeated from
the sides of its gradients, in coordinates, and the test inputs go forward beside it. What of an activation W was never
asked about gets fresh noise; how much of that is new at each step follows from inner products over the nodes. Every
test input is a world of its own, so all of them may take the same noise.

In the limit a(0) knows nothing of the first activations, so ⟨a(0) φ⟩ is zero then; on nodes it is not quite, and 1/γ₀
would magnify that. What is left is taken off, as far as later activations are still along the part of the first ones
that a(0) was not made orthogonal to.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from dyntheory.ground.arrays import Array, PyTree
from dyntheory.wide.moved import Rules, Sides, Task, Vectors, raised, read_out, updated
from dyntheory.wide.neurons import project
from dyntheory.wide.step import State, first_layer
from dyntheory.wide.weights import upward


class TestInputs(NamedTuple):
    """Some test inputs: in the frame of the inputs, as they are, and the norm of what lies outside the frame."""

    inputs: Float[Array, "tests frame"]
    entries: Float[Array, "tests entries"]
    outside: Float[Array, " tests"]


class Novelty(NamedTuple):
    """What one matrix was not asked about by training, for every test input.

    Args:
        kept: activations that brought something new, on the nodes.
        known: their components along what training asked.
        combinations: lower triangular; with them the new parts are orthonormal.
        num_kept: how many there are.
        is_full: whether one found no room.
    """

    kept: Float[Array, "tests room nodes"]
    known: Float[Array, "tests room asked"]
    combinations: Float[Array, "tests room room"]
    num_kept: Int[Array, " tests"]
    is_full: Bool[Array, ""]


class Origin(NamedTuple):
    """Last activations of the test inputs at the start: on the nodes, their components that a(0) knew, and ⟨a(0) φ⟩."""

    values: Float[Array, "tests nodes"]
    known: Float[Array, "tests capacity"]
    leftover: Float[Array, "tests outputs"]


def no_novelty(num_tests: int, room: int, num_nodes: int, capacity: int) -> Novelty:
    """Return that nothing new was asked."""
    return Novelty(
        jnp.zeros((num_tests, room, num_nodes), float),
        jnp.zeros((num_tests, room, capacity), float),
        jnp.zeros((num_tests, room, room), float),
        jnp.zeros(num_tests, int),
        jnp.asarray(False),
    )


def replay(
    rules: Rules,
    task: Task,
    state: State,
    sides: Sides,
    tests: TestInputs,
    noise: tuple[Float[Array, "room nodes"], ...],
    fresh: tuple[tuple[Array, ...], tuple[Any, ...]],
) -> tuple[Float[Array, "states tests outputs"], Bool[Array, ""]]:
    """Return the outputs on test inputs at every state, and whether there was room for all that was new.

    Args:
        rules: as in the run.
        task: as in the run.
        state: at the end of the run.
        sides: of every step.
        tests: the inputs.
        noise: for every layer fresh rows orthogonal to its basis.
        fresh: what training has added before it began, and the states of the rule.
    """
    room, (capacity, num_nodes) = noise[-1].shape[0], state.neurons[0].basis.shape
    count = tests.outside.shape[0]
    novelty = tuple(no_novelty(count, room, num_nodes, capacity) for _ in state.starts)
    origin = Origin(*(jnp.zeros((count, size), float) for size in (num_nodes, capacity, rules.num_outputs)))

    def step(carry: PyTree, now: tuple[Sides, Array]) -> tuple[PyTree, tuple[Array, Array]]:
        (moved, optimizer), novelty, origin = carry
        at_step, index = now
        here = state._replace(moved=moved)
        activations, novelty = _forward(rules, task, here, tests, noise, novelty, index)
        begun = _origin(state, activations)
        origin = jax.tree.map(lambda old, new: jnp.where(index == 0, new, old), origin, begun)
        initial = task.decay[index] * state.readout
        scaled, _ = read_out(rules, state.neurons[-1], initial, moved[-1], activations)
        outputs = (scaled - task.decay[index] * _leftover(origin, activations)) / task.richness
        is_full = jnp.any(jnp.stack([jnp.asarray(False), *(one.is_full for one in novelty)]))
        return (updated(rules, task, moved, optimizer, at_step), novelty, origin), (outputs, is_full)

    indices = jnp.arange(sides.weights.shape[0])
    _, (outputs, is_full) = jax.lax.scan(step, (fresh, novelty, origin), (sides, indices))
    return outputs, jnp.any(is_full)


def _forward(
    rules: Rules,
    task: Task,
    state: State,
    tests: TestInputs,
    noise: tuple[Array, ...],
    novelty: tuple[Novelty, ...],
    step: Array,
) -> tuple[Vectors, tuple[Novelty, ...]]:
    """Return the activations of the last layer, with what is new to every matrix noted."""
    decay, found = task.decay[step], list(novelty)
    h = first_layer(rules, task, state, tests.inputs, tests.entries, step)
    h = h + decay * tests.outside[:, None] * noise[0][:1]
    activations = _activations(rules, state, h, 0)
    for layer, start in enumerate(state.starts):
        found[layer], new = _ask(found[layer], start.lower.directions, activations, task.drop_below)
        answer = decay * upward(start, task.ratios[layer], rules.memory, activations.coordinates)
        h = raised(rules, state.neurons[layer + 1], answer, state.moved[layer + 1], activations)
        activations = _activations(rules, state, h + decay * new @ noise[layer + 1], layer + 1)
    return activations, tuple(found)


def _origin(state: State, activations: Vectors) -> Origin:
    """Return these activations as those of the start."""
    place = jnp.argmax(state.readout[0])  # a(0) came when the rows before it were known
    is_before = jnp.asarray(jnp.arange(state.readout.shape[1]) < place, float)
    known = activations.coordinates * is_before[None]
    return Origin(activations.nodes, known, activations.coordinates @ state.readout.T)


def _leftover(origin: Origin, activations: Vectors) -> Float[Array, "tests outputs"]:
    """Return what is left of ⟨a(0) φ⟩ at the start, as far as the activations are still along what made it."""

    def along(values: Array, coordinates: Array) -> Array:
        return jnp.mean(origin.values * values, axis=1) - jnp.sum(origin.known * coordinates, axis=1)

    size = along(origin.values, origin.known)
    is_there = size > 0
    share = along(activations.nodes, activations.coordinates) / jnp.where(is_there, size, 1.0)
    return jnp.where(is_there, share, 0.0)[:, None] * origin.leftover


def _activations(rules: Rules, state: State, h: Array, layer: int) -> Vectors:
    values = rules.activation(h)
    return Vectors(values, project(state.neurons[layer], values))


def _ask(
    novelty: Novelty, asked: Float[Array, "asked capacity"], activations: Vectors, threshold: Array
) -> tuple[Novelty, Float[Array, "tests room"]]:
    """Return what is new with these activations noted, and their components along all that is new."""
    values, room = activations.nodes, novelty.kept.shape[1]
    known = activations.coordinates @ asked.T
    products = jnp.einsum("bm,bjm->bj", values, novelty.kept) / values.shape[1]
    products = products - jnp.einsum("ba,bja->bj", known, novelty.known)
    components = jnp.einsum("bij,bj->bi", novelty.combinations, products)
    rest = jnp.mean(jnp.square(values), axis=1) - jnp.sum(known**2, axis=1) - jnp.sum(components**2, axis=1)
    sizes = jnp.sum(activations.coordinates[:, 1:] ** 2, axis=1) + jnp.maximum(rest, 0.0)
    is_new = rest > threshold**2 * sizes
    fits = is_new & (novelty.num_kept < room)
    size = jnp.sqrt(jnp.where(fits, rest, 1.0))
    unit = jnp.asarray((jnp.arange(room)[None] == novelty.num_kept[:, None]) & fits[:, None], float)
    tests, place = jnp.arange(values.shape[0]), jnp.minimum(novelty.num_kept, room - 1)

    def with_row(rows: Array, new: Array) -> Array:
        return rows.at[tests, place].set(jnp.where(fits[:, None], new, rows[tests, place]))

    row = (unit - jnp.einsum("bj,bjk->bk", components, novelty.combinations)) / size[:, None]
    return Novelty(
        with_row(novelty.kept, values),
        with_row(novelty.known, known),
        with_row(novelty.combinations, row),
        novelty.num_kept + fits,
        novelty.is_full | jnp.any(is_new & ~fits),
    ), components + unit * size[:, None]

"""One-pass SGD at finite d: weights stored, or only their overlaps followed. Both have the same law.

An input meets the weights by x·W, x·W* and moves them along itself. Inputs are Gaussian, so the overlaps of W*, W and
the velocities are a Markov chain of their own, whatever d: given C they see x by m normals u and by |x|², which is |u|²
and a chi-square of d − m.

    S ← A S + b xᵀ/√d,   C ← A C Aᵀ + (A p bᵀ + b pᵀ Aᵀ)/d + b bᵀ |x|²/d²,   p = S x/√d = L u, L Lᵀ = C.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from dyntheory.flows.online.model import Model
from dyntheory.ground.arrays import Array, Key, PyTree
from dyntheory.ground.compiling import compiled

MOST_NORMALS, MOST_STEPS = 2**17, 128
PIVOT = 1e-13


@dataclasses.dataclass(frozen=True)
class Rules:
    """What a program is compiled for: model, batch, whether there is momentum, d where weights are stored, else 0.

    Where only overlaps are followed d is a number like others.
    """

    model: Model
    num_stored: int
    batch_size: int
    has_momentum: bool

    @property
    def is_stored(self) -> bool:
        """Whether weights are stored."""
        return self.num_stored > 0

    @property
    def block(self) -> int:
        """Steps whose random numbers are drawn together."""
        if not self.is_stored:
            return MOST_STEPS
        return max(1, min(MOST_STEPS, MOST_NORMALS // (self.batch_size * self.num_stored)))


class State(NamedTuple):
    """One run: rows W*, W and velocities (m, d), or their Gram matrix (m, m); head and its velocity (k,)."""

    weights: Array
    head: Array
    head_velocity: Array


class Move(NamedTuple):
    """What one step does: S ← A S + Σ_b B_b x_bᵀ/√d, and the head's new values."""

    mixing: Array
    pushes: Array
    head: Array
    head_velocity: Array


def first_state(rules: Rules, rows: Array, head: Array) -> State:
    """Return the state of a run that starts at rows (w*, w), (d, r + k)."""
    extra = jnp.zeros((rules.model.num_units * rules.has_momentum, rows.shape[0]))
    whole = jnp.concatenate([rows.T, extra])
    return State(whole if rules.is_stored else whole @ whole.T / rows.shape[0], head, jnp.zeros_like(head))


def overlaps_of(rules: Rules, state: State) -> tuple[Array, Array]:
    """Return the Gram matrix of (w*, w), and the head."""
    m = rules.model.num_units + rules.model.num_teacher_units
    found = state.weights @ state.weights.T / rules.num_stored if rules.is_stored else state.weights
    return found[:m, :m], state.head


def _move(rules: Rules, state: State, seen: Array, noise: Array, rate: Array, numbers: PyTree) -> Move:
    """Return what a step does that sees p = S x/√d of its samples, (m, B)."""
    model, batch = rules.model, rules.batch_size
    r, k = model.num_teacher_units, model.num_units
    z, h = seen[:r].T, seen[r : r + k].T
    e = model.output(state.head[None], h) - model.clean_labels(z) - numbers["noise_std"] * noise
    residuals = e[:, None] * state.head[None] * model.slope(h) / batch
    head_velocity = numbers["momentum"] * state.head_velocity + e @ model.activation(h) / batch
    head = state.head - rate * numbers["head_rate"] / numbers["num_features"] * head_velocity
    mixing, pushes = jnp.eye(seen.shape[0]), jnp.zeros_like(seen)
    pushes = pushes.at[r : r + k].set(-rate * residuals.T)
    if rules.has_momentum:
        units, speeds = r + jnp.arange(k), r + k + jnp.arange(k)
        mixing = mixing.at[units, speeds].set(-rate * numbers["momentum"])
        mixing = mixing.at[speeds, speeds].set(numbers["momentum"])
        pushes = pushes.at[speeds].set(residuals.T)
    return Move(mixing, pushes, head, head_velocity)


def _rate(rules: Rules, step: Array, numbers: PyTree) -> Array:
    schedule = rules.model.schedule
    return numbers["learning_rate"] if schedule is None else jnp.asarray(schedule(step / numbers["num_features"]))


def _stored_step(rules: Rules, state: State, drawn: PyTree, rate: Array, numbers: PyTree) -> State:
    inputs, noise = drawn
    root = math.sqrt(rules.num_stored)
    move = _move(rules, state, state.weights @ inputs.T / root, noise, rate, numbers)
    mixed = move.mixing @ state.weights if rules.has_momentum else state.weights
    return State(mixed + move.pushes @ inputs / root, move.head, move.head_velocity)


def _followed_step(rules: Rules, state: State, drawn: PyTree, rate: Array, numbers: PyTree) -> State:
    normals, rest, noise = drawn
    factor = _factor(state.weights)
    seen = factor @ normals.T
    move = _move(rules, state, seen, noise, rate, numbers)
    cross = move.mixing @ seen @ move.pushes.T / numbers["num_features"]
    products = normals @ normals.T + rest
    square = move.pushes @ products @ move.pushes.T / numbers["num_features"] ** 2
    found = move.mixing @ state.weights @ move.mixing.T + cross + cross.T + square
    return State((found + found.T) / 2.0, move.head, move.head_velocity)


def _factor(matrix: Array) -> Array:
    """Return L with L Lᵀ = matrix, written out entry by entry so that it is one kernel; zero pivots are legal."""
    m = matrix.shape[0]
    rows: list[list[Any]] = [[jnp.zeros(()) for _ in range(m)] for _ in range(m)]
    for j in range(m):
        pivot = matrix[j, j] - sum(rows[j][a] ** 2 for a in range(j))
        valid = pivot > PIVOT * matrix[j, j]
        root = jnp.sqrt(jnp.where(valid, pivot, 1.0))
        rows[j][j] = jnp.where(valid, root, 0.0)
        for i in range(j + 1, m):
            left = matrix[i, j] - sum(rows[i][a] * rows[j][a] for a in range(j))
            rows[i][j] = jnp.where(valid, left / root, 0.0)
    return jnp.stack([jnp.stack(row) for row in rows])


def _draw(rules: Rules, key: Key, size: int, freedom: Array) -> PyTree:
    """Return the random numbers of a block of steps."""
    count, batch = rules.block, rules.batch_size
    inputs, noise, others = jax.random.split(key, 3)
    noises = jax.random.normal(noise, (count, batch))
    if rules.is_stored:
        return jax.random.normal(inputs, (count, batch, rules.num_stored)), noises
    normals = jax.random.normal(inputs, (count, batch, size))
    return normals, _unseen(rules, others, count, freedom), noises


def _unseen(rules: Rules, key: Key, count: int, freedom: Array) -> Array:
    """Return products, within a batch, of what weights do not see of inputs, (count, B, B).

    They are a Wishart matrix, by Bartlett's factor.
    """
    batch = rules.batch_size
    degrees = (freedom - jnp.arange(batch)) / 2.0
    squares, beside = jax.random.split(key)
    chi = 2.0 * jax.random.gamma(squares, degrees[None], (count, batch))
    if batch == 1:
        return chi[:, :, None]
    lower = jnp.tril(jax.random.normal(beside, (count, batch, batch)), -1)
    factor = lower + jnp.sqrt(chi)[:, :, None] * jnp.eye(batch)[None]
    return factor @ jnp.swapaxes(factor, 1, 2)


def _advance_one(rules: Rules, state: State, key: Key, start: Array, stop: Array, numbers: PyTree) -> State:
    step = _stored_step if rules.is_stored else _followed_step
    size, block = state.weights.shape[0], rules.block

    def of_block(number: Array, state: State) -> State:
        begin = start + number * block
        drawn = _draw(rules, jax.random.fold_in(key, begin), size, numbers["num_features"] - size)

        def of_step(index: Array, state: State) -> State:
            rate = _rate(rules, begin + index, numbers)
            return step(rules, state, jax.tree.map(lambda leaf: leaf[index], drawn), rate, numbers)

        return jax.lax.fori_loop(0, jnp.minimum(block, stop - begin), of_step, state)

    return jax.lax.fori_loop(0, (stop - start + block - 1) // block, of_block, state)


def _advance_all(rules: Rules, states: State, keys: Key, start: Array, stop: Array, numbers: PyTree) -> State:
    one = functools.partial(_advance_one, rules)
    return jax.vmap(one, in_axes=(0, 0, None, None, None))(states, keys, start, stop, numbers)


advance = compiled(_advance_all, static_argnames=("rules",))

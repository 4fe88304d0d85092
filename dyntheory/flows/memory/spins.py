"""Both memories at finite size: spins b whose weight is exp(−|y − Aᵀb|²/2τ), by Glauber dynamics or message passing.

A detector has τ = σ² and a received signal y; a Hopfield network has τ = −T and hears nothing, y = 0. That is all in
which the two differ here. A is stored with the spins in front.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from dyntheory.ground.arrays import Array, Key

TIE = 1e-9  # fields below it are ties: those of a network are multiples of 1/N


class Drawn(NamedTuple):
    """One network or one channel, and where its spins start.

    Args:
        rows: A, (spins, factors).
        received: y, (factors,).
        truth: ±1, (spins,): the pattern, or the bits.
        start: (spins,).
    """

    rows: Array
    received: Array
    truth: Array
    start: Array


class Record(NamedTuple):
    """One run: overlaps and wrong signs before every step, wrong signs of averaged spins, size of the last move."""

    overlap: Any
    wrong: Any
    decided: Any
    moved: Any


def spins_of_overlap(key: Key, truth: Array, overlap: float) -> Array:
    """Return the truth with as many spins flipped, at random places, as make this overlap (to 1/N)."""
    count = jnp.round(len(truth) * (1 - overlap) / 2)
    place = jax.random.permutation(key, len(truth))
    return jnp.where(place < count, -truth, truth)


def draw_network(num_spins: int, num_factors: int, overlap: float, key: Key) -> Drawn:
    """Draw patterns, of which the first is to be recalled, and spins of this overlap with it."""
    signs, order = jax.random.split(key)
    rows = jax.random.rademacher(signs, (num_spins, num_factors), float)
    start = spins_of_overlap(order, rows[:, 0], overlap)
    return Drawn(rows / jnp.sqrt(num_spins), jnp.zeros(num_factors), rows[:, 0], start)


def draw_channel(num_spins: int, num_factors: int, overlap: float, noise_std: float, is_spin: bool, key: Key) -> Drawn:
    """Draw signatures, bits and noise, and spins of this overlap with the bits; zeros if it is zero, unless spins."""
    signs, order, bits, noise = jax.random.split(key, 4)
    rows = jax.random.rademacher(signs, (num_spins, num_factors), float) / jnp.sqrt(num_factors)
    truth = jax.random.rademacher(bits, (num_spins,), float)
    received = truth @ rows + noise_std * jax.random.normal(noise, (num_factors,))
    start = spins_of_overlap(order, truth, overlap) if overlap > 0 or is_spin else jnp.zeros(num_spins)
    return Drawn(rows, received, truth, start)


def wrong_share(spins: Array, truth: Array) -> Array:
    """Return the share of wrong signs; a spin of zero is wrong half the time."""
    return jnp.mean(1 - jnp.sign(spins) * truth) / 2


@functools.partial(jax.jit, static_argnames=("num_steps", "is_cold"))
def glauber(drawn: Drawn, variance: Array, key: Key, *, num_steps: int, is_cold: bool) -> Record:
    """Let single spins follow their fields, every one once in a sweep, in a new random order each time.

    A spin becomes ±1 with probability 1/(1 + e^{∓2h}), h = (A·(y − Aᵀb) + |A|² b)/τ; cold ones align with the sign of
    −τ h, and stay where that is zero.
    """
    rows, truth = drawn.rows, drawn.truth
    own = jnp.sum(jnp.square(rows[0]))

    def turn(state: tuple[Array, Array], now: tuple[Array, Array]) -> tuple[tuple[Array, Array], None]:
        (spins, rest), (place, chance) = state, now
        row, old = rows[place], spins[place]
        field = row @ rest + own * old
        if is_cold:
            new = jnp.where(jnp.abs(field) < TIE, old, -jnp.sign(field))
        else:
            new = jnp.where(chance < jax.nn.sigmoid(2 * field / variance), 1.0, -1.0)
        return (spins.at[place].set(new), rest - row * (new - old)), None

    def sweep(state: tuple[Array, Array], now: tuple[Key, Array]) -> tuple[tuple[Array, Array], tuple[Array, ...]]:
        spins, total = state
        key, weight = now
        order = jax.random.permutation(jax.random.fold_in(key, 0), len(truth))
        chances = jax.random.uniform(jax.random.fold_in(key, 1), truth.shape, truth.dtype)
        (new, _), _ = jax.lax.scan(turn, (spins, drawn.received - spins @ rows), (order, chances))
        record = jnp.mean(new * truth), wrong_share(new, truth), jnp.max(jnp.abs(new - spins))
        return (new, total + weight * new), record

    keys = jax.random.split(key, num_steps)
    late = (jnp.arange(num_steps) >= num_steps // 2).astype(truth.dtype)
    (_, total), (overlap, wrong, moved) = jax.lax.scan(sweep, (drawn.start, jnp.zeros_like(truth)), (keys, late))
    return _record(drawn, overlap, wrong, wrong_share(total, truth), moved)


@functools.partial(jax.jit, static_argnames="num_steps")
def message_passing(drawn: Drawn, variance: Array, *, num_steps: int) -> Record:
    """Pass messages between spins and factors, with the reaction of each on the other taken out.

    ω = Aᵀx − V g⁻,  g = (y − ω)/(τ + V),  x ← tanh(A g + c x/(τ + V)),  V = (1 − mean x²)·(|A|² per factor), c that
    per spin.
    """
    rows, truth = drawn.rows, drawn.truth
    per_spin = jnp.sum(jnp.square(rows[0]))
    per_factor = per_spin * len(truth) / len(drawn.received)

    def step(state: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], tuple[Array, ...]]:
        x, before = state
        reaction = per_factor * (1 - jnp.mean(jnp.square(x)))
        g = (drawn.received - (x @ rows - reaction * before)) / (variance + reaction)
        new = jnp.tanh(rows @ g + per_spin / (variance + reaction) * x)
        return (new, g), (jnp.mean(new * truth), wrong_share(new, truth), jnp.max(jnp.abs(new - x)))

    start = drawn.start, jnp.zeros_like(drawn.received)
    _, (overlap, wrong, moved) = jax.lax.scan(step, start, length=num_steps)
    return _record(drawn, overlap, wrong, wrong[-1], moved)


def _record(drawn: Drawn, overlap: Array, wrong: Array, decided: Array, moved: Array) -> Record:
    first = jnp.mean(drawn.start * drawn.truth), wrong_share(drawn.start, drawn.truth)
    before = [jnp.concatenate([one[None], rest]) for one, rest in zip(first, (overlap, wrong), strict=True)]
    return Record(before[0], before[1], decided, moved[-1])

"""Message passing in the limit of many spins: three numbers go from step to step."""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.closed_forms.evaluation import evaluate
from dyntheory.flows.memory.averages import field_averages
from dyntheory.flows.memory.results import RecallPath
from dyntheory.ground.arrays import Array, ArrayLike

# (m, q, signal of the step before, load, noise variance of factors) -> mean and variance of the field
Channel = Callable[[Array, Array, Array, Array, Array], tuple[Array, Array]]


def iterated(
    channel: Channel, numbers: tuple[ArrayLike, ArrayLike], start: ArrayLike, num_steps: int, *, may_be_silent: bool
) -> RecallPath:
    """Return the path of one memory.

    Args:
        channel: at the top of a module: programs are kept by its identity.
        numbers: of the memory.
        start: m₀; spins start as ±1 with this overlap.
        num_steps: T.
        may_be_silent: whether spins start as zeros where m₀ is zero.
    """
    path = functools.partial(_path, channel, num_steps, may_be_silent)
    m, q, ratio, wrong = evaluate(path, start, *numbers)
    return RecallPath(np.arange(num_steps + 1), m, q, ratio, wrong)


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _path(
    channel: Channel, num_steps: int, may_be_silent: bool, start: Array, load: Array, variance: Array
) -> tuple[Array, ...]:
    def step(state: tuple[Array, Array, Array], _: None) -> tuple[tuple[Array, Array, Array], tuple[Array, ...]]:
        m, q, before = state
        signal, square = channel(m, q, before, load, variance)
        # Messages of a network may die out; what rounding leaves of a noise that is none may be negative.
        noise = jnp.sqrt(jnp.maximum(square, jnp.finfo(square.dtype).tiny))
        ratio = jnp.abs(signal) / noise
        found = field_averages(ratio, noise)
        m, ratio = jnp.sign(signal) * found.overlap, jnp.sign(signal) * ratio
        return (m, found.square, signal), (m, found.square, ratio)

    spins = (start > 0) if may_be_silent else jnp.ones_like(start)
    first = start, spins.astype(start.dtype), jnp.zeros_like(start)
    _, later = jax.lax.scan(step, first, length=num_steps)
    given = start, first[1], jnp.full_like(start, jnp.nan)
    m, q, ratio = (jnp.concatenate([one[None], rest]) for one, rest in zip(given, later, strict=True))
    wrong = jnp.concatenate([(1 - start)[None] / 2, wrong_signs(ratio[1:])])
    return m, q, ratio, wrong


def wrong_signs(ratio: Array) -> Array:
    """Return Φ(−y)."""
    return jax.scipy.special.erfc(ratio / jnp.sqrt(2.0)) / 2

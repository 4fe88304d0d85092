"""What an optimizer makes of a stream of noise: how far it follows a push, and how much it scatters.

One weight sees gradients p = e x, e and x independent normals of deviations s and 1, and an optimizer sends back steps
ψ_t, each from p_t, p_{t−1}, … A correlation ρ of e and x tilts the law of the past by 1 + ρ Σ_l p_{t−l}/s, so that to
first order steps have the mean ρ s c,

    c(s) = Σ_l E[ψ_t p_{t−l}]/s²,      and they diffuse by      D(s) = Σ_l E[ψ_t ψ_{t−l}],  l over all integers.

No derivative is taken, so steps may jump. Sums of windows are multiplied with those of the same and of neighbouring
ones; what windows further apart still share says that the memory is too long for them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from dyntheory.ground.arrays import Array, Key
from dyntheory.ground.compiling import compiled
from dyntheory.problem.methods.hyperparameters import Optimizer, StaticNumbers, build

NUM_CHAINS, NUM_WINDOWS, LENGTH, NUM_FORGOTTEN = 2048, 32, 256, 4096
NUM_GROUPS = 8


class LongRun(NamedTuple):
    """At every deviation s, by groups of chains, all (groups, s).

    Args:
        pull: c.
        spread: D.
        far: what windows with one between them contribute to D.
        late: D of the second half of the windows alone.
    """

    pull: Any
    spread: Any
    far: Any
    late: Any


def _long_run(optimizer: Optimizer, static: StaticNumbers, numbers: Any, deviations: Array, key: Key) -> LongRun:
    rule = build(optimizer, static, numbers)
    shape = (len(deviations), NUM_CHAINS)
    state = rule.init(jnp.zeros(shape))

    def step(state: optax.OptState, key: Key) -> tuple[optax.OptState, tuple[Array, Array]]:
        first, second = jax.random.normal(key, (2, NUM_CHAINS))
        gradients = deviations[:, None] * (first * second)[None]
        updates, state = rule.update(gradients, state, jnp.zeros(shape))
        return state, (-jnp.asarray(updates), gradients)

    def window(state: optax.OptState, key: Key) -> tuple[optax.OptState, tuple[Array, Array]]:
        def add(carry: Any, key: Key) -> tuple[Any, None]:
            state, sums = carry
            state, now = step(state, key)
            return (state, jax.tree.map(jnp.add, sums, now)), None

        (state, sums), _ = jax.lax.scan(add, (state, (jnp.zeros(shape),) * 2), jax.random.split(key, LENGTH))
        return state, sums

    before, during = jax.random.split(key)
    state, _ = jax.lax.scan(window, state, jax.random.split(before, NUM_FORGOTTEN // LENGTH))
    _, (steps, pushes) = jax.lax.scan(window, state, jax.random.split(during, NUM_WINDOWS))
    near = steps[1:-1] * (steps[:-2] + steps[1:-1] + steps[2:]) / LENGTH
    pull = pushes[:-1] * (steps[:-1] + steps[1:]) / (LENGTH * jnp.square(deviations)[None, :, None])
    far = 2 * steps[:-2] * steps[2:] / LENGTH
    return LongRun(*(_by_groups(one) for one in (pull, near, far, near[len(near) // 2 :])))


def _by_groups(values: Array) -> Array:
    """Return means over windows and over the chains of each group, (groups, s)."""
    return jnp.mean(values, axis=0).reshape(values.shape[1], NUM_GROUPS, -1).mean(axis=2).T


long_run = compiled(_long_run, static_argnames=("optimizer", "static"))

"""What an optimizer makes of a stream of noise: how far it follows a push, and how much it scatters.

One weight sees gradients p = e x, e and x independent normals of deviations s and 1, and an optimizer sends back steps
ψ_t, each from p_t, p_{t−1}, … A correlation ρ of e and x tilts the law of the past by 1 + ρ Σ_l p_{t−l}/s, so that to
first order steps have the mean ρ s c,

    c(s) = Σ_l E[ψ_t p_{t−l}]/s²,      and they diffuse by      D(s) = Σ_l E[ψ_t ψ_{t−l}],  l over all integers.

No derivative is taken, so steps may jump. Sums of windows are multiplied with those of the same and of neighbouring
ones; windows are the shortest of which those further apart share nothing that is seen. In the middle counts of steps
become huge: what then changes is no stationary stream.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.ground.arrays import Array, Key, PyTree
from dyntheory.ground.compiling import compiled
from dyntheory.problem.methods.hyperparameters import Optimizer, StaticNumbers, build

NUM_CHAINS, NUM_GROUPS = 1008, 24
LENGTH, NUM_FORGOTTEN, NUM_WINDOWS = 32, 128, 256  # steps of a window, windows before any counts, windows
LONGER = (1, 2, 4, 8)  # windows that are put together
NUM_DEVIATIONS, EVERY, NUM_LOOKS = 28, (27, 3), 64  # deviations of the table, every which is run, windows of a look
STRAIGHT, SEEN = 1e-3, 3.0
LATER = 10**9


class LongRun(NamedTuple):
    """At every deviation s of the table, by groups of chains where nothing else is said.

    Args:
        deviations: s, (s,), in equal ratios.
        pull: c, (groups, s).
        spread: D, (groups, s).
        missed: of ln c and ln D between the deviations that were run, as a look at all of them tells, (2, s).
        far: what windows with one between them contribute to c and D, relative, and its standard error, (2, 2, runs).
        late: c and D of the second half, less those of the first, relative, and the standard error, (2, 2, runs).
    """

    deviations: np.ndarray
    pull: np.ndarray
    spread: np.ndarray
    missed: np.ndarray
    far: np.ndarray
    late: np.ndarray


def long_run(optimizer: Optimizer, static: StaticNumbers, numbers: Any, ends: tuple[float, float], key: Key) -> LongRun:
    """Return c and D between two deviations: run at both alone if ln c, ln D are straight in ln s.

    One program serves: a look at all deviations by few short chains, then two deviations at a time, on the same noise.
    """
    grid = np.geomspace(*ends, NUM_DEVIATIONS)

    def run(deviations: np.ndarray, first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        chains = 2 * NUM_CHAINS // len(deviations)
        of_chain, place = np.repeat(deviations, chains), np.tile(np.arange(chains), len(deviations))
        found = _windows(optimizer, static, numbers, of_chain, place, key, first, count)
        steps, pushes = (np.asarray(one)[:count].reshape(count, len(deviations), chains) for one in found)
        return steps, pushes / deviations[None, :, None] ** 2

    look = np.stack([one.mean(axis=0) for one in _near(*run(grid, 0, NUM_LOOKS))])
    missed = {every: _missed(grid, look, every) for every in EVERY}
    every = next((one for one in EVERY if np.abs(missed[one]).max() < STRAIGHT), EVERY[-1])
    nodes = grid[::every]
    pairs = [run(nodes[place : place + 2], NUM_FORGOTTEN, NUM_WINDOWS) for place in range(0, len(nodes), 2)]
    steps, pushes = (np.concatenate(parts, axis=1) for parts in zip(*pairs, strict=True))
    pull, spread, far, late = _averages(steps, pushes)
    return LongRun(grid, _between(grid, every, pull), _between(grid, every, spread), missed[every], far, late)


def _windows_of(
    optimizer: Optimizer, static: StaticNumbers, numbers: Any, deviations: Array, place: Array, key: Key, *sizes: Array
) -> tuple[Array, Array]:
    """Return sums of steps and of gradients over windows, (windows, chains); chains of one place see the same noise."""
    rule, (first, count) = build(optimizer, static, numbers), sizes
    zeros = jnp.zeros(len(deviations))

    def step(index: Array, carry: PyTree) -> PyTree:
        state, steps, gradients, own = carry
        one, other = jax.random.normal(jax.random.fold_in(own, index), (2, NUM_CHAINS))
        now = deviations * (one * other)[place]
        updates, state = rule.update(now, state, zeros)
        return state, steps - jnp.asarray(updates), gradients + now, own

    def window(index: Array, carry: PyTree) -> PyTree:
        state, found = carry
        state = jax.tree.map(lambda leaf: _later(leaf, index == first + count // 2), state)
        state, *sums, _ = jax.lax.fori_loop(0, LENGTH, step, (state, zeros, zeros, jax.random.fold_in(key, index)))
        at = jnp.maximum(index - first, 0)
        return state, tuple(all_of.at[at].set(one) for all_of, one in zip(found, sums, strict=True))

    empty = jnp.zeros((NUM_WINDOWS, len(deviations)))
    return jax.lax.fori_loop(0, first + count, window, (rule.init(zeros), (empty, empty)))[1]


def _later(leaf: Array, is_now: Array) -> Array:
    return jnp.where(is_now, LATER, leaf) if jnp.issubdtype(jnp.asarray(leaf).dtype, jnp.integer) else leaf


_windows = compiled(_windows_of, static_argnames=("optimizer", "static"))


def _near(steps: np.ndarray, pushes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return c and D from windows and their neighbours, by groups of chains, in units of one window."""
    around = steps[:-2] + steps[1:-1] + steps[2:]
    return _by_groups(pushes[:-1] * (steps[:-1] + steps[1:])), _by_groups(steps[1:-1] * around)


def _averages(steps: np.ndarray, pushes: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return c, D, what is far and what is late, at the shortest windows of which nothing far is seen."""
    for longer in LONGER[:-1]:
        found = _at(longer, steps, pushes)
        if np.all(np.abs(found[2][0]) < SEEN * found[2][1]):
            return found
    return _at(LONGER[-1], steps, pushes)


def _at(longer: int, steps: np.ndarray, pushes: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the same from windows of which so many are put together."""
    sums, pushed = (one.reshape(-1, longer, *one.shape[1:]).sum(axis=1) for one in (steps, pushes))
    near, half = _near(sums, pushed), len(sums) // 2
    beyond = _by_groups(pushed[:-2] * sums[2:]), _by_groups(2 * sums[:-2] * sums[2:])
    early, late = (_near(sums[part], pushed[part]) for part in (slice(half), slice(half, None)))
    changed = tuple(one - other for one, other in zip(late, early, strict=True))
    length = LENGTH * longer
    return near[0] / length, near[1] / length, _relative(beyond, near), _relative(changed, near)


def _relative(parts: tuple[np.ndarray, ...], whole: tuple[np.ndarray, ...]) -> np.ndarray:
    """Return means over groups and their standard errors, as shares of others, (2, quantities, s)."""
    one, scale = np.stack(parts), np.stack(whole).mean(axis=1)
    return np.stack([one.mean(axis=1), one.std(axis=1, ddof=1) / np.sqrt(NUM_GROUPS)]) / scale


def _by_groups(values: np.ndarray) -> np.ndarray:
    """Return means over windows and over the chains of each group, (groups, s)."""
    return values.mean(axis=0).reshape(values.shape[1], NUM_GROUPS, -1).mean(axis=2).T


def _between(grid: np.ndarray, every: int, values: np.ndarray) -> np.ndarray:
    """Return rows known at every so many deviations at all of them; logarithms are straight between."""
    if not (np.isfinite(values).all() and (values > 0).all()):
        return np.full((len(values), len(grid)), np.nan)
    where = np.log(grid)
    return np.stack([np.exp(np.interp(where, where[::every], np.log(row))) for row in values])


def _missed(grid: np.ndarray, look: np.ndarray, every: int) -> np.ndarray:
    """Return ln of what a look found, less the same from every so many deviations."""
    with np.errstate(invalid="ignore", divide="ignore"):
        missed = np.log(look) - np.log(_between(grid, every, look[:, ::every]))
    return np.where(np.isfinite(missed), missed, np.inf)

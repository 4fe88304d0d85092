"""Runs of a linear unit on correlated Gaussian features, every sample used once."""

from __future__ import annotations

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.flows.online.finite import MOST_NORMALS, MOST_STEPS
from dyntheory.ground.arrays import Array, Key, Progress, PyTree
from dyntheory.ground.compiling import compiled
from dyntheory.problem.laws.first_layer import starting_rows

State = tuple[Array, Array, Array]


def train_linear(
    known: tuple[Any, ...], numbers: PyTree, keys: Key, steps: np.ndarray, rules: tuple[int, Any], report: Progress
) -> dict[str, np.ndarray]:
    """Return what is reported of every run at the steps.

    Args:
        known: second moment of (w*, w), priors, √a of the features.
        numbers: η, β, σ², √λ of the features.
        keys: one for each run.
        steps: when to look.
        rules: B and the schedule.
        report: of progress.
    """
    moment, priors, amplitudes = known
    scales = numbers["scales"]

    def begin(key: Key) -> State:
        normals = jax.random.normal(jax.random.fold_in(key, 0), (len(scales), 2))
        rows = starting_rows(moment, priors, normals, amplitudes=amplitudes)
        return rows[:, 0], rows[:, 1], jnp.zeros(len(scales))

    numbers = jax.tree.map(jnp.asarray, {name: value for name, value in numbers.items() if name != "batch_size"})
    states, streams = jax.vmap(begin)(keys), jax.vmap(lambda key: jax.random.fold_in(key, 1))(keys)
    found, done = [], 0
    for step in steps:
        if step > done:
            states = _advance(rules, states, streams, jnp.asarray(done), jnp.asarray(int(step)), numbers)
            done = int(step)
        found.append(jax.device_get(_look(states, scales)))
        report(float(step) / max(int(steps[-1]), 1), f"step {step} of {steps[-1]}")
    stacked = {name: np.stack([one[name] for one in found], axis=1) for name in found[0]}
    stacked["teacher_moment"] = stacked["teacher_moment"][:, 0]
    return stacked


@jax.jit
def _look(states: State, scales: Array) -> dict[str, Array]:
    teacher, weights, _ = (one * scales[None] for one in states)
    means = {
        "weight_overlap": jnp.mean(weights**2, axis=1),
        "teacher_overlap": jnp.mean(weights * teacher, axis=1),
        "teacher_moment": jnp.mean(teacher**2, axis=1),
    }
    square = {name: value[:, None, None] for name, value in means.items()}
    return {"excess_error": jnp.mean((weights - teacher) ** 2, axis=1), **square}


def _advance_one(rules: tuple[int, Any], state: State, key: Key, start: Array, stop: Array, numbers: PyTree) -> State:
    (batch, schedule), scales = rules, numbers["scales"]
    d = scales.shape[0]
    block, root = max(1, min(MOST_STEPS, MOST_NORMALS // (batch * d))), math.sqrt(d)

    def of_block(number: Array, state: State) -> State:
        begin = start + number * block
        inside, outside = jax.random.split(jax.random.fold_in(key, begin))
        inputs = jax.random.normal(inside, (block, batch, d)) * scales[None, None]
        noise = numbers["noise_variance"] ** 0.5 * jax.random.normal(outside, (block, batch))

        def of_step(index: Array, state: State) -> State:
            teacher, weights, velocity = state
            rate = numbers["learning_rate"] if schedule is None else schedule((begin + index) / d)
            residuals = inputs[index] @ (weights - teacher) / root - noise[index]
            velocity = numbers["momentum"] * velocity + residuals @ inputs[index] / (batch * root)
            return teacher, weights - rate * velocity, velocity

        return jax.lax.fori_loop(0, jnp.minimum(block, stop - begin), of_step, state)

    return jax.lax.fori_loop(0, (stop - start + block - 1) // block, of_block, state)


def _advance_all(rules: tuple[int, Any], states: State, keys: Key, start: Array, stop: Array, numbers: PyTree) -> State:
    one = functools.partial(_advance_one, rules)
    return jax.vmap(one, in_axes=(0, 0, None, None, None))(states, keys, start, stop, numbers)


_advance = compiled(_advance_all, static_argnames=("rules",))

"""Answers of a linear feature map to unit impulses, step by step, each with the shared value that the step has.

A rate that warms up may sit in the shared value as well as in the count of an optimizer: what the map answers at step t
depends on what rows share after the samples of that step, so impulses are rolled beside the run, or along its record.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from dyntheory.ground.arrays import Array, PyTree
from dyntheory.problem.methods.method import GeneralFirstOrderMethod


class ImpulseResponse(NamedTuple):
    """Answers of a linear feature map to unit impulses: w^t = initial[t] w⁰ + Σ_{s<t} gradient[t, s] p^s."""

    initial: Float[Array, "states units units"]
    gradient: Float[Array, "states states units units"]


class ImpulseRows(NamedTuple):
    """Row states of all impulses, one for every (w⁰, p⁰, …, p^{T−1}) and unit, and the answers so far."""

    states: PyTree
    answers: ImpulseResponse


def begin_impulses(method: GeneralFirstOrderMethod, shared: PyTree, num_steps: int) -> ImpulseRows:
    """Return the rows before the first step: w⁰ a unit vector, or nothing yet.

    Args:
        method: its feature map must be linear, see `dyntheory.problem.methods.linearity`.
        shared: the shared value with which the run begins.
        num_steps: T.
    """
    states, k = num_steps + 1, method.num_units
    first = jnp.concatenate([jnp.eye(k), jnp.zeros((num_steps * k, k))])
    rows = jax.vmap(method.init_feature, in_axes=(0, None))(first, shared)
    empty = ImpulseResponse(jnp.zeros((states, k, k)), jnp.zeros((states, states, k, k)))
    return ImpulseRows(rows, empty._replace(initial=empty.initial.at[0].set(jnp.eye(k))))


def next_impulses(
    method: GeneralFirstOrderMethod, rows: ImpulseRows, step: Int[Array, ""], shared: PyTree
) -> ImpulseRows:
    """Return the rows after one step, with the answers w^{t+1} filled in; nothing is filled in after the last state.

    Args:
        method: the method.
        rows: before the step.
        step: t.
        shared: what the feature map sees at this step: the shared value after the samples.
    """
    states, k = rows.answers.initial.shape[:2]
    now = (jnp.arange(states) == step + 1)[:, None, None] * jnp.eye(k)[None]

    def one(state: PyTree, p: Array) -> tuple[PyTree, Array]:
        return method.feature_map(state, p, shared, jnp.zeros(0))[:2]

    new, weights = jax.vmap(one)(rows.states, now.reshape(states * k, k))
    found = weights.reshape(states, k, k).transpose(0, 2, 1)
    initial = rows.answers.initial.at[step + 1].set(found[0], mode="drop")
    gradient = rows.answers.gradient.at[step + 1, : states - 1].set(found[1:], mode="drop")
    return ImpulseRows(new, ImpulseResponse(initial, gradient))


def impulse_response(method: GeneralFirstOrderMethod, first: PyTree, shared: PyTree, num_steps: int) -> ImpulseResponse:
    """Roll all impulses along a recorded run.

    Args:
        method: its feature map must be linear.
        first: the shared value with which the run began.
        shared: what the feature map saw at every step, leading axis T on every leaf; see `after_the_samples`.
        num_steps: T.
    """

    def step(rows: ImpulseRows, seen: tuple[Array, PyTree]) -> tuple[ImpulseRows, None]:
        return next_impulses(method, rows, *seen), None

    begin = begin_impulses(method, first, num_steps)
    return jax.lax.scan(step, begin, (jnp.arange(num_steps), shared))[0].answers


def after_the_samples(
    method: GeneralFirstOrderMethod, shared: PyTree, stats: PyTree, row_weights: Float[Array, " rows"]
) -> PyTree:
    """Return the shared value that the feature map sees: after the mean statistics of the rows of this step.

    Args:
        method: the method.
        shared: before the step.
        stats: what the sample map returned for every row.
        row_weights: weights of the mean over rows, summing to one.
    """
    mean = jax.tree.map(lambda leaf: jnp.tensordot(row_weights, leaf, axes=1), stats)
    return method.after_samples(shared, mean)

"""What a row teaches the head: a correction of order (parameters of the head)/n to the error on fresh rows.

The limit has a head that no single row moves. At finite n row i also pulls the head by (1/n) ∂_θ ℓ_i at every step, and
through it all else. With weight 1 + ε_i on that pull the error of row i, its own memory in W removed as before, changes
by ė_i; leaving the row out is ε_i = −1. All rows are weighted at once by random signs, and the mean of ε_i ė_i is the
mean of the rows' own effects.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from dyntheory.ground.arrays import Array, PyTree
from dyntheory.problem.methods.method import GeneralFirstOrderMethod
from dyntheory.verbs.estimation.debias import debias
from dyntheory.verbs.estimation.training_run import TrainingRun, row_metrics, train_on


class HeadInfluence(NamedTuple):
    """What has to be added to the mean loss and the mean error of the debiased rows."""

    loss: Float[Array, " states"]
    error: Float[Array, " states"]


def head_influence(
    method: GeneralFirstOrderMethod,
    inputs: Float[Array, "samples features"],
    run: TrainingRun,
    weight_response: Float[Array, "states groups units D"],
    groups: Int[Array, " samples"],
    signs: Float[Array, "probes samples"],
) -> HeadInfluence:
    """Return the first-order effect of leaving a row's pull on the head out, by a derivative of the whole run.

    An error that counts (misclassification) has no derivative and gets no correction; its loss does.

    Args:
        method: the method.
        inputs: the rows.
        run: the training run.
        weight_response: A.
        groups: which A each row has.
        signs: random signs, one for every row; the noise of the result falls like one over the root of their number.
    """
    weighted = dataclasses.replace(
        method,
        sample_noise=method.sample_noise + 1,
        sample_map=lambda *arguments: _weighted(method, *arguments),
    )
    head = method.head_of(jax.tree.map(lambda leaf: leaf[0], run.shared))
    steps = run.uniforms.shape[0]

    def of_pulls(pulls: Array) -> tuple[Array, Array]:
        wide = jnp.broadcast_to(pulls[None, :, None], (steps, pulls.shape[0], 1))
        uniforms = jnp.concatenate([run.uniforms, wide], axis=2)
        again = train_on(weighted, inputs, run.labels, head, run.weights[0], uniforms, num_steps=steps)
        fresh = debias(again, weight_response, groups)
        return row_metrics(method, again.shared, fresh, run.labels)

    def along(sign: Array) -> tuple[Array, Array]:
        losses, errors = jax.jvp(of_pulls, (jnp.zeros_like(sign),), (sign,))[1]
        return -jnp.mean(losses * sign[None], axis=1), -jnp.mean(errors * sign[None], axis=1)

    losses, errors = jax.vmap(along)(signs)
    return HeadInfluence(losses.mean(axis=0), errors.mean(axis=0))


def _weighted(
    method: GeneralFirstOrderMethod, state: PyTree, h: Array, label: Array, shared: PyTree, u: Array
) -> tuple[PyTree, Array, PyTree]:
    """Return the sample map with the row's statistics, the pull on the head, times 1 + the last of u."""
    state, g, stats = method.sample_map(state, h, label, shared, u[:-1])
    return state, g, jax.tree.map(lambda leaf: (1.0 + u[-1]) * leaf, stats)

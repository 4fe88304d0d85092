"""The pure parts of an estimate on arrays: preactivations of fresh rows, errors there and on other rows."""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Float, Int

from dyntheory.ground.arrays import Array
from dyntheory.ground.compiling import compiled
from dyntheory.problem.methods.method import GeneralFirstOrderMethod
from dyntheory.verbs.estimation.debias import debias, run_responses
from dyntheory.verbs.estimation.head_influence import HeadInfluence, head_influence
from dyntheory.verbs.estimation.probes import Probes
from dyntheory.verbs.estimation.response_noise import ResponseNoise, response_noise
from dyntheory.verbs.estimation.training_run import TrainingRun, row_metrics
from dyntheory.verbs.estimation.weight_responses import ColumnSpectrum


class FreshRows(NamedTuple):
    """What fresh rows would have.

    Args:
        preactivations: û^t.
        losses: of every row at û^t.
        errors: the same.
        influence: what the head's part adds to the means.
        noise: standard errors of the means that come from the responses.
    """

    preactivations: Float[Array, "states samples units"]
    losses: Float[Array, "states samples"]
    errors: Float[Array, "states samples"]
    influence: HeadInfluence
    noise: ResponseNoise


@functools.partial(compiled, static_argnames=("num_blocks",))
def fresh_rows(
    method: GeneralFirstOrderMethod,
    inputs: Float[Array, "samples features"],
    run: TrainingRun,
    spectrum: ColumnSpectrum,
    groups: Int[Array, " samples"],
    probes: Probes,
    signs: Float[Array, "signs samples"],
    *,
    num_blocks: int = 0,
) -> FreshRows:
    """Return what fresh rows would have; pure, safe under jit and vmap.

    Args:
        method: a method with a linear feature map.
        inputs: the rows.
        run: the training run on them.
        spectrum: how A follows from B.
        groups: which A each row has.
        probes: how B is measured.
        signs: random signs that the head's part is measured by; none of them leaves it out.
        num_blocks: of rows, whose absence measures the noise of the responses; none leaves it out.
    """
    alpha = jnp.asarray(inputs.shape[0] / inputs.shape[1])
    memory = run_responses(method, run, spectrum, groups, probes, alpha).weight
    fresh = debias(run, memory, groups)
    losses, errors = row_metrics(method, run.shared, fresh, run.labels)
    nothing = jnp.zeros(losses.shape[0])
    influence = HeadInfluence(nothing, nothing, nothing, nothing)
    if signs.shape[0]:
        influence = head_influence(method, inputs, run, memory, groups, signs)
    noise = response_noise(method, run, spectrum, probes, alpha, num_blocks=num_blocks)
    return FreshRows(fresh, losses, errors, influence, noise)


@compiled
def held_out_error(method: GeneralFirstOrderMethod, run: TrainingRun, rows: Array, labels: Array) -> Array:
    """Return the mean error on held-out rows at every state."""
    h = jnp.einsum("nd,tdk->tnk", rows / jnp.sqrt(rows.shape[1]), run.weights)
    return jnp.mean(row_metrics(method, run.shared, h, labels)[1], axis=1)

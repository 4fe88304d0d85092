"""The pure parts of an estimate on arrays: probes for a run, fresh preactivations, errors there and on other rows."""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from dyntheory.ground.arrays import Array, Key
from dyntheory.problem.methods.method import GeneralFirstOrderMethod
from dyntheory.verbs.estimation.debias import debias, run_responses
from dyntheory.verbs.estimation.head_influence import HeadInfluence, head_influence
from dyntheory.verbs.estimation.plan import EstimatePlan
from dyntheory.verbs.estimation.response_noise import ResponseNoise, response_noise
from dyntheory.verbs.estimation.row_responses import Probes
from dyntheory.verbs.estimation.training_run import TrainingRun, replay, row_metrics
from dyntheory.verbs.estimation.weight_responses import FeatureSide

KINK_WIDTH = 0.07  # of the moves at a kink, in standard deviations of the preactivation


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


@functools.partial(jax.jit, static_argnames=("num_blocks",))
def fresh_rows(
    method: GeneralFirstOrderMethod,
    inputs: Float[Array, "samples features"],
    run: TrainingRun,
    side: FeatureSide,
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
        side: how A follows from B.
        groups: which A each row has.
        probes: how B is measured.
        signs: random signs that the head's part is measured by; none of them leaves it out.
        num_blocks: of rows, whose absence measures the noise of the responses; none leaves it out.
    """
    alpha = jnp.asarray(inputs.shape[0] / inputs.shape[1])
    memory = run_responses(method, run, side, groups, probes, alpha).weight
    residuals = replay(method, run).residuals
    fresh = debias(run, residuals, memory, groups)
    losses, errors = row_metrics(method, run.shared, fresh, run.labels)
    nothing = jnp.zeros(losses.shape[0])
    influence = HeadInfluence(nothing, nothing)
    if signs.shape[0]:
        influence = head_influence(method, inputs, run, memory, groups, signs)
    noise = response_noise(method, run, residuals, side, probes, alpha, num_blocks=num_blocks)
    return FreshRows(fresh, losses, errors, influence, noise)


@jax.jit
def held_out_error(method: GeneralFirstOrderMethod, run: TrainingRun, rows: Array, labels: Array) -> Array:
    """Return the mean error on held-out rows at every state."""
    h = jnp.einsum("nd,tdk->tnk", rows / jnp.sqrt(rows.shape[1]), run.weights)
    return jnp.mean(row_metrics(method, run.shared, h, labels)[1], axis=1)


def probes_of(plan: EstimatePlan, run: TrainingRun, key: Key, *, is_smooth: bool) -> Probes:
    """Return the moves that a plan asks for.

    Args:
        plan: how many rows and moves.
        run: the run.
        key: of the choice of rows and of random moves.
        is_smooth: derivatives will do; else moves have a width.
    """
    states, n, k = run.preactivations.shape
    size = (states - 1) * k
    rows_key, moves_key = jax.random.split(key)
    rows = jnp.arange(n)
    if plan.num_followed < n:
        rows = jnp.sort(jax.random.choice(rows_key, n, (plan.num_followed,), replace=False))
    if plan.num_probes is None:
        return Probes(rows, jnp.eye(size)[None], jnp.ones(()), None)
    shape = (len(rows), plan.num_probes, size)
    weight = jnp.asarray(1.0 / plan.num_probes)
    if is_smooth:
        return Probes(rows, jax.random.rademacher(moves_key, shape).astype(float), weight, None)
    spread = jnp.std(run.preactivations[:-1], axis=1).reshape(-1)
    widths = KINK_WIDTH * jnp.where(spread > 0, spread, jnp.max(spread, initial=1e-300))
    return Probes(rows, jax.random.normal(moves_key, shape, float), weight, widths)

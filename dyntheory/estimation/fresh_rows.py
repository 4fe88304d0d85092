"""The pure parts of an estimate on arrays: probes for a run, fresh preactivations, errors there and on other rows."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from dyntheory._typing import Array, Key, PyTree
from dyntheory.estimation.debias import debias
from dyntheory.estimation.feature_side import FeatureSide
from dyntheory.estimation.plan import EstimatePlan
from dyntheory.estimation.sample_side import Probes
from dyntheory.estimation.training_run import TrainingRun
from dyntheory.method import GeneralFirstOrderMethod

KINK_WIDTH = 0.07  # of the moves at a kink, in standard deviations of the preactivation


class FreshRows(NamedTuple):
    """Debiased preactivations, and loss and error of every row at them."""

    preactivations: Float[Array, "states samples units"]
    losses: Float[Array, "states samples"]
    errors: Float[Array, "states samples"]


@jax.jit
def fresh_rows(
    method: GeneralFirstOrderMethod, run: TrainingRun, side: FeatureSide, groups: Array, probes: Probes, alpha: Array
) -> FreshRows:
    """Return what fresh rows would have, see `dyntheory.estimation.debias.debias`."""
    fresh = debias(method, run, side, groups, probes, alpha).preactivations
    losses, errors = row_metrics(method, run.shared, fresh, run.labels)
    return FreshRows(fresh, losses, errors)


def row_metrics(method: GeneralFirstOrderMethod, shared: PyTree, rows: Array, labels: Array) -> tuple[Array, Array]:
    """Return loss and error of rows of preactivations at every state, (T+1, rows)."""

    def one(shared: PyTree, h: Array, label: Array) -> tuple[Array, Array]:
        prediction = method.output(method.head_of(shared), h)
        return method.loss(prediction, label), method.error(prediction, label)

    return jax.vmap(jax.vmap(one, in_axes=(None, 0, 0)), in_axes=(0, 0, None))(shared, rows, labels)


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

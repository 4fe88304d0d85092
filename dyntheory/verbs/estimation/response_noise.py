"""How much an estimate would differ with the responses of other rows: a delete-a-block jackknife.

B is a mean over the rows of one run, and where a network overfits few rows answer strongly. The run is followed again
without each block of rows; all rows, and the run itself, stay.

Reference: `efron1982jackknife`.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from dyntheory.ground.arrays import Array
from dyntheory.problem.methods.method import GeneralFirstOrderMethod
from dyntheory.verbs.estimation.debias import debias, run_responses
from dyntheory.verbs.estimation.probes import Probes
from dyntheory.verbs.estimation.training_run import TrainingRun, row_metrics
from dyntheory.verbs.estimation.weight_responses import ColumnSpectrum


class ResponseNoise(NamedTuple):
    """Standard errors of mean loss and mean error that come from B."""

    loss: Float[Array, " states"]
    error: Float[Array, " states"]


def response_noise(
    method: GeneralFirstOrderMethod,
    run: TrainingRun,
    spectrum: ColumnSpectrum,
    probes: Probes,
    samples_per_feature: Array,
    *,
    num_blocks: int,
) -> ResponseNoise:
    """Return the jackknife standard errors of the means, one A for all rows.

    Args:
        method: the method.
        run: the training run.
        spectrum: how A follows from B.
        probes: how B is measured.
        samples_per_feature: α.
        num_blocks: K; without blocks the errors are zero.
    """
    size = probes.rows.shape[0] // max(num_blocks, 1)
    if num_blocks < 2 or size == 0:
        nothing = jnp.zeros(run.preactivations.shape[0])
        return ResponseNoise(nothing, nothing)
    blocks = np.arange(num_blocks * size).reshape(num_blocks, size)
    kept = jnp.asarray(np.stack([np.delete(blocks, block, axis=0).ravel() for block in range(num_blocks)]))
    groups = jnp.zeros(run.labels.shape[0], int)

    def without(rows: Array) -> tuple[Array, Array]:
        moves = probes.moves if probes.moves.shape[0] == 1 else probes.moves[rows]
        fewer = Probes(probes.rows[rows], moves, probes.weight, probes.widths)
        memory = run_responses(method, run, spectrum.pooled(), groups, fewer, samples_per_feature).weight
        losses, errors = row_metrics(method, run.shared, debias(run, memory, groups), run.labels)
        return losses.mean(axis=1), errors.mean(axis=1)

    def error(values: Array) -> Array:
        return jnp.sqrt((num_blocks - 1) * jnp.var(values, axis=0))

    return ResponseNoise(*map(error, jax.lax.map(without, kept)))

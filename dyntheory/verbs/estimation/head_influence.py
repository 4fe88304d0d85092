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
import numpy as np
from jaxtyping import Float, Int

from dyntheory.ground.arrays import Array, PyTree
from dyntheory.problem.methods.method import GeneralFirstOrderMethod
from dyntheory.verbs.estimation.debias import debias
from dyntheory.verbs.estimation.training_run import TrainingRun, row_metrics, train_on


class HeadInfluence(NamedTuple):
    """What has to be added to the mean loss and the mean error of the debiased rows.

    Args:
        loss: to the mean loss.
        error: to the mean error.
        loss_change: root mean square of the first-order change of a row's loss by the pull of one other row.
        error_change: the same of its error.
    """

    loss: Float[Array, " states"]
    error: Float[Array, " states"]
    loss_change: Float[Array, " states"]
    error_change: Float[Array, " states"]


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
        return jax.jvp(of_pulls, (jnp.zeros_like(sign),), (sign,))[1]

    losses, errors = jax.vmap(along)(signs)
    own = -jnp.mean(losses * signs[:, None], axis=(0, 2)), -jnp.mean(errors * signs[:, None], axis=(0, 2))
    return HeadInfluence(*own, _of_one_row(losses), _of_one_row(errors))


def noise_of_signs(change: np.ndarray, num_signs: int) -> np.ndarray:
    """Return the standard error that a correction has from its random signs.

    With M_ij the change of row i by the pull of row j, its variance over signs is (1/n²) Σ_{i≠j} (M_ij² + M_ij M_ji):
    at most twice the mean square change of a row by another's pull.

    Args:
        change: root mean square change of a row by the pull of one other row.
        num_signs: how many vectors of signs the correction is a mean over.
    """
    return np.sqrt(2.0 / max(num_signs, 1)) * change


def _of_one_row(changes: Float[Array, "signs states samples"]) -> Float[Array, " states"]:
    """Return what the pull of one row does to another, from what the pulls of all n with random signs do: √n times."""
    return jnp.sqrt(jnp.mean(jnp.square(changes), axis=(0, 2)) / changes.shape[2])


def _weighted(
    method: GeneralFirstOrderMethod, state: PyTree, h: Array, label: Array, shared: PyTree, u: Array
) -> tuple[PyTree, Array, PyTree]:
    """Return the sample map with the row's statistics, the pull on the head, times 1 + the last of u."""
    state, g, stats = method.sample_map(state, h, label, shared, u[:-1])
    return state, g, jax.tree.map(lambda leaf: (1.0 + u[-1]) * leaf, stats)

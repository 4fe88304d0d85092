"""From the preactivations of trained rows to those of fresh rows: û^t = h^t − Σ_{s<t} A_ts g^s, in one pass.

Reference: `han2025precise`, data-driven estimate of the generalisation error.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from dyntheory._typing import Array, PyTree
from dyntheory.estimation.feature_side import FeatureSide
from dyntheory.estimation.sample_side import Probes, Replicas, begin_replicas, move_replicas
from dyntheory.estimation.training_run import TrainingRun
from dyntheory.method import GeneralFirstOrderMethod
from dyntheory.two_time import impulse_response


class Debiased(NamedTuple):
    """What a fresh row would have had in the place of every row.

    Args:
        preactivations: û^t.
        residual_response: α mean_i dg_i^t/du_i^s at [t, unit, s · k + unit'].
        residuals: g^t.
    """

    preactivations: Float[Array, "states samples units"]
    residual_response: Float[Array, "steps units D"]
    residuals: Float[Array, "steps samples units"]


class _Carry(NamedTuple):
    side: Any
    memory: Array
    past: Array
    states: PyTree
    replicas: Replicas


def debias(
    method: GeneralFirstOrderMethod,
    run: TrainingRun,
    side: FeatureSide,
    groups: Int[Array, " samples"],
    probes: Probes,
    samples_per_feature: Array,
) -> Debiased:
    """Remove from every row's preactivation what the row itself has taught the weights; pure, safe under jit and vmap.

    Args:
        method: a method with a linear feature map.
        run: the training run.
        side: how A follows from B.
        groups: which A each row has.
        probes: how B is measured.
        samples_per_feature: α = n/d.
    """
    (states, n, k), steps = run.preactivations.shape, run.preactivations.shape[0] - 1
    size = steps * k
    first = jax.tree.map(lambda leaf: leaf[0], run.shared)
    impulse = impulse_response(method, first, steps).gradient[:, :steps]
    impulse = impulse.transpose(0, 2, 1, 3).reshape(states, k, size)

    def step(carry: _Carry, t: Array) -> tuple[_Carry, tuple[Array, Array, Array]]:
        h = run.preactivations[t]
        fresh = h - _recall(carry.memory, groups, carry.past)
        shared = jax.tree.map(lambda leaf: leaf[t], run.shared)
        sample_map = jax.vmap(method.sample_map, in_axes=(0, 0, 0, None, 0))
        new_states, g, _ = sample_map(carry.states, h, run.labels, shared, run.uniforms[t])
        of_followed = carry.memory[groups[probes.rows]]
        replicas, answer = move_replicas(method, run, probes, carry.replicas, carry.states, t, of_followed, g)
        b = samples_per_feature * answer
        side_state, memory = side.next(carry.side, t, b, impulse[t + 1], samples_per_feature)
        past = jax.lax.dynamic_update_slice_in_dim(carry.past, g, t * k, axis=1)
        return _Carry(side_state, memory, past, new_states, replicas), (fresh, b, g)

    rows = jax.vmap(method.init_sample, in_axes=(0, None))(run.labels, first)
    carry = _Carry(
        side.init(size),
        jnp.zeros((side.num_groups, k, size)),
        jnp.zeros((n, size)),
        rows,
        begin_replicas(probes, rows, size),
    )
    carry, (fresh, response, residuals) = jax.lax.scan(step, carry, jnp.arange(steps))
    last = run.preactivations[-1] - _recall(carry.memory, groups, carry.past)
    return Debiased(jnp.concatenate([fresh, last[None]]), response, residuals)


def _recall(memory: Float[Array, "groups k D"], groups: Array, past: Float[Array, "n D"]) -> Float[Array, "n k"]:
    """Return Σ_s A_ts g^s of every row."""
    if memory.shape[0] == 1:
        return past @ memory[0].T
    return jnp.einsum("nab,nb->na", memory[groups], past)

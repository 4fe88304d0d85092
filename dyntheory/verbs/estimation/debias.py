"""From the preactivations of trained rows to those of fresh rows: û^t = h^t − Σ_{s<t} A_ts g^s, in one pass.

Reference: `han2025precise`, data-driven estimate of the generalisation error.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from dyntheory.dynamics.impulses import impulse_response
from dyntheory.ground.arrays import Array, PyTree
from dyntheory.problem.methods.method import GeneralFirstOrderMethod
from dyntheory.verbs.estimation.probes import Probes
from dyntheory.verbs.estimation.row_responses import Replicas, begin_replicas, move_replicas
from dyntheory.verbs.estimation.training_run import TrainingRun
from dyntheory.verbs.estimation.weight_responses import ColumnSpectrum


class Responses(NamedTuple):
    """What a run answers to its own rows; columns s · k + unit'.

    Args:
        weight: A_ts of every group of rows, zero for s ≥ t.
        residual: B_ts = α mean_i dg_i^t/du_i^s.
    """

    weight: Float[Array, "states groups units D"]
    residual: Float[Array, "steps units D"]


class _Carry(NamedTuple):
    spectrum: Any
    memory: Array
    replicas: Replicas


def run_responses(
    method: GeneralFirstOrderMethod,
    run: TrainingRun,
    spectrum: ColumnSpectrum,
    groups: Int[Array, " samples"],
    probes: Probes,
    samples_per_feature: Array,
) -> Responses:
    """Return A and B of a run in one pass over its steps; pure, safe under jit and vmap.

    Args:
        method: a method with a linear feature map.
        run: the training run.
        spectrum: how A follows from B.
        groups: which A each row has.
        probes: how B is measured.
        samples_per_feature: α = n/d.
    """
    k, steps = run.preactivations.shape[2], run.preactivations.shape[0] - 1
    size = steps * k
    first = jax.tree.map(lambda leaf: leaf[0], run.shared)
    impulse = impulse_response(method, first, run.feature_shared, steps).gradient[1:, :steps]
    impulse = impulse.transpose(0, 2, 1, 3).reshape(steps, k, size)

    def step(carry: _Carry, seen: tuple[Array, PyTree, Array, Array]) -> tuple[_Carry, tuple[Array, Array]]:
        t, rows, g, impulses = seen
        of_followed = carry.memory if spectrum.num_groups == 1 else carry.memory[groups[probes.rows]]
        replicas, answer = move_replicas(method, run, probes, carry.replicas, rows, t, of_followed, g)
        b = samples_per_feature * answer
        state, memory = spectrum.next(carry.spectrum, t, b, impulses, samples_per_feature)
        return _Carry(state, memory, replicas), (memory, b)

    none = jnp.zeros((spectrum.num_groups, k, size))
    if not steps:
        return Responses(none[None], jnp.zeros((0, k, 0)))
    begin = begin_replicas(probes, jax.tree.map(lambda leaf: leaf[0], run.row_states), size)
    seen = (jnp.arange(steps), run.row_states, run.residuals, impulse)
    weight, residual = jax.lax.scan(step, _Carry(spectrum.init(size), none, begin), seen)[1]
    return Responses(jnp.concatenate([none[None], weight]), residual)


def debias(
    run: TrainingRun,
    weight_response: Float[Array, "states groups units D"],
    groups: Int[Array, " samples"],
) -> Float[Array, "states samples units"]:
    """Return û^t = h^t − Σ_{s<t} A_ts g^s: h^t less what the row itself has taught the weights."""
    past = run.residuals.transpose(1, 0, 2).reshape(run.labels.shape[0], -1)

    def one(h: Array, memory: Array) -> Array:
        own = past @ memory[0].T if memory.shape[0] == 1 else jnp.einsum("nab,nb->na", memory[groups], past)
        return h - own

    return jax.lax.map(lambda pair: one(*pair), (run.preactivations, weight_response))

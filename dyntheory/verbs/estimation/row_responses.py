"""How residuals answer to preactivations along the rows of one run: B, by probes that follow every row.

A probe ω moves the fresh preactivation u^s of a row by ω_s at every step s; the row then lives through the run again:
its h feels the move and, through A, what its residuals did since. With E[ω ωᵀ] = 1 the mean of (change of g^t) ω_sᵀ is
the total derivative dg^t/du^s. Unit vectors as probes give it without noise.

The change is a derivative along ω where the maps are smooth. A derivative does not see the mass at a kink (ReLU), so
there it is a difference at ±b ω: the row jumps as the map does, and the answer is the one of preactivations that are
smoothed by a Gaussian of width b. Nothing is divided by a small number: a row's own path is followed at finite moves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from dyntheory.ground.arrays import Array, PyTree
from dyntheory.problem.methods.method import GeneralFirstOrderMethod
from dyntheory.verbs.estimation.probes import Probes
from dyntheory.verbs.estimation.training_run import TrainingRun


class Replicas(NamedTuple):
    """Copies of the followed rows that are moved: their states, and by how much their residuals differ so far.

    Leading axes: rows, probes, ends. With derivatives the states are tangents.
    """

    states: PyTree
    residuals: Float[Array, "rows probes ends D"]


def begin_replicas(probes: Probes, states: PyTree, size: int) -> Replicas:
    """Return replicas at the states of the rows; `states` are those of all rows at the start."""
    shape = (probes.rows.shape[0], probes.moves.shape[1], probes.signs.shape[0])

    def leaf(value: Array) -> Array:
        own = value[probes.rows]
        wide = jnp.broadcast_to(own[:, None, None], (*shape, *own.shape[1:]))
        return wide if probes.widths is not None else _tangent(wide)

    return Replicas(jax.tree.map(leaf, states), jnp.zeros((*shape, size)))


def _tangent(value: Array) -> Array:
    return jnp.zeros(value.shape) if jnp.issubdtype(value.dtype, jnp.floating) else value


def move_replicas(
    method: GeneralFirstOrderMethod,
    run: TrainingRun,
    probes: Probes,
    replicas: Replicas,
    states: PyTree,
    step: Array,
    memory: Float[Array, "one_or_rows units D"],
    residual: Float[Array, "samples units"],
) -> tuple[Replicas, Float[Array, "units D"]]:
    """Send the replicas through the sample map of one step; return them and the mean over rows of dg^t/du.

    Args:
        method: its sample map.
        run: the run.
        probes: the moves.
        replicas: before this step.
        states: of all rows before this step.
        step: t.
        memory: A_t of every followed row, or the one of all.
        residual: g^t of all rows.
    """
    units = residual.shape[1]
    shared = jax.tree.map(lambda leaf: leaf[step], run.shared)
    own = jax.tree.map(lambda leaf: leaf[probes.rows], (states, run.preactivations[step], run.labels))
    uniforms = run.uniforms[step][probes.rows]
    moves = probes.moves if probes.widths is None else probes.moves * probes.widths[None, None]
    now = jax.lax.dynamic_slice_in_dim(moves, step * units, units, axis=2)
    if memory.shape[0] == 1:
        recalled = jnp.einsum("ab,npeb->npea", memory[0], replicas.residuals)
    else:
        recalled = jnp.einsum("nab,npeb->npea", memory, replicas.residuals)
    felt = now[:, :, None] * probes.signs[None, None, :, None] + recalled

    def sample_map(state: PyTree, h: Array, label: Array, u: Array) -> tuple[PyTree, Array]:
        return method.sample_map(state, h, label, shared, u)[:2]

    advance = _derivative if probes.widths is None else _moved
    new_states, change = jax.vmap(lambda *row: advance(sample_map, *row))(
        replicas.states, felt, *own, residual[probes.rows], uniforms
    )
    kept = jax.lax.dynamic_update_slice_in_dim(replicas.residuals, change, step * units, axis=3)
    per_probe = jnp.mean(change * probes.signs[None, None, :, None], axis=2)
    answer = jnp.einsum(
        "npa,npb->ab", per_probe, jnp.broadcast_to(probes.moves, (*per_probe.shape[:2], moves.shape[2]))
    )
    answer = answer if probes.widths is None else answer / probes.widths[None]
    return Replicas(new_states, kept), probes.weight * answer / probes.rows.shape[0]


def _derivative(
    sample_map: Callable[..., tuple[PyTree, Array]],
    tangents: PyTree,
    felt: Array,
    state: PyTree,
    h: Array,
    label: Array,
    g: Array,
    u: Array,
) -> tuple[PyTree, Array]:
    """Push the tangents of one row's replicas; leaves that are not real numbers stay as they are."""
    del g
    leaves, structure = jax.tree.flatten(state)
    is_real = [jnp.issubdtype(jnp.asarray(leaf).dtype, jnp.floating) for leaf in leaves]

    def of_real(real: list[Array], h: Array) -> tuple[list[Array], Array]:
        given = iter(real)
        whole = [next(given) if flag else leaf for leaf, flag in zip(leaves, is_real, strict=True)]
        new, residual = sample_map(jax.tree.unflatten(structure, whole), h, label, u)
        return [leaf for leaf, flag in zip(jax.tree.leaves(new), is_real, strict=True) if flag], residual

    def push(tangent: PyTree, dh: Array) -> tuple[PyTree, Array]:
        all_tangents = jax.tree.leaves(tangent)
        real = [leaf for leaf, flag in zip(leaves, is_real, strict=True) if flag]
        along = [leaf for leaf, flag in zip(all_tangents, is_real, strict=True) if flag]
        _, (new, change) = jax.jvp(of_real, (real, h), (along, dh))
        moved = iter(new)
        rest = [next(moved) if flag else leaf for leaf, flag in zip(all_tangents, is_real, strict=True)]
        return jax.tree.unflatten(structure, rest), change

    return jax.vmap(jax.vmap(push))(tangents, felt)


def _moved(
    sample_map: Callable[..., tuple[PyTree, Array]],
    states: PyTree,
    felt: Array,
    state: PyTree,
    h: Array,
    label: Array,
    g: Array,
    u: Array,
) -> tuple[PyTree, Array]:
    """Send one row's replicas through the map itself."""
    del state

    def push(own: PyTree, move: Array) -> tuple[PyTree, Array]:
        new, residual = sample_map(own, h + move, label, u)
        return new, residual - g

    return jax.vmap(jax.vmap(push))(states, felt)

"""The two-time form: how residuals answer to preactivations and weights to gradients, by derivatives.

    h^t = u^t + Σ_{s<t} A_ts g^s             p^t = v^t + Σ_{s≤t} B_ts w^s + B_t⋆ w*
    A_ts = E[∂w^t/∂v^s]                      B_ts = α E[dg^t/du^s],  B_t⋆ = α E[dg^t/dz]       (total derivatives)

For a linear feature map, w^t = K_t w⁰ + Σ_{s<t} G_ts p^s with K and G its answers to unit impulses, so

    A_ts = G_ts + Σ_{s<q≤r<t} G_tr B_rq A_qs        dg^t/du^s = J^t (δ_ts I + Σ_{s≤r<t} A_tr dg^r/du^s),  J = ∂g/∂h.

Everything is causal: B_t needs A up to t and A_{t+1} needs B up to t. The rows may be nodes of the limit or the
samples of one training run. A kink of the activation puts a mass into J that derivatives do not see: these formulas
are for smooth maps only.

Reference: `han2025precise`, state evolution; `celentano2021high` for general first-order methods.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from dyntheory.dynamics.impulses import ImpulseResponse
from dyntheory.ground.arrays import Array, PyTree
from dyntheory.problem.laws.law import TeacherStudent
from dyntheory.problem.methods.method import GeneralFirstOrderMethod


class ResidualDerivatives(NamedTuple):
    """Residuals of rows with their derivatives in the row's own preactivation and teacher preactivation."""

    values: Float[Array, "*states rows units"]
    jacobian: Float[Array, "*states rows units units"]
    in_teacher: Float[Array, "*states rows units teacher_units"]


class TwoTime(NamedTuple):
    """The responses (A, B, B⋆), axes step, step', unit, unit'; zero where the later step would come first."""

    weight: Float[Array, "states states units units"]
    residual: Float[Array, "states states units units"]
    teacher: Float[Array, "states units teacher_units"]


def residual_derivatives(
    law: TeacherStudent,
    method: GeneralFirstOrderMethod,
    shared: PyTree,
    h: Float[Array, "rows units"],
    z: Float[Array, "rows teacher_units"],
    label_noise: Float[Array, "rows outputs"],
) -> ResidualDerivatives:
    """Return g, ∂g/∂h and ∂g/∂z of every row, for a sample map that keeps no state of its rows."""

    def residual(h: Array, z: Array, noise: Array) -> Array:
        label = law.label(z, noise)
        return method.sample_map(method.init_sample(label, shared), h, label, shared, jnp.zeros(0))[1]

    def both(h: Array, z: Array, noise: Array) -> tuple[Array, tuple[Array, Array]]:
        return residual(h, z, noise), jax.jacfwd(residual, argnums=(0, 1))(h, z, noise)

    values, (jacobian, in_teacher) = jax.vmap(both)(h, z, label_noise)
    return ResidualDerivatives(values, jacobian, in_teacher)


def residual_response(
    step: Int[Array, ""],
    weight: Float[Array, "states states units units"],
    found: ResidualDerivatives,
    row_weights: Float[Array, " rows"],
    samples_per_feature: Array,
) -> tuple[Float[Array, "states units units"], Float[Array, "units teacher_units"]]:
    """Return (B_ts for all s, B_t⋆) at t = `step`, by one backward sweep over the earlier states of every row.

    With Y_s the answer of g^t to a change of g^s itself, Y_t = I and X_s = Y_s J^s = dg^t/du^s,
    Y_s = Σ_{s<q≤t} X_q A_qs. The sweep keeps T + 1 small matrices a row, where a forward pass would keep their square.

    Args:
        step: t.
        weight: A, rows up to t.
        found: derivatives at the states up to t, leading axis of states; later ones are not read.
        row_weights: weights of the mean over rows, summing to one.
        samples_per_feature: α.
    """
    states, rows, k = found.values.shape
    identity = jnp.eye(k, dtype=weight.dtype)

    def back(index: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        answers, star = carry
        s = step - index
        flat = answers.reshape(rows * k, states * k) @ weight[:, s].reshape(states * k, k)
        direct = flat.reshape(rows, k, k) + jnp.where(index == 0, 1.0, 0.0) * identity[None]
        star = star + jnp.einsum("n,nab,nbr->ar", row_weights, direct, found.in_teacher[s])
        total = jnp.einsum("nab,nbc->nac", direct, found.jacobian[s])
        return jax.lax.dynamic_update_index_in_dim(answers, total, s, 2), star

    nothing = jnp.zeros((rows, k, states, k), weight.dtype), jnp.zeros((k, found.in_teacher.shape[-1]), weight.dtype)
    answers, star = jax.lax.fori_loop(0, step + 1, back, nothing)
    mean = jnp.tensordot(row_weights, answers, axes=1).transpose(1, 0, 2)
    return samples_per_feature * mean, samples_per_feature * star


def next_weight_response(
    step: Int[Array, ""],
    weight: Float[Array, "states states units units"],
    residual: Float[Array, "states states units units"],
    impulse: ImpulseResponse,
) -> Float[Array, "states states units units"]:
    """Return A with its row t + 1 filled in, given B up to t = `step`; nothing changes at the last state."""
    gradient = impulse.gradient.at[step + 1].get(mode="fill", fill_value=0.0)
    through = jnp.einsum("rab,rqbc->qac", gradient, residual)
    row = gradient + jnp.einsum("qab,qsbc->sac", through, weight)
    return weight.at[step + 1].set(row, mode="drop")


def two_time_responses(
    found: ResidualDerivatives,
    impulse: ImpulseResponse,
    row_weights: Float[Array, " rows"],
    samples_per_feature: Array,
) -> TwoTime:
    """Return A, B and B⋆ along recorded rows, O(rows T³ k³) operations.

    Args:
        found: derivatives at all T + 1 states.
        impulse: answers of the feature map.
        row_weights: weights of the mean over rows, summing to one (nodes), or 1/n for samples.
        samples_per_feature: α.
    """
    states, _, k = found.values.shape
    r = found.in_teacher.shape[-1]
    empty = jnp.zeros((states, states, k, k), found.values.dtype)

    def step(t: Array, now: TwoTime) -> TwoTime:
        row, star = residual_response(t, now.weight, found, row_weights, samples_per_feature)
        residual, teacher = now.residual.at[t].set(row), now.teacher.at[t].set(star)
        return TwoTime(next_weight_response(t, now.weight, residual, impulse), residual, teacher)

    return jax.lax.fori_loop(0, states, step, TwoTime(empty, empty, jnp.zeros((states, k, r), empty.dtype)))


def next_loading(
    step: Int[Array, ""],
    loadings: Float[Array, "states units initial"],
    responses: TwoTime,
    impulse: ImpulseResponse,
) -> Float[Array, "states units initial"]:
    """Return P with its row t + 1 filled in: w^t = P_t (w*, w⁰) + Σ_{s<t} A_ts v^s."""
    k, r = responses.teacher.shape[1:]
    gradient = impulse.gradient.at[step + 1].get(mode="fill", fill_value=0.0)
    driven = jnp.einsum("rqab,qbi->rai", responses.residual, loadings).at[:, :, :r].add(responses.teacher)
    initial = impulse.initial.at[step + 1].get(mode="fill", fill_value=0.0)
    row = jnp.einsum("rab,rbi->ai", gradient, driven) + jnp.concatenate([jnp.zeros((k, r)), initial], axis=1)
    return loadings.at[step + 1].set(row, mode="drop")


def initial_loadings(impulse: ImpulseResponse, num_teacher_units: int) -> Float[Array, "states units initial"]:
    """Return P with its row 0 filled in, w⁰ itself."""
    states, k, _ = impulse.initial.shape
    row = jnp.concatenate([jnp.zeros((k, num_teacher_units)), impulse.initial[0]], axis=1)
    return jnp.zeros((states, *row.shape), row.dtype).at[0].set(row)


def loadings(responses: TwoTime, impulse: ImpulseResponse) -> Float[Array, "states units initial"]:
    """Return P, shape (T+1, k, r+k): w^t = P_t (w*, w⁰) + Σ_{s<t} A_ts v^s."""
    states, _, r = responses.teacher.shape

    def step(t: Array, now: Array) -> Array:
        return next_loading(t, now, responses, impulse)

    return jax.lax.fori_loop(0, states, step, initial_loadings(impulse, r))


def weight_covariance(
    loadings: Float[Array, "states units initial"],
    weight: Float[Array, "states states units units"],
    joint_second_moment: Float[Array, "initial initial"],
    residual_covariance: Float[Array, "states states units units"],
    samples_per_feature: Array,
) -> Float[Array, "states states units units"]:
    """Return E[w^t w^sᵀ] = P_t M P_sᵀ + α Σ A_ta E[g^a g^bᵀ] A_sbᵀ: what is stated on the slides with ρ and Σ.

    Args:
        loadings: P.
        weight: A.
        joint_second_moment: M = E[(w*, w⁰)(w*, w⁰)ᵀ].
        residual_covariance: E[g^t g^sᵀ].
        samples_per_feature: α.

    Reference: `han2025precise`, covariance of the state evolution.
    """
    initial = jnp.einsum("tai,ij,sbj->tsab", loadings, joint_second_moment, loadings)
    driven = jnp.einsum("tqac,qpcd->tpad", weight, residual_covariance)
    return initial + samples_per_feature * jnp.einsum("tpad,spbd->tsab", driven, weight)

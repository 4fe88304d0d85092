"""The two-time (response) form of full-batch gradient descent, theory.md §4.

    h^t = u^t + Σ_{s<t} A_ts g^s                     (z, u^0, u^1, …) Gaussian
    p^t = v^t + Σ_{s≤t} B_ts w^s + B_t⋆ w*           Cov(v^t, v^s) = α E[g^t g^sᵀ]
    w^{t+1} = w^t − (η/α) p^t,   θ^{t+1} = θ^t − η E[∂_θ ℓ],   ℓ = ½(F − y)²

Expectations are averages over scrambled Sobol nodes of (ξ, z, u^0, …, u^T). The second
moments of the weights close on themselves because v is independent of (w⁰, w*):

    E[w^{t+1} x] = E[w^t x] − (η/α)(E[v^t x] + Σ_s B_ts E[w^s x] + B_t⋆ E[w* x]),
    E[v^t w^sᵀ] = α Σ_{r<s} E[g^t g^rᵀ] A_srᵀ,   E[v^t w*ᵀ] = 0,   x = w*, w^0, …, w^{t+1}.
"""

from typing import Any, NamedTuple

import jax
import numpy as np

from .gaussian import (
    ApplyHead,
    Array,
    Link,
    extend_factor,
    gaussian_nodes,
    joint_moment,
    population_error,
)
from .sample_side import build_sample_map, stein_response


class TwoTime(NamedTuple):
    """Solution of the two-time equations; T steps, k units, r teacher directions.

    `weight_covariance` is the recursion's E[w^t w^sᵀ]; `node_covariance` is the node
    average of u^t u^sᵀ, which must equal it.
    """

    train_error: Array  # (T+1,)
    test_error: Array  # (T+1,)
    weight_overlap: Array  # (T+1, k, k)  E[w^t w^tᵀ]
    teacher_overlap: Array  # (T+1, k, r)  E[w^t w*ᵀ]
    heads: list[Any]  # T+1 pytrees
    A: Array  # (T+1, T, k, k)
    B: Array  # (T, T, k, k)
    B_star: Array  # (T, k, r)
    residual_moment: Array  # (T, T, k, k)  E[g^t g^sᵀ]
    weight_covariance: Array  # (T+1, T+1, k, k)
    node_covariance: Array  # (T+1, T+1, k, k)


def solve(
    apply_head: ApplyHead,
    head: Any,
    link: Link,
    *,
    alpha: float,
    learning_rate: float,
    noise_std: float,
    num_steps: int,
    second_moment: Array,
    teacher_overlap: Array,
    teacher_second_moment: Array,
    num_nodes: int = 2**13,
    seed: int = 0,
    use_dirac: bool = False,
    memory: bool = True,
    moment_match: bool = True,
) -> TwoTime:
    """Solve the two-time equations forward in t, with no fixed-point iteration.

    Args:
        apply_head: F, any JAX function (head, h of length k) -> scalar.
        head: initial head θ⁰, any pytree of floats.
        link: noiseless link φ, a JAX function z of length r -> scalar; y = φ(z) + σξ.
        alpha: samples per feature n/d.
        learning_rate: η of both the first layer (as (η/α)p) and the head.
        noise_std: σ.
        num_steps: T.
        second_moment: (k, k) E[w⁰ w⁰ᵀ].
        teacher_overlap: (k, r) E[w⁰ w*ᵀ].
        teacher_second_moment: (r, r) E[w* w*ᵀ].
        num_nodes: number of Sobol nodes, a power of two.
        seed: seed of the scrambling.
        use_dirac: False takes responses by autodiff of g, which drops the Dirac masses
            of kinked activations (Trap 1); True takes them by Gaussian integration by
            parts, E[g uᵀ] = Σ E[dg/du] Cov(u), right for kinks but noisier.
        memory: False is the negative control A = 0 on the sample side.
        moment_match: give the nodes exact first and second moments.
    """
    k, r = teacher_overlap.shape
    step_size, size = learning_rate / alpha, r + (num_steps + 1) * k
    nodes = gaussian_nodes(num_nodes, size + 1, seed=seed, moment_match=moment_match)
    noise, innovations = noise_std * nodes[:, 0], nodes[:, 1:]
    test_nodes = gaussian_nodes(num_nodes, r + k, seed=seed + 1, moment_match=moment_match)
    blocks = [slice(r + t * k, r + (t + 1) * k) for t in range(num_steps + 1)]

    gram, factor = np.zeros((size, size)), np.zeros((size, size))
    gram[: r + k, : r + k] = joint_moment(teacher_second_moment, teacher_overlap, second_moment)
    extend_factor(factor, gram, slice(0, r))
    teacher = innovations @ factor[:r].T

    A = np.zeros((num_steps + 1, num_steps, k, k))
    B = np.zeros((num_steps, num_steps, k, k))
    B_star = np.zeros((num_steps, k, r))
    moment = np.zeros((num_steps, num_steps, k, k))
    gaussians = np.zeros((num_steps + 1, num_nodes, k))
    residuals = np.zeros((num_steps, num_nodes, k))
    derivatives = np.zeros((num_steps, num_nodes, k, size))
    sample_map = build_sample_map(apply_head, link)
    heads = [head]
    train_error, test_error = np.zeros(num_steps + 1), np.zeros(num_steps + 1)

    for t, block in enumerate(blocks):
        extend_factor(factor, gram, block)
        gaussians[t] = innovations @ factor[block].T
        onsager = A[t, :t] * memory
        h = gaussians[t] + np.einsum("sab,snb->na", onsager, residuals[:t])
        error, head_gradient, g, jacobian, direct = sample_map(heads[t], h, teacher, noise)
        train_error[t] = np.mean(error**2)
        test_error[t] = population_error(
            apply_head,
            heads[t],
            link,
            joint_moment(teacher_second_moment, gram[block, :r], gram[block, block]),
            test_nodes,
            num_teacher=r,
            noise_std=noise_std,
        )
        if t == num_steps:
            break
        residuals[t] = g
        inner = np.einsum("sab,snbj->naj", onsager, derivatives[:t])
        inner[:, :, block] += np.eye(k)
        derivatives[t] = jacobian @ inner
        derivatives[t, :, :, :r] += direct
        response = derivatives[t].mean(axis=0)
        if use_dirac:
            response = stein_response(g, innovations, factor)
        response *= alpha
        B_star[t] = response[:, :r]
        B[t, : t + 1] = [response[:, past] for past in blocks[: t + 1]]
        moment[t, : t + 1] = np.einsum("na,snb->sab", g, residuals[: t + 1]) / num_nodes
        moment[: t + 1, t] = moment[t, : t + 1].transpose(0, 2, 1)
        A[t + 1] = A[t]
        A[t + 1, t] -= step_size * np.eye(k)
        A[t + 1, :t] -= step_size * np.einsum("qab,qsbc->sac", B[t, : t + 1], A[: t + 1, :t])

        noise_overlap = alpha * np.einsum("rab,srcb->sac", moment[t], A[: t + 2])
        _extend_gram(gram, response, noise_overlap, blocks, step_size)
        heads.append(_descend(heads[t], head_gradient, learning_rate))

    steps = num_steps + 1
    covariance = gram[r:, r:].reshape(steps, k, steps, k).transpose(0, 2, 1, 3)
    return TwoTime(
        train_error=train_error,
        test_error=test_error,
        weight_overlap=np.stack([gram[block, block] for block in blocks]),
        teacher_overlap=np.stack([gram[block, :r] for block in blocks]),
        heads=heads,
        A=A,
        B=B,
        B_star=B_star,
        residual_moment=moment,
        weight_covariance=covariance,
        node_covariance=np.einsum("tna,snb->tsab", gaussians, gaussians) / num_nodes,
    )


def slides_rho(B: Array, scale: float) -> Array:
    """Return ρ (T+1, T+1, k, k) of the slides from B alone, `scale` = η/α.

    ρ_{t,s} = I 1{s=t} + Σ_{s<r≤t} (τ_{t,r} + I 1{r=t}) ρ_{r−1,s} with
    τ_{t,s} = −(η/α) B_{t−1,s−1}. Column 0 is not on the slides (w⁰ = 0 there): started
    at ρ_{0,0} = I, the same recursion makes it ∂w^t/∂w⁰.
    """
    steps, k = B.shape[0], B.shape[2]
    rho = np.zeros((steps + 1, steps + 1, k, k))
    for t in range(steps + 1):
        rho[t, t] = np.eye(k)
        for s in range(t):
            rho[t, s] = rho[t - 1, s]
            for q in range(s + 1, t + 1):
                rho[t, s] -= scale * B[t - 1, q - 1] @ rho[q - 1, s]
    return rho


def slides_identity(
    solution: TwoTime,
    *,
    alpha: float,
    learning_rate: float,
    second_moment: Array,
    teacher_overlap: Array,
    teacher_second_moment: Array,
) -> tuple[Array, Array]:
    """Return both sides of Cov(U^t, U^s) = Σ ρ_{t,r} Σ_{r,r'} ρ_{s,r'}ᵀ (theory.md §4).

    The innovations are w⁰ at r = 0 and −(η/α)(v^{r−1} + B_{r−1,⋆} w*) at r ≥ 1; Σ has
    cross terms between the two when w⁰ is correlated with w*.

    Returns:
        The node covariance of u^t, and the right side; both (T+1, T+1, k, k).
    """
    k, r = teacher_overlap.shape
    scale = learning_rate / alpha
    rho = slides_rho(solution.B, scale)
    loadings = np.concatenate([np.zeros((1, k, r)), -scale * solution.B_star])
    sigma = np.einsum("tai,ij,sbj->tsab", loadings, teacher_second_moment, loadings)
    sigma[1:, 1:] += scale**2 * alpha * solution.residual_moment
    sigma[0, 0] = second_moment
    sigma[0, 1:] = np.einsum("ai,sbi->sab", teacher_overlap, loadings[1:])
    sigma[1:, 0] = sigma[0, 1:].transpose(0, 2, 1)
    right = np.einsum("tqab,qpbc,spdc->tsad", rho, sigma, rho)
    return solution.node_covariance, right


def _extend_gram(gram: Array, response: Array, noise_overlap: Array, blocks: list[slice], step_size: float) -> None:
    """Add w^{t+1} = w^t − (η/α) p^t to the Gram matrix of (w*, w^0, …), in place.

    Args:
        gram: second moments known up to w^t; rows after it are zero.
        response: (k, size) rows (B_t⋆, B_t0, …, B_tt, 0, …).
        noise_overlap: (t+2, k, k) E[v^t w^sᵀ] for s ≤ t+1.
        blocks: places of w^0, w^1, ….
        step_size: η/α.
    """
    t = len(noise_overlap) - 2
    block, new = blocks[t], blocks[t + 1]
    projected = response @ gram
    for past, overlap in zip(blocks, noise_overlap[:-1], strict=False):
        projected[:, past] += overlap
    gram[new] = gram[block] - step_size * projected
    gram[:, new] = gram[new].T
    gram[new, new] = gram[block, new] - step_size * (response @ gram[:, new] + noise_overlap[-1])


def _descend(head: Any, gradient: Any, learning_rate: float) -> Any:
    """Take one gradient step on every leaf of the head."""
    return jax.tree.map(lambda x, dx: np.asarray(x) - learning_rate * dx, head, gradient)

"""What one sample sends back, and its mean responses: autodiff, or integration by parts."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from .gaussian import ApplyHead, Array, Link


def build_sample_map(apply_head: ApplyHead, link: Link) -> Callable[..., tuple[Any, ...]]:
    """Build (θ, h, z, σξ) -> (F − y, E ∂_θℓ, g, ∂g/∂h, ∂g/∂z) over the nodes."""

    def residual(head: Any, h: Any, z: Any, noise: Any) -> Any:
        return apply_head(head, h) - link(z) - noise

    def loss(head: Any, h: Any, z: Any, noise: Any) -> Any:
        return 0.5 * residual(head, h, z, noise) ** 2

    preactivation_gradient = jax.grad(loss, argnums=1)
    parts = (
        residual,
        jax.grad(loss),
        preactivation_gradient,
        jax.jacfwd(preactivation_gradient, argnums=1),
        jax.jacfwd(preactivation_gradient, argnums=2),
    )
    batched = jax.jit(lambda *args: tuple(jax.vmap(part, in_axes=(None, 0, 0, 0))(*args) for part in parts))

    def evaluate(head: Any, h: Array, z: Array, noise: Array) -> tuple[Any, ...]:
        with jax.enable_x64(True):
            error, head_gradient, *rest = batched(head, h, z, noise)
            mean_gradient = jax.tree.map(lambda x: np.asarray(x).mean(axis=0), head_gradient)
            return (np.asarray(error), mean_gradient, *(np.asarray(x) for x in rest))

    return evaluate


def stein_response(g: Array, innovations: Array, factor: Array) -> Array:
    """Solve E[g ζᵀ] = Σ_j E[∂g/∂x_j] L_j for the responses, x = L ζ (Stein's lemma)."""
    remaining = g.T @ innovations / len(g)
    response = np.zeros_like(remaining)
    for column in reversed(range(len(factor))):
        if factor[column, column] > 0:
            response[:, column] = remaining[:, column] / factor[column, column]
            remaining = remaining - np.outer(response[:, column], factor[column])
    return response

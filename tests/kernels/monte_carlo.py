"""Kernels of finite networks, averaged over draws of their parameters, with standard errors."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.kernels import Layer


class Estimate(NamedTuple):
    """Mean over draws and its standard error."""

    mean: np.ndarray
    standard_error: np.ndarray


def finite_kernels(
    network: Layer, x: jax.Array, key: jax.Array, *, with_mask: bool = False
) -> tuple[jax.Array, jax.Array]:
    """Return f fᵀ averaged over outputs, and the tangent kernel of the first output, for one draw."""
    param_key, mask_key = jax.random.split(key)
    params = network.init(param_key, x.shape[1:])
    apply = functools.partial(network.apply, key=mask_key if with_mask else None)
    outputs = apply(params, x)
    jacobian = jax.jacrev(lambda p: apply(p, x)[:, 0])(params)
    rows = jnp.concatenate([leaf.reshape(x.shape[0], -1) for leaf in jax.tree.leaves(jacobian)], axis=1)
    return outputs @ outputs.T / outputs.shape[1], rows @ rows.T


def estimate(
    network: Layer, x: jax.Array, *, num_draws: int, seed: int, with_mask: bool = False
) -> tuple[Estimate, Estimate]:
    """Average both kernels over draws."""
    keys = jax.random.split(jax.random.key(seed), num_draws)
    draw = functools.partial(finite_kernels, network, x, with_mask=with_mask)
    draws = jax.jit(jax.vmap(draw))(keys)
    nngp, ntk = (
        Estimate(np.mean(d, axis=0), np.std(d, axis=0, ddof=1) / num_draws**0.5) for d in map(np.asarray, draws)
    )
    return nngp, ntk


def z_scores(found: Estimate, exact: np.ndarray) -> np.ndarray:
    """Return the deviations in standard errors, of the entries on and above the diagonal."""
    upper = np.triu_indices(exact.shape[0])
    return ((found.mean - exact) / found.standard_error)[upper]

"""Where finite networks start: rows (w*, w) of d features, with overlaps as asked for, or as they are drawn."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from dyntheory.flows.online.prepared import Prepared
from dyntheory.ground.arrays import Array, Key
from dyntheory.ground.linear_algebra import rank_aware_cholesky
from dyntheory.problem.laws.first_layer import starting_rows


def start_rows(one: Prepared, key: Key, num_features: int, *, is_exact: bool) -> Array:
    """Return rows (w*, w), (d, r + k).

    Args:
        one: the problem; a given draw is returned as it is.
        key: of the run.
        num_features: d.
        is_exact: whether the Gram matrix of the columns is exactly the prescribed second moment, or that of
            independent rows with it.
    """
    if one.draw is not None:
        return jnp.concatenate(one.draw, axis=1)
    normals = jax.random.normal(jax.random.fold_in(key, 0), (num_features, len(one.joint)))
    if not is_exact:
        return starting_rows(one.joint, one.priors, normals)
    basis = jnp.linalg.qr(normals)[0] * jnp.sqrt(1.0 * num_features)
    return basis @ rank_aware_cholesky(one.joint).T


def gram(rows: Array) -> Array:
    """Return the mean over features of (w*, w)(w*, w)ᵀ."""
    return rows.T @ rows / rows.shape[0]

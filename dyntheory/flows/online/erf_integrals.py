"""Averages of units erf(x/√2) over Gaussian preactivations of covariance C, in closed form.

With G = 1 + C on the diagonal, C beside it: E g g, E g' g', E g'(u) v g(w), E g'(u) g'(v) g(w) g(z). Nothing is
singular: G is at least one.

Reference: `saad1995line`, appendix, whose x is our preactivation.
"""

from __future__ import annotations

import math

import jax.numpy as jnp

from dyntheory.ground.arrays import Array


def erf_second(cov: Array) -> Array:
    """Return E g(x_a) g(x_b) for all a and b."""
    grown = 1.0 + jnp.diagonal(cov)
    return (2.0 / math.pi) * jnp.arcsin(cov / jnp.sqrt(grown[:, None] * grown[None, :]))


def erf_slopes(cov: Array, k: int) -> Array:
    """Return E g'(x_i) g'(x_j) of the first k units."""
    return (2.0 / math.pi) / jnp.sqrt(_pair_determinants(cov)[:k, :k])


def erf_third(cov: Array, k: int) -> Array:
    """Return E g'(x_i) x_v g(x_w), (k, m, m)."""
    grown = 1.0 + jnp.diagonal(cov)
    own = grown[:k, None, None]
    top = cov[None] * own - cov[:k, :, None] * cov[:k, None, :]
    pairs = _pair_determinants(cov)[:k, None, :]
    return (2.0 / math.pi) * top / (jnp.sqrt(pairs) * own)


def erf_fourth(cov: Array, k: int) -> Array:
    """Return E g'(x_i) g'(x_j) g(x_w) g(x_z), (k, k, m, m)."""
    grown = 1.0 + jnp.diagonal(cov)
    first, second = grown[:k, None, None, None], grown[None, :k, None, None]
    between = cov[:k, :k, None, None]
    pair = _pair_determinants(cov)[:k, :k, None, None]
    iw, iz = cov[:k, None, :, None], cov[:k, None, None, :]
    jw, jz = cov[None, :k, :, None], cov[None, :k, None, :]
    top = pair * cov[None, None] - jw * jz * first - iw * iz * second + between * iw * jz + between * iz * jw
    left = pair * grown[None, None, :, None] - jw**2 * first - iw**2 * second + 2.0 * between * iw * jw
    right = jnp.swapaxes(left, 2, 3)
    return (4.0 / math.pi**2) * jnp.arcsin(top / jnp.sqrt(left * right)) / jnp.sqrt(pair)


def _pair_determinants(cov: Array) -> Array:
    """Return (1 + C_aa)(1 + C_bb) − C_ab² for all pairs; a unit with itself counts as two equal ones."""
    grown = 1.0 + jnp.diagonal(cov)
    return grown[:, None] * grown[None, :] - cov**2

"""Soft thresholding of w + τ Z: squared error and active fraction, as sums of terms that do not cancel."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.ground.arrays import Array
from dyntheory.problem.laws.priors import GaussianMixture

POINTS, HEIGHTS = np.polynomial.legendre.leggauss(24)


def upper_moments(t: Array) -> tuple[Array, Array, Array]:
    """Return ∫_t^∞ (x − t)^j φ(x) dx for j = 0, 1, 2 and a standard normal density φ."""
    tail = jax.scipy.special.erfc(t / math.sqrt(2)) / 2
    density = jnp.exp(-(t**2) / 2) / math.sqrt(2 * math.pi)
    return tail, density - t * tail, (1 + t**2) * tail - t * density


def _middle(shrink: Array, mean: Array, spread: Array, low: Array, high: Array) -> Array:
    """Return E (shrink · spread · x + mean)² on low < x < high: formula, or a rule where the interval is short."""
    scale = shrink * spread

    def below(x: Array) -> Array:
        density = jnp.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
        tail = jax.scipy.special.erfc(-x / math.sqrt(2)) / 2
        return (scale**2 + mean**2) * tail - density * (scale**2 * x + 2 * scale * mean)

    is_short = high - low < 1.0
    start, width = jnp.where(is_short, low, 0.0), jnp.where(is_short, high - low, 1.0)
    x = start[:, None] + width[:, None] * jnp.asarray((POINTS + 1) / 2, start.dtype)[None]
    heights = jnp.asarray(HEIGHTS / 2, start.dtype)[None]
    values = (scale[:, None] * x + mean[:, None]) ** 2 * jnp.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    return jnp.where(is_short, width * jnp.sum(values * heights, axis=1), below(high) - below(low))


def threshold_moments(prior: GaussianMixture, noise: Array, threshold: Array) -> tuple[Array, Array]:
    """Return E (η(w + τZ; θ) − w)² and P(|w + τZ| > θ) for τ = `noise`, θ = `threshold`.

    Given y = w + τZ ~ N(m, S²) the weight is m + (1 − ρ)(y − m) plus independent noise, ρ = τ²/S².
    """
    p, m, s = (jnp.asarray(field) for field in (prior.probabilities, prior.means, prior.stds))
    spread = jnp.sqrt(s**2 + noise**2)
    ratio, shrink = (noise / spread) ** 2, (s / spread) ** 2
    error, active = (s * noise / spread) ** 2, jnp.zeros_like(p)
    for sign in (1.0, -1.0):
        t = (threshold - sign * m) / spread
        tail, first, second = upper_moments(t)
        step, offset = ratio * spread, -shrink * threshold - ratio * sign * m
        density = jnp.exp(-(t**2) / 2) / math.sqrt(2 * math.pi)
        beyond = step**2 * second + 2 * step * offset * first + offset**2 * tail  # around x = t
        around = (step**2 + threshold**2) * tail + step * density * (step * t - 2 * threshold)  # around x = 0
        error = error + jnp.where(t > 0, beyond, around)
        active = active + tail
    error = error + _middle(shrink, m, spread, (-threshold - m) / spread, (threshold - m) / spread)
    return jnp.sum(p * error), jnp.sum(p * active)

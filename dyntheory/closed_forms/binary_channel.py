"""What is known of a ±1 variable that is seen once in Gaussian noise: x γ + √γ Z, in closed form to all digits.

T(γ) = E tanh(γ + √γ Z), Z standard normal, is the overlap of the posterior mean with x. Forms that do not cancel, with
g = √γ Z:

    γ − T = e^{−γ/2} E[tanh(g)(g cosh g − sinh g)]    for small γ,      1 − T = e^{−γ/2} E[1/cosh g]    for large,
    ln 2 − I = e^{−γ/2} E[cosh(g) ln(2 cosh g) − g sinh g],

I being the mutual information in nats.

Reference: `guo2005mutual` for dI/dγ = (1 − T)/2; `trefethen2014exponentially` for the trapezoid rule.
"""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np

from dyntheory.ground.arrays import Array

NUM_NODES = 1041
RANGE, LONGEST = 13.0, 45.0  # in standard deviations of Z; in g, where 1/cosh ends
NUM_TERMS = 12


def known_part(snr: Array) -> Array:
    """Return T(γ), the overlap of the posterior mean with x, which is also its mean square."""
    small = jnp.minimum(snr, 1.0)
    return jnp.where(snr < 1, small - shortfall(small), 1 - unknown_part(jnp.maximum(snr, 1.0)))


def shortfall(snr: Array) -> Array:
    """Return γ − T(γ) for γ up to 1 or so; elsewhere the value is not used."""
    nodes = np.linspace(-RANGE, RANGE, NUM_NODES)
    weights = np.exp(-0.5 * nodes**2) * (2 * RANGE / (NUM_NODES - 1)) / math.sqrt(2 * math.pi)
    held = jnp.minimum(snr, 2.0)
    scaled = _on_last_axis(jnp.sqrt(jnp.where(held > 0, held, 1.0))) * jnp.asarray(nodes).reshape(_row(snr))
    small = jnp.where(jnp.abs(scaled) < 1, scaled, 0.0)
    term = small**3 / 3  # g cosh g − sinh g = Σ 2k g^{2k+1}/(2k+1)!
    series = term
    for k in range(2, NUM_TERMS):
        term = term * jnp.square(small) / ((2 * k - 2) * (2 * k + 1))
        series = series + term
    direct = scaled * jnp.cosh(scaled) - jnp.sinh(scaled)
    inner = jnp.where(jnp.abs(scaled) < 1, series, direct)
    value = jnp.exp(-held / 2) * jnp.sum(jnp.asarray(weights).reshape(_row(snr)) * jnp.tanh(scaled) * inner, axis=-1)
    return jnp.where(held > 0, value, 0.0)


def unknown_part(snr: Array) -> Array:
    """Return 1 − T(γ), the smallest mean square error, for γ not below 1 or so; below ½ it is that at ½."""
    points, weights = _signals(jnp.maximum(snr, 0.5))
    return jnp.sum(weights / jnp.cosh(points), axis=-1)


def unknown_nats(snr: Array) -> Array:
    """Return ln 2 − I(γ), what is not known of x; below γ = 1e-30 it is that at 1e-30."""
    points, weights = _signals(jnp.maximum(snr, 1e-30))
    size = jnp.abs(points)
    small = jnp.exp(-2 * size)
    # cosh(g) ln(2 cosh g) − g sinh g without its large terms, which cancel
    values = jnp.exp(-size) * size + jnp.exp(size) * (1 + small) / 2 * jnp.log1p(small)
    return jnp.sum(weights * values, axis=-1)


def _signals(snr: Array) -> tuple[Array, Array]:
    """Return g, and weights of e^{−γ/2} E[function of g]: for even functions that fall as e^{−|g|}."""
    length = jnp.minimum(RANGE * jnp.sqrt(snr), LONGEST)
    points = _on_last_axis(length) * jnp.asarray(np.linspace(-1, 1, NUM_NODES)).reshape(_row(snr))
    scale = jnp.exp(-snr / 2) * 2 * length / (NUM_NODES - 1) / jnp.sqrt(2 * jnp.pi * snr)
    return points, _on_last_axis(scale) * jnp.exp(-jnp.square(points) / (2 * _on_last_axis(snr)))


def _on_last_axis(value: Array) -> Array:
    return value[..., None]


def _row(value: Array) -> tuple[int, ...]:
    """Return the shape of a row that stands beside `value[..., None]`."""
    return (1,) * value.ndim + (-1,)

"""A ±1 spin in a Gaussian field h = s (y + Z), Z standard normal: what it does on average, at any y and s.

Two trapezoid rules, exact to rounding since every integrand is analytic in a strip of π/2 around the line. Where the
field is narrow, s < 1, the variable is Z. Where it is wide, up to s = ∞ (no temperature), it is h: sech² h falls fast,
and so does what is left of tanh h and ln 2 cosh h beside functions whose Gaussian means are known,

    E erf h = erf(y/√(2 + 1/s²)),     E (h erf h + e^{−h²}/√π) = E |h + ζ|,   ζ of variance ½.

Reference: `trefethen2014exponentially`.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.ground.arrays import Array

SPACING = 0.2
NARROW, WIDE = np.arange(-50, 51) * SPACING, np.arange(-140, 141) * SPACING  # Z, and h
HALF, NUM_TERMS = 0.5, 9


class Averages(NamedTuple):
    """Means over the field.

    Args:
        overlap: m = E tanh h.
        square: q = E tanh² h.
        slope: 1 − q = E sech² h = (1/s) ∂m/∂y.
        fourth: E sech⁴ h.
        bend: E [Z sech² h] = −∂q/∂y; ∂m/∂s = y (1 − q) + bend.
        turn: E [h tanh h sech² h] = (s/2) ∂q/∂s.
        shortfall: E [h − tanh h].
        log_sum: E ln 2 cosh h.
    """

    overlap: Array
    square: Array
    slope: Array
    fourth: Array
    bend: Array
    turn: Array
    shortfall: Array
    log_sum: Array


def field_averages(ratio: Array, width: Array) -> Averages:
    """Return the averages over h = s (y + Z).

    Args:
        ratio: y, zero or positive, one number.
        width: s, positive, one number.
    """
    pairs = zip(_narrow(ratio, jnp.minimum(width, 1.0)), _wide(ratio, jnp.maximum(width, 1.0)), strict=True)
    return Averages(*(jnp.where(width < 1, narrow, wide) for narrow, wide in pairs))


def _narrow(ratio: Array, width: Array) -> Averages:
    weights = jnp.asarray(SPACING * np.exp(-(NARROW**2) / 2) / math.sqrt(2 * math.pi))
    h = width * (ratio + jnp.asarray(NARROW))
    size = jnp.abs(h)
    tail = jnp.exp(-2 * size)
    tanh, second = -jnp.sign(h) * jnp.expm1(-2 * size) / (1 + tail), 4 * tail / jnp.square(1 + tail)
    odd = tanh * second
    log_sum = size + jnp.log1p(tail)
    values = jnp.stack([tanh, tanh**2, second, second**2, odd, h * odd, remainder(h, tanh), log_sum])
    found = Averages(*(values @ weights))
    return found._replace(bend=-2 * width * found.bend)


def _wide(ratio: Array, width: Array) -> Averages:
    z = jnp.asarray(WIDE) / width - ratio
    density = SPACING * jnp.exp(-jnp.square(z) / 2) / (math.sqrt(2 * math.pi) * width)
    beside_erf, slope, fourth, moment, turn, rest = density @ jnp.asarray(_falling())
    overlap = jax.scipy.special.erf(ratio / jnp.sqrt(2 + 1 / jnp.square(width))) + beside_erf
    spread = width * jnp.sqrt(1 + 0.5 / jnp.square(width))
    y = ratio * width / spread
    known = y * jax.scipy.special.erf(y / jnp.sqrt(2.0)) + jnp.sqrt(2 / jnp.pi) * jnp.exp(-jnp.square(y) / 2)
    log_sum = spread * known + rest
    bend = moment / width - ratio * slope
    return Averages(overlap, 1 - slope, slope, fourth, bend, turn, width * ratio - overlap, log_sum)


@functools.cache
def _falling() -> np.ndarray:
    """Return at the nodes of h what falls as e^{−2|h|}: functions along the last axis."""
    h, size = WIDE, np.abs(WIDE)
    tail = np.exp(-2 * size)
    second = 4 * tail / (1 + tail) ** 2
    beside_erf = np.sign(h) * (np.array([math.erfc(one) for one in size]) - 2 * tail / (1 + tail))
    odd = np.tanh(h) * second
    rest = size * np.array([math.erfc(one) for one in size]) + np.log1p(tail) - np.exp(-(h**2)) / math.sqrt(math.pi)
    return np.stack([beside_erf, second, second**2, h * second, h * odd, rest], axis=1)


def remainder(h: Array, tanh: Array) -> Array:
    """Return h − tanh h, to all digits where h is small."""
    is_small = jnp.abs(h) < HALF
    held = jnp.where(is_small, h, 0.0)
    term = held**3 / 3  # h cosh h − sinh h = Σ 2k h^{2k+1}/(2k+1)!
    series = term
    for k in range(2, NUM_TERMS):
        term = term * jnp.square(held) / ((2 * k - 2) * (2 * k + 1))
        series = series + term
    return jnp.where(is_small, series / jnp.cosh(held), h - tanh)

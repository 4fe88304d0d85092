"""How a teacher labels its inputs ±1, seen by margins y z: probabilities, and what Gaussian uncertainty makes of them.

A law P(y = 1 | z) enters the theory of margin losses through the margin y z alone, whose density against that of the
Gaussian z is 2p(z) with the symmetric part p(z) = ½[P(1 | z) + P(−1 | −z)].
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.ground.arrays import Array
from dyntheory.ground.elementwise import check_elementwise
from dyntheory.ground.names import check_name

SHORT = np.arange(-21, 22) * 0.4  # standard normal coordinates
LONG = np.arange(-56, 57) * 0.6  # where the slope of the logistic function is above rounding


@dataclasses.dataclass(frozen=True)
class LabelLaw:
    """A law of labels ±1.

    Args:
        name: for messages.
        probability: p, the symmetric part of P(y = 1 | z).
        averaged: (mean, variance, noise_std) -> E p(z) and its derivative by the mean, z Gaussian.
        width: distance over which p changes, at most; its panels.
    """

    name: str
    probability: Callable[[Array, Array], Array]
    averaged: Callable[[Array, Array, Array], tuple[Array, Array]]
    width: Callable[[Array], Array]


def _density(x: Array) -> Array:
    return jnp.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)


def _upper(x: Array) -> Array:
    """Return Φ(x), to relative rounding in both tails."""
    return jax.scipy.special.erfc(-x / math.sqrt(2)) / 2


def _probit(z: Array, noise: Array) -> Array:
    return jnp.where(noise > 0, _upper(z / jnp.where(noise > 0, noise, 1.0)), (z > 0).astype(z.dtype))


def _probit_averaged(mean: Array, variance: Array, noise: Array) -> tuple[Array, Array]:
    spread = jnp.sqrt(variance + noise**2)
    return _upper(mean / spread), _density(mean / spread) / spread


def _logistic(z: Array, noise: Array) -> Array:
    del noise
    return jax.nn.sigmoid(z)


def _logistic_averaged(mean: Array, variance: Array, noise: Array) -> tuple[Array, Array]:
    """Trapezoid rules: over the Gaussian where it is narrow, over the slope of the logistic function where not."""
    del noise
    is_narrow = variance < 0.6
    narrow, wide = jnp.sqrt(jnp.where(is_narrow, variance, 0.5)), jnp.sqrt(jnp.where(is_narrow, 1.0, variance))
    short, long = (jnp.asarray(grid, mean.dtype)[None] for grid in (SHORT, LONG))
    weight = _density(short) * 0.4
    at = mean[:, None] + narrow * short
    near = jnp.sum(weight * jax.nn.sigmoid(at), 1), jnp.sum(weight * _slope(at), 1)
    distance = (mean[:, None] - long) / wide
    height = _slope(long) * 0.6
    far = jnp.sum(height * _upper(distance), 1), jnp.sum(height * _density(distance), 1) / wide
    return jnp.where(is_narrow, near[0], far[0]), jnp.where(is_narrow, near[1], far[1])


def _slope(x: Array) -> Array:
    return jax.nn.sigmoid(x) * jax.nn.sigmoid(-x)


LABEL_LAWS = {
    "sign": LabelLaw("sign", _probit, _probit_averaged, lambda noise: noise),
    "probit": LabelLaw("probit", _probit, _probit_averaged, lambda noise: noise),
    "logistic": LabelLaw("logistic", _logistic, _logistic_averaged, jnp.ones_like),
}
POINTS, HEIGHTS = np.polynomial.legendre.leggauss(24)


def resolve_label_law(teacher: str | Callable[[Array], Array] | LabelLaw) -> LabelLaw:
    """Return the law of that name, or of a smooth function z -> P(y = 1 | z).

    Raises:
        TypeError: a function that is not written in JAX.
        ValueError: the name is not known, or the function couples the entries of an array.
    """
    if isinstance(teacher, LabelLaw):
        return teacher
    if not callable(teacher):
        return LABEL_LAWS[check_name("teacher", teacher, LABEL_LAWS)]
    check_elementwise("teacher", teacher)
    return _law_of(teacher)


def _law_of(probability: Callable[[Array], Array]) -> LabelLaw:
    def symmetric(z: Array, noise: Array) -> Array:
        del noise
        return (probability(z) + 1 - probability(-z)) / 2

    panels = np.arange(-12, 12) * 0.75
    nodes = (panels[:, None] + 0.375 * (POINTS + 1)[None]).reshape(-1)
    heights = np.tile(0.375 * HEIGHTS, len(panels)) * np.exp(-(nodes**2) / 2) / math.sqrt(2 * math.pi)

    def averaged(mean: Array, variance: Array, noise: Array) -> tuple[Array, Array]:
        z = mean[:, None] + jnp.sqrt(variance) * jnp.asarray(nodes, mean.dtype)[None]
        value, slope = jax.jvp(lambda x: symmetric(x, noise), (z,), (jnp.ones_like(z),))
        weights = jnp.asarray(heights, mean.dtype)
        return value @ weights, slope @ weights

    return LabelLaw(getattr(probability, "__name__", "custom"), symmetric, averaged, jnp.ones_like)

"""Gauss–Legendre rules on panels whose ends follow the features of an integrand, and move with them."""

from __future__ import annotations

import functools

import jax.numpy as jnp
import numpy as np

from dyntheory.ground.arrays import Array

DEGREE = 16


def mirrored(distances: tuple[float, ...]) -> np.ndarray:
    """Return zero, the distances and their negatives, in increasing order."""
    positive = np.asarray(distances, dtype=float)
    return np.concatenate([-positive[::-1], [0.0], positive])


EVEN = mirrored(tuple(np.arange(0.75, 9.1, 0.75)))  # for a Gaussian weight, in standard deviations
STEEP = mirrored((0.8, 1.6, 2.4, 3.2, 4.0, 5.0, 6.0, 7.0, 9.0))  # for a normal distribution function, in its widths
GEOMETRIC = mirrored(tuple(3.0 * 3.3**k for k in range(9)))  # for poles at a distance of π from the real line


def around(centre: Array, unit: Array | float, distances: np.ndarray) -> Array:
    """Return the ends centre + unit · distances."""
    return centre + unit * jnp.asarray(distances, centre.dtype)


def panel_rule(ends: Array, low: Array, high: Array, *, degree: int = DEGREE) -> tuple[Array, Array]:
    """Return nodes and weights on [low, high], cut at `ends` in any order."""
    cuts = jnp.sort(jnp.clip(jnp.concatenate([jnp.stack([low, high]), ends]), low, high))
    points, heights = _legendre(degree)
    centres, halves = (cuts[1:] + cuts[:-1])[:, None] / 2, (cuts[1:] - cuts[:-1])[:, None] / 2
    nodes = centres + halves * jnp.asarray(points, cuts.dtype)[None]
    return nodes.reshape(-1), (halves * jnp.asarray(heights, cuts.dtype)[None]).reshape(-1)


@functools.cache
def _legendre(degree: int) -> tuple[np.ndarray, np.ndarray]:
    return np.polynomial.legendre.leggauss(degree)

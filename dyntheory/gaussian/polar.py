"""Expectations of products over a Gaussian pair of equal variances, for functions that may bend or jump at zero.

With correlation cos a, and (r, δ) in the plane, v = √q r sin δ, u = √q r sin(δ + a). Both change their sign on rays
only: a kink at zero lies on the border of a sector, a steep step of width 1/√q beside one, and Gauss–Legendre panels
that shrink towards the rays meet both. On a sector where neither changes its sign and one where both differ,

    E f(u, v) = (1/π) ∫ r e^{−r²/2} dr [ ∫_0^{(π−a)/2} (f(u, v) + f(−u, −v)) dδ + ∫_{−a}^0 f(u, v) dδ ],    f symmetric.

On the line, the same panels for one variable.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.ground.arrays import Array

REACH, RATIO = 9.0, 3.0  # e^{-40} beyond it
LEVELS, RADIAL_LEVELS, LINE_LEVELS = 10, 6, 14  # panels that shrink by RATIO
FINE, COARSE = 12, 10  # nodes of a panel; what both give says how good the finer one is


def line_rule(degree: int) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes z > 0 and weights φ(z) dz, for E f(Z) = Σ ω (f(z) + f(−z))."""
    nodes, weights = _radii(degree, LINE_LEVELS)
    return nodes, weights * np.exp(-(nodes**2) / 2) / np.sqrt(2 * np.pi)


def pair_mean(
    function: Callable[[Array, Array], tuple[Array, ...]], variance: Array, angle: Array, *, degree: int = FINE
) -> tuple[Array, ...]:
    """Return E f(u, v) for scalars q and a = arccos of the correlation.

    Args:
        function: symmetric, entry by entry, several results at once.
        variance: q, (), zero or positive.
        angle: a, (), from 0 to π.
        degree: nodes of a panel.
    """
    radii, heights = (jnp.asarray(one, variance.dtype) for one in _radii(degree, RADIAL_LEVELS))
    heights = heights * radii * jnp.exp(-jnp.square(radii) / 2) / jnp.pi
    one_side, both_sides = _shrinking(degree)
    root = jnp.where(variance > 0, jnp.sqrt(jnp.where(variance > 0, variance, 1.0)), 0.0) * radii[:, None]
    totals = None
    for (nodes, weights), sector in ((one_side, "equal"), (both_sides, "mixed")):
        width = (jnp.pi - angle) / 2 if sector == "equal" else angle
        turned = width * jnp.asarray(nodes, variance.dtype)[None]
        v = root * jnp.sin(turned) * (1.0 if sector == "equal" else -1.0)
        u = root * (jnp.sin(turned + angle) if sector == "equal" else jnp.sin(angle - turned))
        found = function(u, v)
        if sector == "equal":
            found = tuple(one + other for one, other in zip(found, function(-u, -v), strict=True))
        measure = heights[:, None] * (width * jnp.asarray(weights, variance.dtype))[None]
        sums = tuple(jnp.sum(measure * one) for one in found)
        totals = sums if totals is None else tuple(a + b for a, b in zip(totals, sums, strict=True))
    return totals or ()


def angle_of(excess: Array) -> Array:
    """Return a with 1 − cos a = `excess`, to all digits also where it is small; no derivative at zero."""
    is_apart = excess > 0
    half = jnp.sqrt(jnp.where(is_apart, excess, 1.0) / 2)
    return jnp.where(is_apart, 2 * jnp.arcsin(jnp.minimum(half, 1.0)), 0.0)


@functools.lru_cache(maxsize=8)
def _radii(degree: int, levels: int) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and weights on [0, REACH]: panels of width one, the first of them shrinking towards zero."""
    return _panels(np.concatenate([[0.0], RATIO ** np.arange(-levels, 0.0), np.arange(1.0, REACH + 1)]), degree)


@functools.lru_cache(maxsize=8)
def _shrinking(degree: int) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return rules on [0, 1] whose panels shrink towards 0, and towards both ends."""
    cuts = np.concatenate([[0.0], RATIO ** np.arange(-LEVELS, 1.0)])
    nodes, weights = _panels(cuts, degree)
    return (nodes, weights), (
        np.concatenate([nodes / 2, 1 - nodes[::-1] / 2]),
        np.concatenate([weights / 2, weights[::-1] / 2]),
    )


def _panels(cuts: np.ndarray, degree: int) -> tuple[np.ndarray, np.ndarray]:
    points, heights = np.polynomial.legendre.leggauss(degree)
    halves = np.diff(cuts)[:, None] / 2
    return ((cuts[1:] + cuts[:-1])[:, None] / 2 + halves * points[None]).reshape(-1), (halves * heights[None]).reshape(
        -1
    )


def derivative_of(function: Callable[[Array], Array]) -> Callable[[Array], tuple[Array, Array]]:
    """Return what gives φ and φ′ at once, entry by entry."""
    return lambda x: jax.jvp(function, (x,), (jnp.ones_like(x),))

"""What a layer makes of a Gaussian signal: moments of an activation at one input and at two, and of its derivative.

u, v have variance q and correlation 1 − e; a = arccos(1 − e). Known for erf and for functions that are linear on both
sides of zero (`cho2009kernel`, `williams1996computing`), by the panels of `gaussian/polar.py` for all others. The
difference e is carried along, not the correlation: near one nothing is lost.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.closed_forms.evaluation import ratio_or
from dyntheory.gaussian.polar import COARSE, FINE, angle_of, derivative_of, line_rule, pair_mean
from dyntheory.ground.arrays import Array
from dyntheory.problem.networks.activations import ACTIVATIONS, Activation

SLOPES = {"linear": (1.0, 1.0), "relu": (0.0, 1.0), "leaky_relu": (0.1, 1.0), "abs": (-1.0, 1.0)}
SMALL_ANGLE = 0.2
TINY = 1e-24  # of E φ²: an excess below it may be zero, that of an even function at opposite inputs
SMALL_EXCESS = 1e-11  # below it φ(u) − φ(v) loses digits


class Line(NamedTuple):
    """Moments at one input: E φ, E φ², E φ′², and how much of them is not resolved, relative."""

    mean: Array
    square: Array
    slope: Array
    error: Array


class Pair(NamedTuple):
    """Moments at two inputs: ½E(φ(u) − φ(v))², E φ′(u)φ′(v), and how much of them is not resolved, relative."""

    excess: Array
    slope: Array
    error: Array


class ActivationMoments(NamedTuple):
    """Both as functions of scalars, of q and of (q, e); `rough` gives a pair faster, to a lower accuracy.

    `square` is that of a line alone.
    """

    square: Callable[[Array], Array]
    line: Callable[[Array], Line]
    pair: Callable[[Array, Array], Pair]
    rough: Callable[[Array, Array], Pair]


def moments_of(activation: Activation) -> ActivationMoments:
    """Return the moments of an activation."""
    known = ACTIVATIONS.get(activation.name) is activation
    if known and activation.name in SLOPES:
        return _of_two_slopes(*SLOPES[activation.name])
    if known and activation.name == "erf":
        return ActivationMoments(_erf_square, _erf_line, _erf_pair, _erf_pair)
    return _by_panels(activation.function)


def _of_two_slopes(left: float, right: float) -> ActivationMoments:
    """φ(x) = right · max(x, 0) + left · min(x, 0)."""
    mean_square, spread = (left**2 + right**2) / 2, (right - left) ** 2 / (2 * np.pi)

    def line(q: Array) -> Line:
        mean = (right - left) / np.sqrt(2 * np.pi) * root(q)
        return Line(mean, mean_square * q, jnp.full_like(q, mean_square), jnp.zeros_like(q))

    def pair(q: Array, e: Array) -> Pair:
        angle = angle_of(e)
        return Pair(q * (mean_square * e - spread * _bend(angle)), mean_square - spread * angle, jnp.zeros_like(q))

    return ActivationMoments(lambda q: mean_square * q, line, pair, pair)


def _bend(angle: Array) -> Array:
    """Return sin a − a cos a."""
    square = jnp.square(angle)
    series = angle * square * (1 / 3 - square * (1 / 30 - square * (1 / 840 - square * (1 / 45360 - square / 3991680))))
    return jnp.where(angle < SMALL_ANGLE, series, jnp.sin(angle) - angle * jnp.cos(angle))


def _erf_square(q: Array) -> Array:
    return 2 / jnp.pi * jnp.arctan2(2 * q, jnp.sqrt(1 + 4 * q))  # arcsin of 2q/(1 + 2q)


def _erf_line(q: Array) -> Line:
    return Line(jnp.zeros_like(q), _erf_square(q), 4 / jnp.pi / jnp.sqrt(1 + 4 * q), jnp.zeros_like(q))


def _erf_pair(q: Array, e: Array) -> Pair:
    """E φφ = (2/π) arcsin s(1 − e), s = 2q/(1 + 2q); a difference of two arcsines is one."""
    s, cosine = 2 * q / (1 + 2 * q), jnp.sqrt(1 + 4 * q) / (1 + 2 * q)
    gap = jnp.square(s) * e * (2 - e)
    y = s * (1 - e)
    other = jnp.sqrt(jnp.square(cosine) + gap)
    sine = ratio_or(gap, s * other + y * cosine, 0.0)
    sine = jnp.where(e < 1, sine, s * other - y * cosine)
    excess = 2 / jnp.pi * jnp.arctan2(sine, cosine * other + s * y)
    return Pair(excess, 4 / jnp.pi / jnp.sqrt(1 + 4 * q + 4 * jnp.square(q) * e * (2 - e)), jnp.zeros_like(q))


def root(q: Array) -> Array:
    """Return √q, whose derivative at zero is zero."""
    return jnp.where(q > 0, jnp.sqrt(jnp.where(q > 0, q, 1.0)), 0.0)


def _by_panels(function: Callable[[Array], Array]) -> ActivationMoments:
    both = derivative_of(function)

    def products(u: Array, v: Array) -> tuple[Array, Array]:
        (at_u, slope_u), (at_v, slope_v) = both(u), both(v)
        return jnp.square(at_u - at_v) / 2, slope_u * slope_v

    def at(point: tuple[Array, Array]) -> tuple[Array, ...]:
        return pair_mean(products, point[0], angle_of(point[1]), degree=FINE)

    def rough(q: Array, e: Array) -> Pair:
        excess, slope = pair_mean(products, q, angle_of(e), degree=COARSE)
        return Pair(excess, slope, 0 * q)

    def pair(q: Array, e: Array) -> Pair:
        """Where e is small the excess is q ∫_0^e E φ′φ′ de: constant plus √e have the mean value of 4e/9."""
        (excesses, slopes), coarse = jax.lax.map(at, (jnp.stack([q, q]), jnp.stack([e, 4 * e / 9]))), rough(q, e)
        _, square, steep, _ = _line_sums(both, FINE, q)
        is_near = e < SMALL_EXCESS
        excess = jnp.where(is_near, q * e * slopes[1], excesses[0])
        of_excess = ratio_or(jnp.abs(excess - coarse.excess), jnp.maximum(excess, TINY * square), 0.0)
        of_slope = ratio_or(jnp.abs(slopes[0] - coarse.slope), steep, 0.0)
        return Pair(excess, slopes[0], jnp.maximum(jnp.where(is_near, e, of_excess), of_slope))

    def line(q: Array) -> Line:
        fine, coarse = (_line_sums(both, degree, q) for degree in (FINE, COARSE))
        scales = jnp.sqrt(fine[1]), fine[1], fine[2]
        gaps = [ratio_or(jnp.abs(one - two), scale, 0.0) for one, two, scale in zip(fine, coarse, scales, strict=False)]
        return Line(*fine[:3], jnp.maximum(jnp.max(jnp.stack(gaps)), fine[3]))

    def square(q: Array) -> Array:
        z, weight = _line_points(FINE, q)
        return jnp.sum(weight * jnp.square(function(root(q) * z)))

    return ActivationMoments(square, line, pair, rough)


def _line_points(degree: int, q: Array) -> tuple[Array, Array]:
    """Return Z and its weights."""
    nodes, weights = (jnp.asarray(one, q.dtype) for one in line_rule(degree))
    return jnp.concatenate([-nodes, nodes]), jnp.concatenate([weights, weights])


def _line_sums(both: Callable[[Array], tuple[Array, ...]], degree: int, q: Array) -> tuple[Array, Array, Array, Array]:
    """Return E φ, E φ², E φ′², and what two rules of one reach do not see, relative.

    That is by how much partial integration fails, as at a jump, E φ′(x) = E[Z φ(x)]/√q for x = √q Z, and the same for
    x φ(x), which sees jumps that lie symmetrically; and what lies beyond the reach.
    """
    z, weight = _line_points(degree, q)
    x = root(q) * z
    value, slope = both(x)
    mean, square, steep = (jnp.sum(weight * one) for one in (value, jnp.square(value), jnp.square(slope)))
    beyond = jnp.maximum(*(_beyond(weight * jnp.square(one), degree) for one in (value, slope)))
    scale = root(square)
    first = jnp.sum(weight * (z * value - root(q) * slope))
    second = jnp.sum(weight * (jnp.square(z) * value - value - x * slope))
    missing = jnp.maximum(jnp.abs(first), jnp.abs(second))
    return mean, square, steep, jnp.maximum(ratio_or(missing, scale, 0.0), beyond)


def _beyond(terms: Array, degree: int) -> Array:
    """Return which part of a sum of positive terms lies beyond the last panels, if these go on to fall as they did."""
    sides = terms.reshape(2, -1)
    last, before = jnp.sum(sides[:, -degree:]), jnp.sum(sides[:, -2 * degree : -degree])
    tail = jnp.where(last < before, ratio_or(jnp.square(last), before - last, 0.0), last)
    return ratio_or(tail, jnp.sum(terms), 0.0)

"""Signals and gradients in infinitely deep random networks: fixed points, depth scales, trainable depth.

h^{l+1} = W φ(h^l) + b, Var W = σ_w²/N, Var b = σ_b². Variance and correlation of two inputs go by

    q ← σ_w² E φ(√q Z)² + σ_b²,        c ← (σ_w² E φ(u)φ(v) + σ_b²)/q,

the squared gradient grows by χ₁ = σ_w² E φ′(√q Z)² per layer. With e = 1 − c the second map is concave in e on [0, 1]:
Newton's steps from e = 1 come down to its largest fixed point, which is the stable one.

Reference: `poole2016exponential`; `schoenholz2017deep`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.closed_forms.activation_moments import ActivationMoments, Pair, moments_of
from dyntheory.closed_forms.evaluation import evaluate
from dyntheory.closed_forms.normalized_moments import NORMALIZATIONS, RESOLVED, check_resolved, normalized
from dyntheory.ground.arrays import Array, ArrayLike
from dyntheory.ground.checks import check_nonnegative, check_positive, is_concrete
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.names import check_name
from dyntheory.ground.root_finding import bisect, newton_step
from dyntheory.problem.networks.activations import Activation, resolve_activation

SPACING = 10.0**0.25
GRID = SPACING ** np.arange(-120.0, 121.0)  # where a fixed point of the variance is looked for
FAR, MOST = 1e12, 1e9  # stands for an infinite variance; largest σ_w², σ_b²
STILL = 1e-13  # relative change of a variance that stays, of a gradient too
SAME = 1e-11  # of the largest 1 − c: as the map is concave, one that stays means that all do
ROUNDING = 1e-15  # of a step of 1 − c, relative
DIP_STEP, NUM_DIP_STEPS = 1e-4, 30  # of log q, to look for two fixed points between two of the grid
NUM_BISECTIONS, NUM_POLISHES, MOST_STEPS = 46, 3, 100
CLOSE = 1e-11  # relative change at which a search ends; two exact steps follow


class SignalLimit(NamedTuple):
    """What depth makes of signals, arrays of one shape.

    Args:
        variance: q*, of a preactivation in deep layers; 0 or infinity where it vanishes or explodes (falls below 1e-30,
            rises above 1e30), NaN where it oscillates.
        correlation: c*, of two inputs, from c ≥ 0 at the first layer; NaN where q* is 0 or infinite, and where every c
            stays or does so nearly, as for linear activations without bias.
        gradient_growth: χ₁, of the squared gradient per layer; below one it vanishes, above it explodes.
        variance_depth: ξ_q, layers in which q − q* falls by e.
        correlation_depth: ξ_c, layers in which c − c* falls by e; infinite where it falls by a power.
        gradient_depth: 1/|log χ₁|, layers in which the squared gradient changes by e.
        error: relative disagreement of two rules for the moments.
    """

    variance: Any
    correlation: Any
    gradient_growth: Any
    variance_depth: Any
    correlation_depth: Any
    gradient_depth: Any
    error: Any


def signal_limit(
    activation: str | Callable[[Array], Array] | Activation,
    weight_variance: ArrayLike,
    bias_variance: ArrayLike = 0.0,
    *,
    variance: ArrayLike = 1.0,
    normalization: str = "none",
) -> SignalLimit:
    """Return fixed points and depth scales of a random network: where signals end, and after how many layers.

    ξ_q = −1/log |σ_w² ∂_q E φ²|, ξ_c = −1/log (σ_w² E φ′(u)φ′(v)) at c*. Networks train where neither signals nor
    gradients have forgotten, depth ≲ 6 ξ_c by `schoenholz2017deep`; ξ_c diverges at the edge of chaos, χ₁ = 1.

    Scaling:
        Weights have variance σ_w²/N, N inputs of a layer; N → ∞ before the number of layers. Closed forms for erf and
        for what is linear on both sides of zero, quadrature for others. Where q* is infinite χ₁ is that of q = 10¹².

    Args:
        activation: a name, or a scalar function written in JAX, continuous, that bends at zero only.
        weight_variance: σ_w², from 0 to 1e9.
        bias_variance: σ_b², from 0 to 1e9.
        variance: q of the first layer, positive: it decides between several fixed points. The nearest one in the
            direction of the first step is taken, which is right where E φ(√q Z)² does not fall with q.
        normalization: layer normalisation "before" or "after" φ, or "none".

    Returns:
        The limit, in the shape to which the numbers broadcast.

    Raises:
        ValueError: a number outside its range, or an activation that is not resolved (`error` where traced).

    Example:
        >>> found = signal_limit("tanh", [1.0, 3.0], 0.05)
        >>> [bool(one) for one in found.gradient_growth > 1.0]
        [False, True]

    Reference: `schoenholz2017deep`; `poole2016exponential`; `hayou2019impact` for ReLU.
    """
    check_arguments(signal_limit, locals())
    for name, value in (("weight_variance", weight_variance), ("bias_variance", bias_variance)):
        check_nonnegative(name, value)
        if is_concrete(value) and np.max(np.asarray(value, float)) > MOST:
            raise ValueError(f"`{name}` must be at most {MOST:g}, got {value!r}.")
    check_positive("variance", variance)
    kind = check_name("normalization", normalization, NORMALIZATIONS)
    found = resolve_activation(activation)
    limit = evaluate(functools.partial(_limits, found, kind), weight_variance, bias_variance, variance)
    if is_concrete(limit.error):
        check_resolved(found, limit.error)
    return limit


@functools.partial(jax.jit, static_argnums=(0, 1))
def _limits(activation: Activation, normalization: str, *arrays: Array) -> SignalLimit:
    moments = normalized(moments_of(activation), normalization)
    flat = tuple(one.reshape(-1) for one in arrays)
    found = jax.lax.map(lambda numbers: _limit(moments, *numbers), flat)
    return SignalLimit(*(one.reshape(arrays[0].shape) for one in found))


def _limit(moments: ActivationMoments, weight: Array, bias: Array, start: Array) -> SignalLimit:
    def following(q: Array) -> Array:
        return weight * moments.square(q) + bias

    variance = _fixed_variance(following, start)
    inside = (variance > 0) & (variance < jnp.inf)
    q = jnp.where(inside, variance, jnp.where(variance > 0, FAR, GRID[0]))
    line = moments.line(q)
    slope = jax.jvp(following, (q,), (jnp.ones_like(q),))[1]
    variance = jnp.where(jnp.abs(slope) > 1 + 1e-6, jnp.where(inside, jnp.nan, variance), variance)
    growth = weight * line.slope
    excess, pair = _fixed_excess(moments, weight, jnp.where(inside, q, 1.0))
    decay = jnp.where(inside, weight * pair.slope, 1.0)
    stays = (excess == 0) & (weight * (line.square - jnp.square(line.mean)) >= q * (1 - SAME))
    is_vague = ROUNDING * excess > RESOLVED * jnp.abs(1 - decay)
    return SignalLimit(
        variance,
        jnp.where(inside & ~stays & ~is_vague, 1 - excess, jnp.nan),
        growth,
        _depth(jnp.abs(slope)),
        _depth(jnp.abs(decay)),
        jnp.where(growth > 1, _depth(1 / jnp.maximum(growth, 1.0)), _depth(jnp.minimum(growth, 1.0))),
        jnp.maximum(line.error, pair.error),
    )


def _depth(factor: Array) -> Array:
    """Return in how many steps a quantity falls by e that is multiplied by `factor` at each."""
    is_kept, is_lost = factor >= 1, factor <= 0
    inner = jnp.log(jnp.where(is_kept | is_lost, 0.5, factor))
    return jnp.where(is_kept, jnp.inf, jnp.where(is_lost, 0.0, -1 / inner))


def _fixed_variance(following: Callable[[Array], Array], start: Array) -> Array:
    """Return where q ← following(q) ends: the first fixed point on the side to which the first step goes."""
    grid = jnp.asarray(GRID, start.dtype)
    held = jax.lax.stop_gradient(start)
    images = jax.lax.stop_gradient(jax.vmap(following)(grid))
    step = jax.lax.stop_gradient(following(held)) - held
    goes_up, stays = step > 0, jnp.abs(step) <= STILL * held
    dip, has_dip = _dip(following, images, held, goes_up)
    top = jnp.min(jnp.where((grid > held) & (images < grid), grid, jnp.inf))
    bottom = jnp.max(jnp.where((grid < held) & (images > grid * (1 + STILL)), grid, 0.0))
    top = jnp.where(has_dip, jnp.minimum(dip, top), top)
    bottom = jnp.where(has_dip, jnp.maximum(dip, bottom), bottom)
    low = jnp.where(goes_up, jnp.maximum(held, top / SPACING), bottom)
    high = jnp.where(goes_up, top, jnp.minimum(held, bottom * SPACING))
    exists = (low > 0) & (high < jnp.inf) & ~stays
    ends = jnp.log(jnp.where(exists, low, 1.0)), jnp.log(jnp.where(exists, high, 1.0))
    found = bisect(lambda x: following(jnp.exp(x)) < jnp.exp(x), jax.lax.stop_gradient(ends), num_steps=NUM_BISECTIONS)
    root = jax.lax.stop_gradient(jnp.exp(found))
    for _ in range(NUM_POLISHES):
        root = newton_step(lambda q: q - following(q), root)
    return jnp.where(stays, start, jnp.where(exists, root, jnp.where(goes_up, jnp.inf, 0.0)))


def _dip(following: Callable[[Array], Array], images: Array, held: Array, goes_up: Array) -> tuple[Array, Array]:
    """Return a q beyond `held` that following(q) has passed though it has not at the grid points beside q, if any.

    There two fixed points lie between grid points. It is looked for at the first lowest point of the gap on the grid.
    """
    points, start, side = jnp.log(jnp.asarray(GRID, held.dtype)), jnp.log(held), jnp.where(goes_up, 1.0, -1.0)

    def gap(x: Array) -> Array:
        return jax.lax.stop_gradient(side * (jnp.log(following(jnp.exp(x))) - x))

    def rises(x: Array) -> Array:
        before, after = jax.vmap(gap)(jnp.stack([x - DIP_STEP, x + DIP_STEP]))
        return after > before

    gaps = side * (jnp.log(images) - points)
    inner = gaps[1:-1]
    is_low = (side * (points[1:-1] - start) > 0) & (inner > 0) & (inner < gaps[:-2]) & (inner < gaps[2:])
    lowest = side * jnp.min(jnp.where(is_low, side * points[1:-1], jnp.inf))
    middle, width = jnp.where(jnp.isfinite(lowest), lowest, 0.0), np.log(SPACING)
    found = bisect(rises, (middle - width, middle + width), num_steps=NUM_DIP_STEPS)
    return jnp.exp(found), jnp.isfinite(lowest) & (gap(found) < 0) & (side * (found - start) > 0)


def _fixed_excess(moments: ActivationMoments, weight: Array, q: Array) -> tuple[Array, Pair]:
    """Return e* = 1 − c* and the moments there; zero where χ₁ ≤ 1."""

    def newton(found: Pair, e: Array) -> Array:
        slope = jax.lax.stop_gradient(weight * found.slope - 1)
        return e - (weight * found.excess / q - e) / jnp.where(slope == 0, 1.0, slope)

    def goes_on(state: tuple[Array, Array, Array]) -> Array:
        e, before, count = state
        return (jnp.abs(e - before) > CLOSE * jnp.abs(e)) & (count < MOST_STEPS)

    def search(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        e = state[0]
        return jax.lax.stop_gradient(newton(moments.rough(q, e), e)), e, state[2] + 1

    def polish(state: tuple[Array, Pair], _: None) -> tuple[tuple[Array, Pair], None]:
        e = jnp.where(is_chaotic, newton(state[1], state[0]), 0.0)
        return (e, moments.pair(q, e)), None

    is_chaotic = jax.lax.stop_gradient(weight * moments.line(q).slope) > 1 + STILL
    first = jnp.where(is_chaotic, 1.0, 0.0) + 0 * q
    begin = jax.lax.stop_gradient((first, jnp.where(is_chaotic, 2.0, 0.0) + 0 * q, 0.0 * q))
    e = jax.lax.stop_gradient(jax.lax.while_loop(goes_on, search, begin)[0])
    still = jax.lax.stop_gradient(Pair(q * e / jnp.where(weight > 0, weight, 1.0), 0 * q, 0 * q))  # a step of zero
    return jax.lax.scan(polish, (e, still), length=3)[0]

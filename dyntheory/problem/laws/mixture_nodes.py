"""A mixture of Gaussians on nodes: quantiles with their derivatives, and what a node's weight owes to probabilities.

A node at the level u has the value q(u). Where a parameter of a component moves, the node moves with the velocity of
the density, Σ_k r_k(q) (ṁ_k + (q − m_k)/s_k ṡ_k), r_k the probability that q came from component k: the law on the
nodes then changes as it must, with point masses and gaps as without. Where a probability changes, mass jumps from
component to component and no node can follow; its weight does, by the ratio of the densities at q.

    E g = Σ_i ω_i (f_p(q_i)/f(q_i)) g(q_i),        f_p/f = Σ_k p_k φ_k(q) / Σ_k p⁰_k φ_k(q) = 1 in value

Reference: `glasserman2004monte`, section 7.3, for likelihood ratios.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from dyntheory.ground.arrays import Array
from dyntheory.ground.derivatives import DIFFERENCES
from dyntheory.ground.root_finding import narrow

NUM_BISECTIONS = 64


def mixture_cdf(probabilities: Array, means: Array, stds: Array, value: Array) -> Array:
    """Return P(w ≤ value), entry by entry; components (K,)."""
    p, m, s = (_aligned(field, value) for field in (probabilities, means, stds))
    distance = value[..., None] - m
    smooth = jax.scipy.special.ndtr(distance / jnp.where(s > 0, s, 1.0))
    return jnp.sum(p * jnp.where(s > 0, smooth, (distance >= 0).astype(smooth.dtype)), axis=-1)


def relative_densities(probabilities: Array, means: Array, stds: Array, value: Array) -> Array:
    """Return φ_k at a value, (…, K), up to a factor that all share; at a point mass, which components sit there.

    A component of probability zero counts as zero.
    """
    p, m, s = (_aligned(field, value) for field in (probabilities, means, stds))
    distance, is_spread = value[..., None] - m, s > 0
    safe = jnp.where(is_spread, s, 1.0)
    height = jnp.where(is_spread & (p > 0), -0.5 * jnp.square(distance / safe) - jnp.log(safe), -jnp.inf)
    largest = jax.lax.stop_gradient(jnp.max(height, axis=-1, keepdims=True))
    spread = jnp.where(jnp.isfinite(height), jnp.exp(height - jnp.where(jnp.isfinite(largest), largest, 0.0)), 0.0)
    at_point = jnp.where(~is_spread & (distance == 0) & (p > 0), 1.0, 0.0)
    return jnp.where(jnp.any(at_point > 0, axis=-1, keepdims=True), at_point, spread)


def responsibilities(probabilities: Array, means: Array, stds: Array, value: Array) -> Array:
    """Return r_k, (…, K): the probability that a value came from each component."""
    joint = _aligned(probabilities, value) * relative_densities(probabilities, means, stds, value)
    return joint / _or_one(jnp.sum(joint, axis=-1, keepdims=True))


@jax.custom_jvp
def mixture_quantile(probabilities: Array, means: Array, stds: Array, levels: Array) -> Array:
    """Return the smallest w with P(≤ w) ≥ level, entry by entry; values of point masses come out exactly.

    Raises:
        ValueError: when differentiated in the probabilities: mass moves from component to component, see `mass_ratio`.
    """
    return _search(probabilities, means, stds, levels)


@jax.jit
def _search(p: Array, m: Array, s: Array, levels: Array) -> Array:
    reach = jnp.max(jnp.abs(m) + 40 * s)
    ends = jnp.full_like(levels, -reach), jnp.full_like(levels, reach)
    found = narrow(lambda w: mixture_cdf(p, m, s, w) >= levels, ends, num_steps=NUM_BISECTIONS)[1]

    def snap(k: Any, found: Array) -> Array:
        above = mixture_cdf(p, m, s, m[k])
        jump = jnp.sum(jnp.where((s == 0) & (m == m[k]), p, 0.0))
        return jnp.where((levels <= above) & (levels > above - jump), m[k], found)

    return jax.lax.fori_loop(0, len(m), snap, found)


def _moving(primals: tuple[Array, ...], tangents: tuple[Any, ...]) -> tuple[Array, Any]:
    """Return the quantiles and their velocity."""
    p, m, s, levels = primals
    if not isinstance(tangents[0], SymbolicZero):
        raise ValueError(
            "The quantiles of a mixture cannot be differentiated in its `probabilities`: mass moves from component to "
            f"component, and no node with it. Hold them fixed; {DIFFERENCES}"
        )
    value = mixture_quantile(p, m, s, levels)
    share = responsibilities(p, m, s, value)
    scale = _aligned(s, value)
    steepness = jnp.where(scale > 0, (value[..., None] - _aligned(m, value)) / jnp.where(scale > 0, scale, 1.0), 0.0)
    velocity = jnp.zeros_like(value)
    for moved, factor in ((tangents[1], share), (tangents[2], share * steepness)):
        if not isinstance(moved, SymbolicZero):
            velocity = velocity + jnp.sum(factor * _aligned(moved, value), axis=-1)
    if not isinstance(tangents[3], SymbolicZero):
        velocity = velocity + tangents[3] * _slope(p, m, s, value)
    return value, velocity


mixture_quantile.defjvp(_moving, symbolic_zeros=True)


def _slope(p: Array, m: Array, s: Array, value: Array) -> Array:
    """Return dq/du = 1/f(q), zero at a point mass."""
    scale = _aligned(s, value)
    normal = jax.scipy.stats.norm.pdf(value[..., None], _aligned(m, value), jnp.where(scale > 0, scale, 1.0))
    density = jnp.sum(jnp.where(scale > 0, _aligned(p, value) * normal, 0.0), axis=-1)
    is_point = jnp.any((scale == 0) & (value[..., None] == _aligned(m, value)) & (_aligned(p, value) > 0), axis=-1)
    is_smooth = ~is_point & (density > 0)
    return jnp.where(is_smooth, 1.0 / jnp.where(is_smooth, density, 1.0), 0.0)


def mass_ratio(probabilities: Array, means: Array, stds: Array, value: Array) -> Array:
    """Return f_p/f at values, one for each: exactly 1, with derivatives in the probabilities.

    No node stands for a component of probability zero, so the derivative in one that is zero is NaN.
    """
    densities = relative_densities(jax.lax.stop_gradient(probabilities), means, stds, value)
    moving = jnp.sum(_aligned(_of_positive(probabilities), value) * densities, axis=-1)
    fixed = jnp.sum(_aligned(jax.lax.stop_gradient(probabilities), value) * densities, axis=-1)
    return jnp.where(fixed > 0, moving, 1.0) / _or_one(fixed)


@jax.custom_jvp
def _of_positive(probabilities: Array) -> Array:
    return probabilities


@_of_positive.defjvp
def _nan_at_zero(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (p,), (moved,) = primals, tangents
    return p, moved * jnp.where(p > 0, 1.0, jnp.nan)


def _or_one(total: Array) -> Array:
    """Return a total, one where nothing was found: at a level that rounding leaves between point masses."""
    return jnp.where(total > 0, total, 1.0)


def _aligned(field: Array, value: Array) -> Array:
    """Return components (K,) along a last axis of their own."""
    return field.reshape((1,) * jnp.ndim(value) + (-1,))

"""Moments of an activation behind or before a normalisation over the units of a layer, and along a batch.

Over N → ∞ units preactivations have mean zero and variance q, activations mean E φ and variance Var φ. Dividing by √q
before φ, or by the standard deviation after it, turns moments at q into others; of the gradient a normalisation
removes two directions out of N and divides the rest.

Reference: `ba2016layer`; `yang2019mean` for batches.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.closed_forms.activation_moments import ActivationMoments, Line, Pair, moments_of
from dyntheory.closed_forms.evaluation import ratio_or
from dyntheory.ground.arrays import Array
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.precision import double_precision, to_numpy
from dyntheory.problem.networks.activations import Activation, resolve_activation

NORMALIZATIONS = ("none", "before", "after")
RESOLVED = 1e-7


def normalized(moments: ActivationMoments, normalization: str) -> ActivationMoments:
    """Return the moments with layer normalisation "before" or "after" the activation, or "none"."""
    if normalization == "none":
        return moments
    return _before(moments) if normalization == "before" else _after(moments)


def _before(moments: ActivationMoments) -> ActivationMoments:
    """φ(h/√q), whose derivative in h is φ′/√q."""

    def line(q: Array) -> Line:
        found = moments.line(jnp.ones_like(q))
        return found._replace(slope=ratio_or(found.slope, q, jnp.inf))

    def paired(pair: Callable[[Array, Array], Pair]) -> Callable[[Array, Array], Pair]:
        def of(q: Array, e: Array) -> Pair:
            found = pair(jnp.ones_like(q), e)
            return found._replace(slope=ratio_or(found.slope, q, jnp.inf))

        return of

    return ActivationMoments(
        lambda q: moments.square(jnp.ones_like(q)), line, paired(moments.pair), paired(moments.rough)
    )


def _after(moments: ActivationMoments) -> ActivationMoments:
    """(φ(h) − E φ)/√Var φ; the variance is the excess of two independent inputs, which does not cancel."""

    def line(q: Array) -> Line:
        found, spread = moments.line(q), moments.pair(q, jnp.ones_like(q))
        slope = ratio_or(found.slope, spread.excess, jnp.inf)
        return Line(0 * q, jnp.ones_like(q), slope, jnp.maximum(found.error, spread.error))

    def paired(pair: Callable[[Array, Array], Pair]) -> Callable[[Array, Array], Pair]:
        def of(q: Array, e: Array) -> Pair:
            found, spread = pair(q, e), pair(q, jnp.ones_like(q)).excess
            return Pair(ratio_or(found.excess, spread, jnp.nan), ratio_or(found.slope, spread, jnp.inf), found.error)

        return of

    return ActivationMoments(jnp.ones_like, line, paired(moments.pair), paired(moments.rough))


def batch_norm_growth(activation: str | Callable[[Array], Array] | Activation) -> Any:
    """Return the growth of the squared gradient per layer of a deep network with batch normalisation before φ.

    In a batch of B → ∞ inputs that all have one correlation, subtracting the mean removes what they share and dividing
    leaves independent standard normals: E φ′(Z)² / Var φ(Z), whatever σ_w, σ_b and the correlation are. It is one for
    linear activations and above one for all others (Poincaré's inequality): gradients explode with depth.

    Scaling:
        Growth per layer of the squared norm, at the start of training, N ≫ 1 units, B ≫ 1; at B inputs it differs by
        O(1/B) per layer.

    Args:
        activation: a name, or a scalar function written in JAX that bends at zero only.

    Raises:
        ValueError: a function with jumps, with kinks elsewhere, or a constant.

    Example:
        >>> round(float(batch_norm_growth("relu")), 12)  # π/(π − 1)
        1.466942206924

    Reference: `yang2019mean`.
    """
    check_arguments(batch_norm_growth, locals())
    found = resolve_activation(activation)
    with jax.ensure_compile_time_eval(), double_precision():
        growth, error = to_numpy(_growth(found))
    check_resolved(found, error)
    if not np.isfinite(growth):
        raise ValueError(f"`activation` must not be constant: the variance of {found.name!r} is zero.")
    return growth


@functools.partial(jax.jit, static_argnums=0)
def _growth(activation: Activation) -> tuple[Array, Array]:
    line = normalized(moments_of(activation), "after").line(jnp.ones(()))
    return line.slope, line.error


def check_resolved(activation: Activation, error: Any) -> None:
    """Require moments on which two rules agree."""
    worst = float(np.max(error, initial=0.0))
    if np.isnan(worst):
        raise ValueError(
            f"`activation` {activation.name!r} has Gaussian moments that overflow at the variances that are reached: "
            "lower `weight_variance`, or take fewer layers."
        )
    if not worst <= RESOLVED:
        raise ValueError(
            f"`activation` {activation.name!r} is not resolved: its Gaussian moments are uncertain by "
            f"{worst:.1e}. It must be continuous, bend at zero only, not oscillate within a preactivation, and not "
            "grow so fast that preactivations beyond nine standard deviations count."
        )

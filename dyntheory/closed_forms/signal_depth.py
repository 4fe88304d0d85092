"""Signals and gradients in random networks layer by layer: variance, correlation of two inputs, squared gradient.

    h^{l+1} = a h^l + √s (W φ(h^l) + b),    q ← a² q + s (σ_w² E φ² + σ_b²),    χ = a² + s σ_w² E φ′²,

with a = 0, s = 1 a plain layer, with a = 1 a residual block: at s = 1/L the depth L costs a constant factor, for ReLU
(1 + σ_w²/(2L))^L, at s = 1 it explodes. e = 1 − c is carried along, which does not round beside one.

Reference: `schoenholz2017deep`; `yang2017residual`; `hayou2021stable`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.closed_forms.activation_moments import moments_of
from dyntheory.closed_forms.evaluation import evaluate, ratio_or
from dyntheory.closed_forms.normalized_moments import NORMALIZATIONS, check_resolved, normalized
from dyntheory.ground.arrays import Array, ArrayLike
from dyntheory.ground.checks import check_count, check_finite, check_nonnegative, check_positive, is_concrete
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.names import check_name
from dyntheory.problem.networks.activations import Activation, resolve_activation


class SignalLayers(NamedTuple):
    """Signals from the first to the last layer, l = 0 … L along the last axis.

    Args:
        variance: q^l, of a preactivation.
        correlation: c^l, of two inputs.
        excess: 1 − c^l, not rounded beside one.
        log_gradient: log of the growth of a squared derivative from h^0 to h^l; what comes back from L to l is that of
            L less that of l.
        error: largest relative disagreement of two rules for the moments over the layers.
    """

    variance: Any
    correlation: Any
    excess: Any
    log_gradient: Any
    error: Any


def signal_layers(
    activation: str | Callable[[Array], Array] | Activation,
    weight_variance: ArrayLike,
    bias_variance: ArrayLike = 0.0,
    *,
    num_layers: int,
    variance: ArrayLike = 1.0,
    correlation: ArrayLike = 0.0,
    skip: ArrayLike = 0.0,
    branch_variance: ArrayLike = 1.0,
    normalization: str = "none",
) -> SignalLayers:
    """Return variance, correlation and gradient at every layer of a random network.

    Scaling:
        Weights have variance σ_w²/N, N → ∞ at a fixed number of layers; corrections are O(L/N).

    Args:
        activation: a name, or a scalar function written in JAX, continuous, that bends at zero only.
        weight_variance: σ_w², zero or positive.
        bias_variance: σ_b², zero or positive.
        num_layers: L.
        variance: q⁰, positive, of both inputs.
        correlation: c⁰, from −1 to 1.
        skip: a, of the path around the layer; 0 for none, 1 for a residual block.
        branch_variance: s, by which the variance of the branch is multiplied.
        normalization: layer normalisation of the branch "before" or "after" φ, or "none".

    Returns:
        The layers, in the shape to which the numbers broadcast, and L + 1 behind it.

    Raises:
        ValueError: a number outside its range, or an activation that is not resolved (`error` where traced).

    Example:
        >>> relu = signal_layers("relu", 2.0, num_layers=40, skip=1.0, branch_variance=1 / 40)
        >>> round(float(relu.variance[-1]), 6)  # (1 + 1/40)^40
        2.685064

    Reference: `schoenholz2017deep`; `yang2017residual`; `hayou2021stable`.
    """
    check_arguments(signal_layers, locals())
    num_layers = check_count("num_layers", num_layers)
    check_nonnegative("weight_variance", weight_variance)
    check_nonnegative("bias_variance", bias_variance)
    check_positive("variance", variance)
    check_finite("correlation", correlation)
    if is_concrete(correlation) and np.max(np.abs(np.asarray(correlation, float))) > 1:
        raise ValueError(f"`correlation` must be from -1 to 1, got {correlation!r}.")
    check_finite("skip", skip)
    check_nonnegative("branch_variance", branch_variance)
    kind = check_name("normalization", normalization, NORMALIZATIONS)
    found = resolve_activation(activation)
    formula = functools.partial(_all_layers, found, kind, num_layers)
    layers = evaluate(formula, weight_variance, bias_variance, variance, correlation, skip, branch_variance)
    if is_concrete(layers.error):
        check_resolved(found, layers.error)
    return layers


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _all_layers(activation: Activation, normalization: str, num_layers: int, *arrays: Array) -> SignalLayers:
    moments = normalized(moments_of(activation), normalization)

    def through(numbers: tuple[Array, ...]) -> SignalLayers:
        weight, bias, variance, correlation, skip, scale = numbers

        def layer(state: tuple[Array, ...], _: None) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
            q, e, gradient, error = state
            line, pair = moments.line(q), moments.pair(q, e)
            kept = jnp.square(skip)
            carried = jnp.where(kept > 0, kept * q, 0.0)  # also where q has become infinite
            after = carried + scale * (weight * line.square + bias)
            apart = ratio_or(carried * e + scale * weight * pair.excess, after, jnp.nan)
            growth = jnp.log(kept + scale * weight * line.slope)
            new = after, apart, gradient + growth, jnp.maximum(error, jnp.maximum(line.error, pair.error))
            return new, new[:3]

        first = variance, 1 - correlation, 0 * variance, 0 * variance
        last, later = jax.lax.scan(layer, first, length=num_layers)
        q, e, gradient = (jnp.concatenate([a[None], b]) for a, b in zip(first[:3], later, strict=True))
        return SignalLayers(q, 1 - e, e, gradient, last[3])

    found = jax.lax.map(through, tuple(one.reshape(-1) for one in arrays))
    return SignalLayers(*(one.reshape(arrays[0].shape + one.shape[1:]) for one in found))

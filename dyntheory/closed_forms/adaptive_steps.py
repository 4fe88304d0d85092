"""Two facts about Adam in closed form: where a cycle of gradients takes it, and what its weight decay minimises.

Under gradients that repeat with a period p, moving averages repeat too:

    m_i = (1 − β₁)/(1 − β₁^p) Σ_{k<p} β₁^k g_{i−k},    v_i the same with β₂ and g²,    step −η m_i/√v_i.

Σ m_i = Σ g_i, but each is divided by its own √v_i: rare large gradients count less, and the sum may change its sign.
AMSGrad divides all by the largest.

Reference: `reddi2018convergence`; `loshchilov2019decoupled`.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.closed_forms.evaluation import evaluate, over_leading_axes, ratio_or
from dyntheory.ground.arrays import Array, ArrayLike
from dyntheory.ground.checks import check_finite, check_nonnegative, check_positive, is_concrete
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.root_finding import bisect, newton_step

NUM_BISECTIONS, NUM_POLISHES = 60, 2


def adam_drift(
    gradients: ArrayLike,
    *,
    first_decay: ArrayLike = 0.9,
    second_decay: ArrayLike = 0.999,
    amsgrad: bool = False,
) -> Any:
    """Return the mean step of Adam, in learning rates, under gradients that repeat.

    Gradient descent moves by −mean(g). With gradients (C, −1, −1), C > 2, β₁ = 0 and β₂ = 1/(1 + C²) Adam moves the
    other way, towards larger losses; AMSGrad does not.

    Scaling:
        Per step, after the averages have forgotten their start, at ε = 0 and a learning rate that changes slowly.

    Args:
        gradients: one period, (..., p).
        first_decay: β₁, from 0 to below 1.
        second_decay: β₂, from 0 to below 1.
        amsgrad: whether all are divided by the largest √v, as without bias correction.

    Returns:
        The drift; the decays broadcast against the leading axes of `gradients`. Infinite or NaN where a step divides
        by zero: gradients that vanish at β₂ = 0 < β₁.

    Raises:
        ValueError: a number outside its range.

    Example:
        >>> cycle = [3.0, -1.0, -1.0]
        >>> bool(adam_drift(cycle, first_decay=0.0, second_decay=0.1) > 0)
        True
        >>> bool(adam_drift(cycle, first_decay=0.0, second_decay=0.1, amsgrad=True) < 0)
        True

    Reference: `reddi2018convergence`, theorem 1.
    """
    check_arguments(adam_drift, locals())
    check_finite("gradients", gradients)
    if is_concrete(gradients) and np.ndim(gradients) == 0:
        raise ValueError(f"`gradients` must have an axis, one period along it, got {gradients!r}.")
    for name, value in (("first_decay", first_decay), ("second_decay", second_decay)):
        check_nonnegative(name, value)
        if is_concrete(value) and np.max(np.asarray(value, float)) >= 1:
            raise ValueError(f"`{name}` must be below 1, got {value!r}.")
    formula = functools.partial(_drifts, bool(amsgrad))
    return evaluate(formula, gradients, first_decay, second_decay, broadcast=False)


@functools.partial(jax.jit, static_argnums=0)
def _drifts(amsgrad: bool, gradients: Array, first: Array, second: Array) -> Array:
    def drift(cycle: Array, beta1: Array, beta2: Array) -> Array:
        size = jax.lax.stop_gradient(jnp.max(jnp.abs(cycle)))  # the drift has no scale, squares do
        scaled = ratio_or(cycle, size, 0.0)
        mean, square = _averages(scaled, beta1), _averages(jnp.square(scaled), beta2)
        square = jnp.max(square) * jnp.ones_like(square) if amsgrad else square
        moves = square > 0
        halted = jnp.where(mean == 0, 0.0, jnp.inf * jnp.sign(mean))
        return -jnp.mean(jnp.where(moves, mean / jnp.sqrt(jnp.where(moves, square, 1.0)), halted))

    return over_leading_axes(drift, "(p),(),()->()")(gradients, first, second)


def _averages(cycle: Array, decay: Array) -> Array:
    """Return Σ_{k<p} β^k g_{i−k}, normalised: the one at the end of a period begins the next."""
    weights = decay ** jnp.arange(cycle.shape[0])

    def step(mean: Array, gradient: Array) -> tuple[Array, Array]:
        mean = decay * mean + (1 - decay) * gradient
        return mean, mean

    return jax.lax.scan(step, jnp.sum(weights * cycle[::-1]) / jnp.sum(weights), cycle)[1]


def decayed_minimum(
    curvature: ArrayLike,
    minimum: ArrayLike,
    penalty: ArrayLike,
    *,
    noise_std: ArrayLike = 1.0,
    decoupled: bool = True,
) -> Any:
    """Return where Adam with weight decay ends on ½ h (w − w*)² with noise of variance s² in the gradient.

    An L2 penalty in the gradient is divided by √v with the rest: w = h w*/(h + λ), whatever the noise, as for ridge.
    Decoupled decay (AdamW) is not, h (w − w*)/√(s² + h² (w − w*)²) + λ w = 0: the more a weight's gradient scatters the
    more it shrinks, about h w*/(h + λ s), and without noise |w| is kept below 1/λ.

    Scaling:
        The limit of small learning rates with slow averages, β₂ → 1: v = E g².

    Args:
        curvature: h, positive.
        minimum: w*, of the loss without decay.
        penalty: λ, zero or positive: `weight_decay` of optax.adamw, or λ/2 w² in the loss.
        noise_std: s, zero or positive.
        decoupled: AdamW, otherwise L2 in the gradient of Adam.

    Returns:
        The mean weight, in the shape to which the numbers broadcast.

    Raises:
        ValueError: a number outside its range.

    Example:
        >>> [round(float(decayed_minimum(1.0, 1.0, 0.5, noise_std=10.0, decoupled=one)), 4) for one in (False, True)]
        [0.6667, 0.1662]

    Reference: `loshchilov2019decoupled`; `xie2024implicit` for the constraint without noise; the rest derived here.
    """
    check_arguments(decayed_minimum, locals())
    check_positive("curvature", curvature)
    check_finite("minimum", minimum)
    check_nonnegative("penalty", penalty)
    check_nonnegative("noise_std", noise_std)
    return evaluate(functools.partial(_minima, bool(decoupled)), curvature, minimum, penalty, noise_std)


@functools.partial(jax.jit, static_argnums=0)
def _minima(decoupled: bool, curvature: Array, minimum: Array, penalty: Array, noise: Array) -> Array:
    if not decoupled:
        return curvature * minimum / (curvature + penalty)
    sign, is_quiet, held = jnp.where(minimum < 0, -1.0, 1.0), noise == 0, jax.lax.stop_gradient
    size, safe = sign * minimum, jnp.where(is_quiet, 1.0, noise)

    def pull(w: Array) -> Array:
        off = curvature * (w - size)
        scale = held(jnp.maximum(safe, jnp.abs(off)))  # squares neither overflow nor vanish
        return off / scale / jnp.sqrt(jnp.square(safe / scale) + jnp.square(off / scale)) + penalty * w

    # √v lies between s and s + h|w*|, and its part of the pull below one.
    low, high = (curvature * size / (curvature + penalty * one) for one in (safe + curvature * size, safe))
    bound = 1 / jnp.where(penalty > 0, penalty, 1.0)
    high = jnp.where((penalty > 0) & (high > bound), bound, high)
    found = held(bisect(lambda w: held(pull(w)) >= 0, held((low, high)), num_steps=NUM_BISECTIONS))
    for _ in range(NUM_POLISHES):  # the pull is convex: a step ends above the root, by much where it is steep
        found = newton_step(pull, found)
        found = jnp.where(found > high, high, found)
    quiet = jnp.where(penalty > 0, jnp.minimum(size, bound), size)
    return sign * jnp.where(is_quiet, quiet, found)

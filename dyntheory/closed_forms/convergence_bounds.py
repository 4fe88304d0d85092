"""What is proved of gradient descent on any smooth function, with its constants: the lines above exact curves.

f has gradients that are L-Lipschitz and, where it says so, is μ-strongly convex or convex; a stochastic gradient has
the variance E‖g − ∇f‖² = σ², and η ≤ 1/L. Δ = f(x_0) − f*, D = ‖x_0 − x*‖; all those of descent follow from
E f(x − ηg) ≤ f(x) − (η/2)‖∇f‖² + Lη²σ²/2.

Reference: `bottou2018optimization`; `nesterov2004introductory`; `beck2009fast`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.closed_forms.evaluation import check_shapes, evaluate
from dyntheory.ground.arrays import Array, ArrayLike
from dyntheory.ground.checks import check_nonnegative, check_positive, is_concrete
from dyntheory.ground.kinds import check_arguments


class DescentBounds(NamedTuple):
    """Upper bounds after t steps, arrays of one shape.

    Args:
        strongly_convex: of E f(x_t) − f*; NaN without strong convexity.
        convex: of E f(x̄) − f*, x̄ the mean of x_1 … x_t; without noise of f(x_t) − f* too.
        stationary: of the mean of E‖∇f(x_s)‖² over s < t, convex or not.
    """

    strongly_convex: Any
    convex: Any
    stationary: Any


class AcceleratedBounds(NamedTuple):
    """Upper bounds of f(x_t) − f* for Nesterov's methods at η = 1/L, without noise.

    Args:
        strongly_convex: momentum (√κ − 1)/(√κ + 1), κ = L/μ; NaN without strong convexity.
        convex: the growing momentum of FISTA.
    """

    strongly_convex: Any
    convex: Any


def descent_bounds(
    steps: ArrayLike,
    learning_rate: ArrayLike,
    *,
    smoothness: ArrayLike = 1.0,
    strong_convexity: ArrayLike = 0.0,
    gap: ArrayLike = 1.0,
    distance: ArrayLike = 1.0,
    noise_std: ArrayLike = 0.0,
) -> DescentBounds:
    """Return what is guaranteed of (stochastic) gradient descent at a constant learning rate.

    strongly convex: (1 − ημ)^t (Δ − F) + F, F = ηLσ²/(2μ);  convex: D²/(2ηt) + ησ²(1 + ηL)/2;
    stationary: 2Δ/(ηt) + ηLσ².

    Args:
        steps: t, positive.
        learning_rate: η, positive, at most 1/L.
        smoothness: L, positive.
        strong_convexity: μ, from 0 to L.
        gap: Δ, zero or positive.
        distance: D, zero or positive.
        noise_std: σ, root of the total variance of a gradient.

    Raises:
        ValueError: a number outside its range: nothing is guaranteed for η > 1/L here.

    Example:
        >>> bounds = descent_bounds(10, 1.0, strong_convexity=0.1)
        >>> round(float(bounds.strongly_convex), 4), float(bounds.convex)
        (0.3487, 0.05)

    Reference: `bottou2018optimization`, theorems 4.6, 4.8; the convex one is in `docs/optimisation_rates.md`.
    """
    check_arguments(descent_bounds, locals())
    check_positive("steps", steps)
    check_positive("learning_rate", learning_rate)
    check_shapes(learning_rate, smoothness)
    _check(smoothness, strong_convexity, gap, distance)
    check_nonnegative("noise_std", noise_std)
    known = is_concrete(learning_rate) and is_concrete(smoothness)
    if known and np.any(np.asarray(learning_rate, float) * np.asarray(smoothness, float) > 1 + 1e-12):
        raise ValueError(f"`learning_rate` must be at most 1/smoothness for these bounds, got {learning_rate!r}.")
    return evaluate(_bounds, steps, learning_rate, smoothness, strong_convexity, gap, distance, noise_std)


def accelerated_bounds(
    steps: ArrayLike,
    *,
    smoothness: ArrayLike = 1.0,
    strong_convexity: ArrayLike = 0.0,
    gap: ArrayLike = 1.0,
    distance: ArrayLike = 1.0,
) -> AcceleratedBounds:
    """Return what is guaranteed of Nesterov's accelerated methods at η = 1/L.

    strongly convex: (1 − 1/√κ)^t (Δ + μD²/2);  convex: 2LD²/(t + 1)².

    Args:
        steps: t, positive.
        smoothness: L, positive.
        strong_convexity: μ, from 0 to L.
        gap: Δ, zero or positive.
        distance: D, zero or positive.

    Raises:
        ValueError: a number outside its range.

    Example:
        >>> float(accelerated_bounds(9).convex)
        0.02

    Reference: `nesterov2004introductory`, section 2.2; `beck2009fast`, theorem 4.4.
    """
    check_arguments(accelerated_bounds, locals())
    check_positive("steps", steps)
    _check(smoothness, strong_convexity, gap, distance)
    return evaluate(_accelerated, steps, smoothness, strong_convexity, gap, distance)


def _check(smoothness: ArrayLike, convexity: ArrayLike, gap: ArrayLike, distance: ArrayLike) -> None:
    check_positive("smoothness", smoothness)
    check_nonnegative("strong_convexity", convexity)
    check_nonnegative("gap", gap)
    check_nonnegative("distance", distance)
    check_shapes(smoothness, convexity)
    known = is_concrete(smoothness) and is_concrete(convexity)
    if known and np.any(np.asarray(convexity, float) > np.asarray(smoothness, float)):
        raise ValueError(f"`strong_convexity` must be at most `smoothness`, got {convexity!r}.")


@jax.jit
def _bounds(
    steps: Array, rate: Array, smoothness: Array, convexity: Array, gap: Array, distance: Array, noise: Array
) -> DescentBounds:
    power, has_one = jnp.square(noise), convexity > 0
    floor = rate * smoothness * power / (2 * jnp.where(has_one, convexity, 1.0))
    strong = jnp.exp(steps * jnp.log1p(-jnp.minimum(rate * convexity, 1.0))) * (gap - floor) + floor
    convex = jnp.square(distance) / (2 * rate * steps) + rate * power * (1 + rate * smoothness) / 2
    return DescentBounds(
        jnp.where(has_one, strong, jnp.nan), convex, 2 * gap / (rate * steps) + rate * smoothness * power
    )


@jax.jit
def _accelerated(steps: Array, smoothness: Array, convexity: Array, gap: Array, distance: Array) -> AcceleratedBounds:
    shrink = jnp.log1p(-jnp.sqrt(convexity / smoothness))
    strong = jnp.exp(steps * shrink) * (gap + convexity * jnp.square(distance) / 2)
    return AcceleratedBounds(
        jnp.where(convexity > 0, strong, jnp.nan), 2 * smoothness * jnp.square(distance) / jnp.square(steps + 1)
    )

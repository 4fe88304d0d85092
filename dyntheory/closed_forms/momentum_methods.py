"""Gradient descent, heavy ball and Nesterov's method on a quadratic: exact rates, curves and noise floors.

Along an eigenvector of curvature λ every one of them, with noise of variance σ² in the gradient, is

    x_{t+1} = a x_t − b x_{t−1} + η σ ξ_t,    heavy ball: a = 1 + β − ηλ, b = β,    Nesterov: a = (1 + β)(1 − ηλ),
    b = β (1 − ηλ),

with 1 + b − a = ηλ for both. The rate is the spectral radius of the companion matrix (a, −b; 1, 0).

Reference: `polyak1964methods`; `lessard2016analysis`.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.closed_forms.evaluation import check_shapes, evaluate
from dyntheory.ground.arrays import Array, ArrayLike
from dyntheory.ground.checks import check_finite, check_nonnegative, check_positive, is_concrete
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.names import check_name

METHODS = ("gradient_descent", "heavy_ball", "nesterov")
NUM_BITS = 40  # of a number of steps


class OptimalMomentum(NamedTuple):
    """Numbers of the fastest method of its kind, and the factor by which it shrinks the error per step."""

    learning_rate: Any
    momentum: Any
    rate: Any


def momentum_rate(
    curvature: ArrayLike, learning_rate: ArrayLike, *, momentum: ArrayLike = 0.0, nesterov: bool = False
) -> Any:
    """Return the factor by which the error along one eigenvector shrinks per step, in the long run.

    √b where the roots of z² − az + b are complex, (|a| + √(a² − 4b))/2 where they are real; the method converges on a
    quadratic when this is below one at its smallest and largest curvature.

    Args:
        curvature: λ, zero or positive.
        learning_rate: η, zero or positive.
        momentum: β, from 0 to below 1.
        nesterov: whether the gradient is taken at the point extrapolated by β.

    Returns:
        The spectral radius, in the shape to which the numbers broadcast.

    Raises:
        ValueError: a number outside its range.

    Example:
        >>> float(momentum_rate(1.0, 0.5)), float(momentum_rate(1.0, 0.5, momentum=0.25))
        (0.5, 0.5)

    Reference: `polyak1964methods`; `lessard2016analysis`.
    """
    check_arguments(momentum_rate, locals())
    _check(curvature, learning_rate, momentum)
    return evaluate(functools.partial(_rates, bool(nesterov)), curvature, learning_rate, momentum)


def optimal_momentum(smallest: ArrayLike, largest: ArrayLike, *, method: str = "heavy_ball") -> OptimalMomentum:
    """Return the numbers with which a method is fastest on all quadratics of curvatures μ to L.

    With κ = L/μ the rates are (κ − 1)/(κ + 1) for gradient descent, (√κ − 1)/(√κ + 1) for heavy ball, which no method
    of gradients beats, and 1 − 2/√(3κ + 1) for Nesterov's.

    Args:
        smallest: μ, positive.
        largest: L, at least μ.
        method: "gradient_descent", "heavy_ball" or "nesterov".

    Returns:
        Learning rate, momentum and rate, in the shape to which μ and L broadcast.

    Raises:
        ValueError: a number outside its range, or L < μ.

    Example:
        >>> round(float(optimal_momentum(1.0, 100.0).rate), 4)
        0.8182

    Reference: `lessard2016analysis`, table 1; `polyak1964methods`.
    """
    check_arguments(optimal_momentum, locals())
    name = check_name("method", method, METHODS)
    check_positive("smallest", smallest)
    check_positive("largest", largest)
    check_shapes(smallest, largest)
    if is_concrete(smallest) and is_concrete(largest) and np.any(np.asarray(largest) < np.asarray(smallest)):
        raise ValueError(f"`largest` must not be below `smallest`, got {largest!r} and {smallest!r}.")
    return evaluate(functools.partial(_optimal, name), smallest, largest)


def noise_floor(
    curvature: ArrayLike,
    learning_rate: ArrayLike,
    *,
    momentum: ArrayLike = 0.0,
    nesterov: bool = False,
    noise_std: ArrayLike = 1.0,
) -> Any:
    """Return E x² along one eigenvector at a constant learning rate, later on; infinite where it does not settle.

    η σ² (1 + b)/(λ (1 − b)(1 + a + b)), ησ²/(λ(2 − ηλ)) without momentum. The loss of a quadratic stays at
    ½ Σ λ E x², which is ≈ ησ²/(4(1 − β)) per direction, whatever its curvature. It settles where `momentum_rate` is
    below one, so not at ηλ = 0.

    Args:
        curvature: λ, zero or positive.
        learning_rate: η, zero or positive.
        momentum: β, from 0 to below 1.
        nesterov: as for `momentum_rate`.
        noise_std: σ of the gradient along this direction, independent from step to step.

    Raises:
        ValueError: a number outside its range.

    Example:
        >>> float(noise_floor(1.0, 0.5))
        0.3333333333333333

    Reference: `mandt2017stochastic` for small rates; exact here.
    """
    check_arguments(noise_floor, locals())
    _check(curvature, learning_rate, momentum)
    check_nonnegative("noise_std", noise_std)
    return evaluate(functools.partial(_floors, bool(nesterov)), curvature, learning_rate, momentum, noise_std)


def quadratic_descent(
    curvature: ArrayLike,
    learning_rate: ArrayLike,
    *,
    steps: ArrayLike | range,
    momentum: ArrayLike = 0.0,
    nesterov: bool = False,
    initial: ArrayLike = 1.0,
    noise_std: ArrayLike = 0.0,
) -> Any:
    """Return E x_t² along one eigenvector after t steps from x_0, at rest before.

    Exact at every t, convergent or not: (x_t, x_{t−1}) and its second moments are multiplied by one matrix per step,
    whose t-th power is taken by squaring. The loss of a quadratic is ½ Σ λ E x_t² over its eigenvectors.

    Args:
        curvature: λ, zero or positive.
        learning_rate: η, zero or positive.
        steps: t, integers, zero or positive.
        momentum: β, from 0 to below 1.
        nesterov: as for `momentum_rate`.
        initial: x_0, distance from the minimum.
        noise_std: σ, as for `noise_floor`.

    Returns:
        An array in the shape to which all numbers broadcast.

    Raises:
        ValueError: a number outside its range.
        TypeError: steps that are not integers.

    Example:
        >>> quadratic_descent(1.0, 0.5, steps=[0, 1, 2]).tolist()
        [1.0, 0.25, 0.0625]

    Reference: `polyak1964methods`.
    """
    check_arguments(quadratic_descent, locals())
    _check(curvature, learning_rate, momentum)
    check_finite("initial", initial)
    check_nonnegative("noise_std", noise_std)
    times = np.asarray(steps) if isinstance(steps, range) else steps
    check_nonnegative("steps", times)
    if is_concrete(times) and np.any(np.asarray(times, float) != np.round(np.asarray(times, float))):
        raise TypeError(f"`steps` must be integers, got {steps!r}.")
    if is_concrete(times) and np.max(np.asarray(times, float)) >= 2.0**NUM_BITS:
        raise ValueError(f"`steps` must be below 2^{NUM_BITS}, got {steps!r}: `noise_floor` is the limit.")
    formula = functools.partial(_moments, bool(nesterov))
    return evaluate(formula, curvature, learning_rate, times, momentum, initial, noise_std)


def _check(curvature: ArrayLike, learning_rate: ArrayLike, momentum: ArrayLike) -> None:
    check_nonnegative("curvature", curvature)
    check_nonnegative("learning_rate", learning_rate)
    check_nonnegative("momentum", momentum)
    if is_concrete(momentum) and np.max(np.asarray(momentum, float)) >= 1:
        raise ValueError(f"`momentum` must be below 1, got {momentum!r}.")


def _recursion(nesterov: bool, curvature: Array, rate: Array, momentum: Array) -> tuple[Array, Array, Array]:
    """Return a, b and a² − 4b as a product, which does not cancel where the roots meet."""
    moved = rate * curvature
    if nesterov:
        kept = 1 - moved
        return (
            (1 + momentum) * kept,
            momentum * kept,
            kept * (jnp.square(1 - momentum) - jnp.square(1 + momentum) * moved),
        )
    has_one = momentum > 0
    root = jnp.sqrt(jnp.where(has_one, momentum, 1.0))
    product = (jnp.square(1 - root) - moved) * (jnp.square(1 + root) - moved)
    # The root of zero has no derivative, the product has one.
    gap = jnp.where(has_one, product, jnp.square(1 - moved) - momentum * (2 + 2 * moved - momentum))
    return 1 + momentum - moved, momentum, gap


@functools.partial(jax.jit, static_argnums=0)
def _rates(nesterov: bool, curvature: Array, rate: Array, momentum: Array) -> Array:
    a, b, gap = _recursion(nesterov, curvature, rate, momentum)
    is_complex = gap < 0
    real = (jnp.abs(a) + jnp.where(gap > 0, jnp.sqrt(jnp.where(gap > 0, gap, 1.0)), 0.0)) / 2
    return jnp.where(is_complex, jnp.sqrt(jnp.where(is_complex, b, 1.0)), real)


@functools.partial(jax.jit, static_argnums=0)
def _optimal(method: str, smallest: Array, largest: Array) -> OptimalMomentum:
    if method == "gradient_descent":
        return OptimalMomentum(2 / (largest + smallest), 0 * largest, (largest - smallest) / (largest + smallest))
    root, other = jnp.sqrt(smallest), jnp.sqrt(largest)
    if method == "heavy_ball":
        shrink = (other - root) / (other + root)
        return OptimalMomentum(4 / jnp.square(other + root), jnp.square(shrink), shrink)
    steep = jnp.sqrt(3 * largest + smallest)
    return OptimalMomentum(4 / jnp.square(steep), (steep - 2 * root) / (steep + 2 * root), 1 - 2 * root / steep)


@functools.partial(jax.jit, static_argnums=0)
def _floors(nesterov: bool, curvature: Array, rate: Array, momentum: Array, noise: Array) -> Array:
    a, b, _ = _recursion(nesterov, curvature, rate, momentum)
    is_stable = (rate * curvature > 0) & (jnp.abs(b) < 1) & (1 + a + b > 0)
    below = jnp.where(is_stable, curvature * (1 - b) * (1 + a + b), 1.0)
    return jnp.where(is_stable, rate * jnp.square(noise) * (1 + b) / below, jnp.inf)


@functools.partial(jax.jit, static_argnums=0)
def _moments(nesterov: bool, *arrays: Array) -> Array:
    curvature, rate, steps, momentum, initial, noise = arrays
    a, b, _ = _recursion(nesterov, curvature, rate, momentum)
    # In (x, x − x₋), whose matrix does not cancel for slow directions.
    moved, fresh = rate * curvature, jnp.square(rate * noise)
    kept, one, none = 1 - moved, jnp.ones_like(a), jnp.zeros_like(a)
    of_noise = _matrix(
        [
            [kept * kept, 2 * kept * b, b * b, fresh],
            [-moved * kept, (kept - moved) * b, b * b, fresh],
            [moved * moved, -2 * moved * b, b * b, fresh],
            [none, none, none, one],
        ]
    )
    mean = _power_times(_matrix([[kept, b], [-moved, b]]), steps, jnp.stack([initial, none], axis=-1))
    spread = _power_times(of_noise, steps, jnp.stack([none, none, none, one], axis=-1))
    found = jnp.where(initial == 0, 0.0, jnp.square(mean)) + jnp.where(noise > 0, spread, 0.0)
    # Powers that overflow meet zeros; beside a method that diverges that is infinity, not nothing.
    return jnp.where(jnp.isnan(found) & (_rates(nesterov, curvature, rate, momentum) > 1), jnp.inf, found)


def _matrix(rows: list[list[Array]]) -> Array:
    return jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)


def _power_times(matrix: Array, steps: Array, vector: Array) -> Array:
    """Return the first entry of matrix^steps · vector, bit by bit."""

    def bit(state: tuple[Array, Array, Array], _: None) -> tuple[tuple[Array, Array, Array], None]:
        vector, power, left = state
        is_odd = (left % 2 == 1)[..., None]
        moved = jnp.sum(power * vector[..., None, :], axis=-1)
        # Not `@`: its transpose, outside of `evaluate`, warns about its precision.
        twice = jnp.sum(power[..., :, :, None] * power[..., None, :, :], axis=-2)
        return (jnp.where(is_odd, moved, vector), twice, jnp.floor(left / 2)), None

    return jax.lax.scan(bit, (vector, matrix, steps), length=NUM_BITS)[0][0][..., 0]

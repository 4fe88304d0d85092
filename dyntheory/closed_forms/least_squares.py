"""Ridgeless and ridge least squares on isotropic Gaussian features: double descent in closed form.

y = x·β + σξ with x ~ N(0, I_d), |β|² = `signal_power`, n samples, α = n/d, and the estimator that minimises
(1/n)‖y − Xb‖² + λ‖b‖² (λ → 0: the solution of minimum norm). With γ = 1/α let κ ≥ 0 solve κ = λ + γκ/(1 + κ), let
ρ = λ/κ and s = κ + ρ = √((1 − γ − λ)² + 4λ). Then, nothing being subtracted anywhere,

    bias = |β|² κ²/((1 + κ)s),    variance = σ² γ/((1 + κ)s),    train error = ρ² · test error.

Here ρ and κ are the two roots (s ± (1 − γ − λ))/2, so whichever is small follows from the other. The usual form
with the Stieltjes transform m(−λ) of Marchenko and Pastur, bias |β|²λ²m′, variance σ²γ(m − λm′), loses its digits at
small λ and beside γ = 1.

Reference: `hastie2022surprises`; `dobriban2018high`; the law itself: `marchenko1967distribution`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from dyntheory.closed_forms.evaluation import evaluate, ratio_or
from dyntheory.ground.arrays import Array, ArrayLike
from dyntheory.ground.checks import check_fraction, check_nonnegative, check_positive
from dyntheory.ground.kinds import check_arguments


class Risk(NamedTuple):
    """Errors of an estimator in the limit n, d → ∞; arrays of one shape.

    Args:
        bias: what is left of the excess error when the labels have no noise.
        variance: what the noise adds to it.
        excess_error: bias + variance, E(x·b − f(x))² for a fresh x.
        test_error: excess error plus the variance σ² of a fresh label.
        train_error: (1/n)‖y − Xb‖².
    """

    bias: Any
    variance: Any
    excess_error: Any
    test_error: Any
    train_error: Any


def ridgeless(samples_per_feature: ArrayLike, *, signal_power: ArrayLike = 1.0, noise_std: ArrayLike = 0.0) -> Risk:
    """Return the risk of least squares, and of its minimum-norm solution where it interpolates.

    For α > 1: bias 0, variance σ²/(α − 1), train error σ²(1 − 1/α). For α < 1: bias |β|²(1 − α), variance
    σ²α/(1 − α), train error 0.

    Scaling:
        n, d → ∞ at fixed α; |β|² and σ are O(1). In `predict` and `simulate` β = w*/√d, |β|² = E w*².

    Args:
        samples_per_feature: α = n/d, positive. At α = 1 the test error is infinite unless σ = 0.
        signal_power: |β|².
        noise_std: σ.

    Returns:
        The risk, in the shape to which the arguments broadcast.

    Raises:
        ValueError: a number outside its range.

    Example:
        >>> from dyntheory import closed_forms
        >>> risk = closed_forms.ridgeless([0.5, 2.0], signal_power=1.0, noise_std=0.5)
        >>> risk.test_error.round(12).tolist()
        [1.0, 0.5]

    Reference: `hastie2022surprises`, theorem 1 (their γ is our 1/α).
    """
    check_arguments(ridgeless, locals())
    _check(samples_per_feature, signal_power, noise_std)
    return evaluate(_ridgeless, samples_per_feature, signal_power, noise_std)


def ridge(
    samples_per_feature: ArrayLike,
    penalty: ArrayLike,
    *,
    signal_power: ArrayLike = 1.0,
    noise_std: ArrayLike = 0.0,
) -> Risk:
    """Return the risk of ridge regression.

    With the letters of the module: bias |β|²κ²/((1 + κ)s), variance σ²γ/((1 + κ)s), train error (λ/κ)² test error.

    Scaling:
        The objective is (1/n)‖y − Xb‖² + λ‖b‖² with λ = O(1). Plain gradient descent on the loss ½ with weight decay λ
        added to the gradient converges to the same estimator.

    Args:
        samples_per_feature: α = n/d, positive.
        penalty: λ, zero or positive; zero is `ridgeless`.
        signal_power: |β|².
        noise_std: σ.

    Returns:
        The risk, in the shape to which the arguments broadcast.

    Raises:
        ValueError: a number outside its range.

    Example:
        >>> from dyntheory import closed_forms
        >>> risk = closed_forms.ridge(1.0, penalty=0.5, signal_power=1.0, noise_std=0.5)
        >>> round(float(risk.test_error), 12)
        0.666666666667

    Reference: `hastie2022surprises`; `dobriban2018high`.
    """
    check_arguments(ridge, locals())
    _check(samples_per_feature, signal_power, noise_std)
    check_nonnegative("penalty", penalty)
    return evaluate(_ridge, samples_per_feature, penalty, signal_power, noise_std)


def optimal_penalty(
    samples_per_feature: ArrayLike, *, signal_power: ArrayLike = 1.0, noise_std: ArrayLike = 0.0
) -> Array:
    """Return λ* = σ²/(α|β|²), the penalty of the smallest test error.

    Args:
        samples_per_feature: α = n/d, positive.
        signal_power: |β|², positive.
        noise_std: σ.

    Returns:
        λ*, in the shape to which the arguments broadcast.

    Raises:
        ValueError: a number outside its range.

    Example:
        >>> from dyntheory import closed_forms
        >>> float(closed_forms.optimal_penalty(2.0, signal_power=1.0, noise_std=0.5))
        0.125

    Reference: `dobriban2018high`, theorem 2.1.
    """
    check_arguments(optimal_penalty, locals())
    _check(samples_per_feature, signal_power, noise_std)
    check_positive("signal_power", signal_power, "without a signal the best penalty is infinite")
    return evaluate(_optimal_penalty, samples_per_feature, signal_power, noise_std)


def optimal_ridge(samples_per_feature: ArrayLike, *, signal_power: ArrayLike = 1.0, noise_std: ArrayLike = 0.0) -> Risk:
    """Return the risk of ridge regression at its best penalty, λ* = σ²/(α|β|²); there is no double descent.

    Args:
        samples_per_feature: α = n/d, positive.
        signal_power: |β|², positive.
        noise_std: σ.

    Returns:
        The risk, in the shape to which the arguments broadcast.

    Raises:
        ValueError: a number outside its range.

    Example:
        >>> from dyntheory import closed_forms
        >>> risk = closed_forms.optimal_ridge([0.9, 1.0, 1.1], signal_power=1.0, noise_std=0.5)
        >>> risk.test_error.round(6).tolist()
        [0.680594, 0.640388, 0.604741]

    Reference: `dobriban2018high`, theorem 2.1.
    """
    check_arguments(optimal_ridge, locals())
    _check(samples_per_feature, signal_power, noise_std)
    check_positive("signal_power", signal_power, "without a signal the best penalty is infinite")
    return evaluate(_optimal_ridge, samples_per_feature, signal_power, noise_std)


def misspecified(
    samples_per_feature: ArrayLike,
    *,
    visible_fraction: ArrayLike,
    signal_power: ArrayLike = 1.0,
    noise_std: ArrayLike = 0.0,
) -> Risk:
    """Return the risk of ridgeless least squares that sees only some of the features of the target.

    y = x·β + w·θ + σξ where w ~ N(0, I) is not seen, |β|² = ν `signal_power` and |θ|² = (1 − ν) `signal_power` with
    ν = `visible_fraction`. The hidden part acts as noise on the samples and stays in the bias.

    Scaling:
        α counts the visible features.

    Args:
        samples_per_feature: α = n/d, positive; d visible features.
        visible_fraction: ν in [0, 1].
        signal_power: |β|² + |θ|².
        noise_std: σ.

    Returns:
        The risk against the whole signal; `bias` contains the hidden power, `variance` what noise and hidden part
        together add through the estimate.

    Raises:
        ValueError: a number outside its range.

    Example:
        >>> from dyntheory import closed_forms
        >>> risk = closed_forms.misspecified(2.0, visible_fraction=0.75, signal_power=4.0, noise_std=1.0)
        >>> float(risk.bias), float(risk.variance), float(risk.test_error)
        (1.0, 2.0, 4.0)

    Reference: `hastie2022surprises`, section 5 (their κ is our ν).
    """
    check_arguments(misspecified, locals())
    _check(samples_per_feature, signal_power, noise_std)
    check_fraction("visible_fraction", visible_fraction)
    return evaluate(_misspecified, samples_per_feature, visible_fraction, signal_power, noise_std)


def _check(samples_per_feature: ArrayLike, signal_power: ArrayLike, noise_std: ArrayLike) -> None:
    check_positive("samples_per_feature", samples_per_feature, "it is n/d")
    check_nonnegative("signal_power", signal_power)
    check_nonnegative("noise_std", noise_std)


def risk_of(bias: Array, variance: Array, floor: Array, train_error: Array) -> Risk:
    """Return the risk with its sums; `floor` is the variance of a fresh label."""
    excess = bias + variance
    return Risk(bias, variance, excess, excess + floor, train_error)


@jax.jit
def _ridgeless(alpha: Array, power: Array, sigma: Array) -> Risk:
    noise, over = sigma**2, jnp.maximum(alpha - 1, 0.0)
    variance = ratio_or(noise * jnp.minimum(alpha, 1.0), jnp.abs(alpha - 1), jnp.where(noise > 0, jnp.inf, 0.0))
    return risk_of(power * jnp.maximum(1 - alpha, 0.0), variance, noise, noise * over / alpha)


@jax.jit
def _ridge(alpha: Array, penalty: Array, power: Array, sigma: Array) -> Risk:
    kappa, rho, total = _roots(alpha, penalty)
    noise, held = sigma**2, 1 + kappa
    bias = power * (kappa / held) * ratio_or(kappa, total, 0.0)
    variance = ratio_or(noise / (alpha * held), total, jnp.where(noise > 0, jnp.inf, 0.0))
    train = rho**2 * (bias + jnp.where(rho > 0, variance, 0.0) + noise)
    return risk_of(bias, variance, noise, train)


def _roots(alpha: Array, penalty: Array) -> tuple[Array, Array, Array]:
    """Return κ, ρ = λ/κ and s = κ + ρ, the small one of κ and ρ from the large one."""
    gap = (alpha - 1) / alpha  # 1 − γ, exact beside α = 1
    difference = gap - penalty  # ρ − κ
    scale = jax.lax.stop_gradient(jnp.maximum(jnp.abs(difference), 1.0))  # no square overflows
    square = jnp.square(difference / scale) + 4 * penalty / scale / scale
    total = jnp.where(square > 0, scale * jnp.sqrt(jnp.where(square > 0, square, 1.0)), 0.0)
    large = (total + jnp.abs(difference)) / 2
    small = ratio_or(penalty, large, 0.0)
    is_rho = difference > 0
    return jnp.where(is_rho, small, large), jnp.where(is_rho, large, small), total


def _optimal_penalty(alpha: Array, power: Array, sigma: Array) -> Array:
    return sigma**2 / (alpha * power)


def _optimal_ridge(alpha: Array, power: Array, sigma: Array) -> Risk:
    return _ridge(alpha, _optimal_penalty(alpha, power, sigma), power, sigma)


@jax.jit
def _misspecified(alpha: Array, visible: Array, power: Array, sigma: Array) -> Risk:
    hidden, noise = power * (1 - visible), sigma**2
    seen = _ridgeless(alpha, power * visible, jnp.ones_like(alpha))  # at unit noise, so that no root is taken
    total = noise + hidden
    variance = jnp.where(total > 0, total * seen.variance, 0.0)
    return risk_of(hidden + seen.bias, variance, noise, total * seen.train_error)

"""Ridge regression on random features: test error in the proportional limit, with its double descent.

The features of an input x are a(⟨θ_i, x⟩/√d), i ≤ N, with x and θ_i uniform on the sphere of radius √d. In the limit
they are as good as the Gaussian features μ₁ F x + μ_* g, and the ridge is set by one positive number κ. Every average
over the spectrum is an algebraic function of κ; written below as sums of positive terms, so that nothing cancels at
the interpolation threshold or for tiny penalties.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.closed_forms.evaluation import evaluate
from dyntheory.ground.arrays import Array, ArrayLike
from dyntheory.ground.checks import check_nonnegative, check_positive, is_concrete
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.precision import double_precision
from dyntheory.ground.root_finding import bisect, newton_step
from dyntheory.problem.networks.activations import Activation, resolve_activation

NUM_BISECTIONS, NUM_POLISHES = 80, 2
RANGE, PANELS_PER_UNIT, DEGREE = 13, 2, 20


class HermiteCoefficients(NamedTuple):
    """μ₀ = E a(G), μ₁ = E G a(G) and μ_*, where μ_*² = E[(a(G) − μ₀ − μ₁ G)²]."""

    constant: Any
    linear: Any
    nonlinear: Any


class RandomFeaturesRisk(NamedTuple):
    """Squared errors of ridge regression on random features; κ is the effective ridge.

    `bias` grows with the signal, `variance` with the noise and the nonlinear part of the target, which acts as noise;
    `excess_error` = bias + variance + nonlinear power; `test_error` and `train_error` contain the label noise.
    """

    bias: Any
    variance: Any
    excess_error: Any
    test_error: Any
    train_error: Any
    kappa: Any


def hermite_coefficients(activation: str | Callable[[Array], Array] | Activation) -> HermiteCoefficients:
    """Return μ₀, μ₁, μ_* of an activation, by Gauss–Legendre panels whose ends are multiples of one half.

    Kinks and jumps at such points, and smooth functions, are integrated to rounding.

    Raises:
        ValueError: two rules disagree by more than a relative 1e-10 (a kink elsewhere), or a value is not finite.

    Example:
        >>> round(float(hermite_coefficients("relu").linear), 12)
        0.5

    Reference: `mei2022generalization`.
    """
    check_arguments(hermite_coefficients, locals())
    rules = [_panels(degree) for degree in (DEGREE, DEGREE + 7)]
    nodes = np.concatenate([points for points, _ in rules])
    with jax.ensure_compile_time_eval(), double_precision():
        # Called as it is, a function with a derivative of its own would run under the caller's transformations.
        values = np.asarray(jax.jit(resolve_activation(activation).function)(jnp.asarray(nodes)), dtype=float)
    of_rules = np.split(values, [len(rules[0][0])])
    fine, coarse = (_coefficients(*rule, of_rule) for rule, of_rule in zip(rules, of_rules, strict=True))
    gap = max(abs(a - b) for a, b in zip(fine, coarse, strict=True))
    if not gap <= 1e-10 * max(map(abs, fine)):
        raise ValueError(
            "`activation` must be smooth or have its kinks at multiples of 1/2: two quadratures of its Hermite "
            f"coefficients differ by {gap:.1e}; pass HermiteCoefficients(constant, linear, nonlinear) instead."
        )
    return HermiteCoefficients(*fine)


def _panels(degree: int) -> tuple[np.ndarray, np.ndarray]:
    points, heights = np.polynomial.legendre.leggauss(degree)
    starts = np.arange(-RANGE * PANELS_PER_UNIT, RANGE * PANELS_PER_UNIT) / PANELS_PER_UNIT
    width = 1 / PANELS_PER_UNIT
    nodes = (starts[:, None] + width * (points[None] + 1) / 2).reshape(-1)
    return nodes, np.tile(width * heights / 2, len(starts)) * np.exp(-(nodes**2) / 2) / np.sqrt(2 * np.pi)


def _coefficients(nodes: np.ndarray, weights: np.ndarray, values: np.ndarray) -> tuple[float, float, float]:
    constant, linear = float(weights @ values), float(weights @ (nodes * values))
    nonlinear = float(np.sqrt(weights @ (values - constant - linear * nodes) ** 2))
    return constant, linear, nonlinear


def random_features(
    features_per_input: ArrayLike,
    samples_per_input: ArrayLike,
    *,
    penalty: ArrayLike,
    activation: str | Callable[[Array], Array] | Activation | HermiteCoefficients,
    signal_power: ArrayLike = 1.0,
    nonlinear_power: ArrayLike = 0.0,
    noise_std: ArrayLike = 0.0,
) -> RandomFeaturesRisk:
    """Return the errors of ridge regression on random features.

    With p = μ₁²/(κ + μ_*²), f = κ/(κ + μ_*²), r the positive root of p r² + (1 + (ψ₁ − 1)p) r = 1, the effective ridge
    κ solves ψ₂(1 − ψ₁λ/κ) = ψ₁(1 − f/(1 + p r)).

    Scaling:
        Minimises (1/n) Σ_i (y_i − Σ_j a_j a(⟨θ_j, x_i⟩/√d))² + (N λ/d) |a|²; y = ⟨β, x⟩ + nonlinear part + noise, with
        |x|² = d and |β|² = F₁² of order one. The limit is N, n, d → ∞ in proportion. μ₀ does not enter.

    Args:
        features_per_input: ψ₁ = N/d, positive.
        samples_per_input: ψ₂ = n/d, positive.
        penalty: λ, zero or positive. At zero the errors are infinite where ψ₁ = ψ₂.
        activation: name, JAX function, or its `HermiteCoefficients`.
        signal_power: F₁², zero or positive.
        nonlinear_power: F_*², variance of the nonlinear part of the target.
        noise_std: standard deviation of the label noise.

    Returns:
        Arrays of the broadcast shape.

    Raises:
        ValueError: a number outside its range, an activation without a nonlinear part with a zero penalty.

    Example:
        >>> risk = random_features(3.0, 2.0, penalty=0.1, activation="relu", noise_std=0.5)
        >>> bool(risk.test_error > risk.train_error)
        True

    Reference: `mei2022generalization`; in the form of `gerace2020generalisation` and `loureiro2021learning`.
    """
    check_arguments(random_features, locals())
    coefficients = activation if isinstance(activation, HermiteCoefficients) else hermite_coefficients(activation)
    _check(features_per_input, samples_per_input, penalty, coefficients)
    for name, value in (("signal_power", signal_power), ("nonlinear_power", nonlinear_power), ("noise_std", noise_std)):
        check_nonnegative(name, value)
    return evaluate(
        _risk,
        features_per_input,
        samples_per_input,
        penalty,
        coefficients.linear,
        coefficients.nonlinear,
        signal_power,
        nonlinear_power,
        noise_std,
    )


def _check(psi1: ArrayLike, psi2: ArrayLike, penalty: ArrayLike, coefficients: HermiteCoefficients) -> None:
    check_positive("features_per_input", psi1, "it is N/d")
    check_positive("samples_per_input", psi2, "it is n/d")
    check_nonnegative("penalty", penalty)
    if not (is_concrete(penalty) and is_concrete(coefficients.linear) and is_concrete(coefficients.nonlinear)):
        return
    linear, nonlinear = np.asarray(coefficients.linear), np.asarray(coefficients.nonlinear)
    if np.any((np.abs(linear) < 1e-12) & (np.abs(nonlinear) < 1e-12)):
        raise ValueError("`activation` must not be constant: its μ₁ and μ_* are both zero.")
    if np.any(np.abs(nonlinear) < 1e-12 * np.abs(linear)) and np.any(np.asarray(penalty) == 0):
        raise ValueError("`penalty` must be positive for a linear activation: without it the features lose rank.")


def _traces(psi1: Array, kappa: Array, linear: Array, nonlinear: Array) -> tuple[Array, Array, Array, Array]:
    """Return p, f, 1 − f, r."""
    level = kappa + nonlinear**2
    p, f, rest = linear**2 / level, kappa / level, nonlinear**2 / level
    b = 1 + (psi1 - 1) * p
    root = jnp.sqrt(b**2 + 4 * p)
    r = jnp.where(b > 0, 2 / (jnp.abs(b) + root), (root + jnp.abs(b)) / (2 * jnp.where(p > 0, p, 1.0)))
    return p, f, rest, r


def _kappa(psi1: Array, psi2: Array, penalty: Array, linear: Array, nonlinear: Array) -> Array:
    """Return the effective ridge: bisection in log κ, then Newton steps that carry derivatives."""
    ridge = psi1 * penalty
    below = jnp.maximum(ridge, nonlinear**2 * jnp.maximum(psi1 - psi2, 0.0) / psi2)
    above = ridge + psi1 / psi2 * (linear**2 + nonlinear**2)
    exists = below > 0
    ends = jnp.log(jnp.where(exists, below, 1.0)), jnp.log(jnp.where(exists, above, 2.0))

    def excess(kappa: Array) -> Array:
        p, f, rest, r = _traces(psi1, kappa, linear, nonlinear)
        few = (psi2 - psi1) + psi1 * f / (1 + p * r) - psi2 * ridge / kappa
        many = psi2 * (1 - ridge / kappa) - psi1 * (p * r + rest) / (1 + p * r)
        return jnp.where(exists, jnp.where(psi1 > 2 * psi2, many, few), 0.0)

    logarithm = bisect(lambda x: excess(jnp.exp(x)) > 0, jax.lax.stop_gradient(ends), num_steps=NUM_BISECTIONS)
    start = jax.lax.stop_gradient(jnp.exp(logarithm))
    kappa = jax.lax.scan(lambda kappa, _: (newton_step(excess, kappa), None), start, length=NUM_POLISHES)[0]
    return jnp.where(exists, kappa, 0.0)


@jax.jit
def _risk(
    psi1: Array,
    psi2: Array,
    penalty: Array,
    linear: Array,
    nonlinear: Array,
    signal: Array,
    hidden: Array,
    noise: Array,
) -> RandomFeaturesRisk:
    kappa = _kappa(psi1, psi2, penalty, linear, nonlinear)
    p, f, rest, r = _traces(psi1, kappa, linear, nonlinear)
    s = jnp.sqrt((1 + (psi1 - 1) * p) ** 2 + 4 * p)
    gain = p * (2 * (psi1 + 1) + (psi1 - 1) ** 2 * p) / (s + 1)  # S − 1
    unlearned = r * (1 + p * r) / s  # ∫ z²/(t + z)² over the spectrum t of FᵀF, z = 1/p
    mixed = psi1 * p * r / ((1 + p * r) * s)  # ∫ t z/(t + z)²
    learned = psi1 * p * r / (1 + p * r) * gain / s  # ∫ t²/(t + z)²
    features = psi1 / ((1 + p * r) * r * s)  # the first, over the spectrum of FFᵀ
    fraction = jnp.where(kappa > 0, psi1 * penalty / jnp.where(kappa > 0, kappa, 1.0), jnp.maximum(1 - psi1 / psi2, 0))
    df2 = (learned + 2 * rest * mixed + rest**2 * features) / psi2
    free = fraction + f * (mixed + rest * features) / psi2  # 1 − df₂/n
    bias = signal * (unlearned + rest * mixed) / free
    other = noise**2 + hidden
    variance = other * df2 / free
    excess = bias + variance + hidden
    test = excess + noise**2
    return RandomFeaturesRisk(bias, variance, excess, test, _train(fraction, test, free), kappa)


def _train(fraction: Array, test: Array, free: Array) -> Array:
    """Return fraction² · test error; at zero penalty and ψ₁ = ψ₂ the limit of fraction · 0/0 is zero."""
    singular = free <= 0
    return jnp.where(singular, 0.0, fraction**2 * jnp.where(singular, 0.0, test))

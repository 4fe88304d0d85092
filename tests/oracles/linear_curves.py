"""Gradient descent on Gaussian least squares, exact in time (closed_forms.md §3).

Scaling of theory.md §7: y = X w*/√d + σξ, α = n/d, w ← w − (η/α) Xᵀ(Xw/√d − y)/√d,
E[w*²] = 1, E[w⁰²] = v₀, E[w⁰ w*] = m₀. The entry's X carries the 1/√d, its φ is α, its
ρ + v₀ becomes Δ = E(w⁰ − w*)² = 1 + v₀ − 2m₀. With h of law MP_c, c = 1/α (the law of
XᵀX/n), and D_t(h) = (1 − ηh)^t,

    test  = σ² + Δ (∫_{h>0} D_t² + (1−α)₊) + (σ²/α) ∫_{h>0} (1 − D_t)²/h,
    train = (1/α) ∫_{h>0} D_t² (α Δ h + σ²) + σ² (1 − 1/α)₊.

For integer t both are polynomials in h, hence exact rationals through the MP moments
∫hᵏ = Σ_{r<k} cʳ/(r+1) C(k,r) C(k−1,r).
"""

from fractions import Fraction
from math import comb
from typing import NamedTuple

import numpy as np

from .gaussian import Array


class LinearCurves(NamedTuple):
    """Errors at t = 0, …, T; both (T+1,)."""

    train_error: Array
    test_error: Array


class LinearErrors(NamedTuple):
    """Train and test error at one time."""

    train_error: float
    test_error: float


class ExactErrors(NamedTuple):
    """Train and test error at one time, exact rationals."""

    train_error: Fraction
    test_error: Fraction


def marchenko_pastur(ratio: float, *, num_nodes: int = 400) -> tuple[Array, Array]:
    """Return nodes and weights of the continuous part of MP_c (atom at 0 left out).

    The trapezoid rule in θ of closed_forms.md's preamble, exponentially convergent for
    c ≠ 1. At c = 1 the end point θ = π, where h → 0, keeps a finite weight.

    Args:
        ratio: c = d/n, the ratio of the law of ZᵀZ/n for Z (n, d).
        num_nodes: number of interior points.
    """
    theta = np.arange(1, num_nodes + 1) * np.pi / (num_nodes + 1)
    nodes = (1 - np.sqrt(ratio)) ** 2 + 4 * np.sqrt(ratio) * np.cos(theta / 2) ** 2
    weights = 2 / (num_nodes + 1) * np.sin(theta) ** 2 / nodes
    if ratio == 1:
        nodes, weights = np.append(nodes, 0.0), np.append(weights, 1 / (num_nodes + 1))
    return nodes, weights


def curves(
    num_steps: int,
    *,
    alpha: float,
    learning_rate: float,
    noise_std: float,
    initial_second_moment: float = 0.0,
    initial_teacher_overlap: float = 0.0,
    num_nodes: int = 400,
) -> LinearCurves:
    """Evaluate the learning curves by Marchenko–Pastur quadrature.

    Args:
        num_steps: T.
        alpha: n/d.
        learning_rate: η; convergent for η < 2/(1+√(1/α))², finite t needs no bound.
        noise_std: σ.
        initial_second_moment: v₀ = E[w⁰²].
        initial_teacher_overlap: m₀ = E[w⁰ w*].
        num_nodes: quadrature nodes; the integrands are polynomials of degree 2T.
    """
    h, weights = marchenko_pastur(1 / alpha, num_nodes=num_nodes)
    distance = 1 + initial_second_moment - 2 * initial_teacher_overlap
    noise = noise_std**2
    decay = (1 - learning_rate * h) ** np.arange(num_steps + 1)[:, None]
    inverse = np.divide(1, h, out=np.zeros_like(h), where=h > 0)
    atom = max(0.0, 1 - alpha)
    test = noise + distance * (decay**2 @ weights + atom)
    test += noise / alpha * ((1 - decay) ** 2 @ (weights * inverse))
    train = decay**2 @ (weights * (alpha * distance * h + noise)) / alpha
    return LinearCurves(train + noise * max(0.0, 1 - 1 / alpha), test)


def exact_errors(
    step: int,
    *,
    alpha: Fraction,
    learning_rate: Fraction,
    noise_variance: Fraction,
    initial_second_moment: Fraction = Fraction(0),
    initial_teacher_overlap: Fraction = Fraction(0),
) -> ExactErrors:
    """Return the errors after `step` steps as exact rationals.

    With h = 0 included in the moments the atoms need no separate care: D_t(0) = 1 makes
    the test error's atom part of ∫D_t², and the train error's zero modes are
    1 − 1/α + (1/α)·(all of MP), whatever the sign of α − 1.

    Args:
        step: t.
        alpha: n/d.
        learning_rate: η.
        noise_variance: σ².
        initial_second_moment: v₀.
        initial_teacher_overlap: m₀.
    """
    distance = 1 + initial_second_moment - 2 * initial_teacher_overlap
    ratio = 1 / Fraction(alpha)
    decay = _power([Fraction(1), -Fraction(learning_rate)], step)
    growth = [Fraction(int(power == 0)) - c for power, c in enumerate(decay)]
    square = _multiply(decay, decay)
    test = noise_variance + distance * _integrate(square, ratio)
    test += noise_variance * ratio * _integrate(_multiply(growth, growth)[1:], ratio)
    train = distance * _integrate([Fraction(0), *square], ratio)
    train += noise_variance * (1 - ratio + ratio * _integrate(square, ratio))
    return ExactErrors(train, test)


def late_errors(
    *,
    alpha: float,
    noise_std: float,
    initial_second_moment: float = 0.0,
    initial_teacher_overlap: float = 0.0,
) -> LinearErrors:
    """Return the t → ∞ errors: ridgeless least squares and its double descent.

    Args:
        alpha: n/d, not 1 (the test error diverges there).
        noise_std: σ.
        initial_second_moment: v₀.
        initial_teacher_overlap: m₀.
    """
    noise = noise_std**2
    distance = 1 + initial_second_moment - 2 * initial_teacher_overlap
    if alpha > 1:
        return LinearErrors(noise * (1 - 1 / alpha), noise * alpha / (alpha - 1))
    return LinearErrors(0.0, noise + distance * (1 - alpha) + noise * alpha / (1 - alpha))


def _moment(power: int, ratio: Fraction) -> Fraction:
    """Return ∫ h^power dMP_c, the atom at 0 included."""
    if power == 0:
        return Fraction(1)
    terms = (ratio**r / (r + 1) * comb(power, r) * comb(power - 1, r) for r in range(power))
    return sum(terms, Fraction(0))


def _integrate(coefficients: list[Fraction], ratio: Fraction) -> Fraction:
    """Integrate Σ_k c_k h^k against MP_c."""
    terms = (c * _moment(power, ratio) for power, c in enumerate(coefficients))
    return sum(terms, Fraction(0))


def _multiply(left: list[Fraction], right: list[Fraction]) -> list[Fraction]:
    """Multiply two polynomials given by coefficients in increasing powers."""
    product = [Fraction(0)] * (len(left) + len(right) - 1)
    for i, a in enumerate(left):
        for j, b in enumerate(right):
            product[i + j] += a * b
    return product


def _power(base: list[Fraction], exponent: int) -> list[Fraction]:
    """Raise a polynomial to a nonnegative integer power."""
    result = [Fraction(1)]
    for _ in range(exponent):
        result = _multiply(result, base)
    return result

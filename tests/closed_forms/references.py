"""The formulas in the form in which they were published, at 60 digits; floats are taken at their exact value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import mpmath as mp

DIGITS = 60
Big: TypeAlias = Any  # a number of mpmath
Errors: TypeAlias = tuple[Big, Big, Big]  # bias, variance, train error


def ridgeless(alpha: float, power: float, sigma: float) -> Errors:
    """Return the two branches in γ = d/n."""
    with mp.workdps(DIGITS):
        gamma, noise = 1 / mp.mpf(alpha), mp.mpf(sigma) ** 2
        if gamma < 1:
            return mp.mpf(0), noise * gamma / (1 - gamma), noise * (1 - gamma)
        return power * (1 - 1 / gamma), noise / (gamma - 1), mp.mpf(0)


def stieltjes(penalty: Big, gamma: Big) -> Big:
    """Return m(−λ), the positive root of γλm² + (1 − γ + λ)m = 1."""
    center = 1 - gamma + penalty
    return (-center + mp.sqrt(center**2 + 4 * gamma * penalty)) / (2 * gamma * penalty)


def ridge(alpha: float, penalty: float, power: float, sigma: float) -> Errors:
    """Return bias |β|²λ²m′, variance σ²γ(m − λm′), and the train error through ∫(λ/(h + λ))² and ∫h(λ/(h + λ))²."""
    with mp.workdps(DIGITS + 400):
        gamma, weight, noise = 1 / mp.mpf(alpha), mp.mpf(penalty), mp.mpf(sigma) ** 2
        m = stieltjes(weight, gamma)
        slope = (m + gamma * m**2) / (2 * gamma * weight * m + 1 - gamma + weight)  # −dm/dλ, from its equation
        atom = max(mp.mpf(0), 1 - 1 / gamma)
        signal = weight**2 * (m - weight * slope)  # ∫ h (λ/(h + λ))²
        left = weight**2 * slope - atom  # ∫ over h > 0
        train = power * signal + noise * (gamma * left + max(mp.mpf(0), 1 - gamma))
        return power * weight**2 * slope, noise * gamma * (m - weight * slope), train


def integral(function: Callable[[Big], Big], ratio: float | Big) -> Big:
    """Integrate against the continuous part of Marchenko and Pastur's law, in the angle, where it is smooth."""
    with mp.workdps(DIGITS):
        c = mp.mpf(ratio)

        def density(angle: Big) -> Big:
            node = (1 - mp.sqrt(c)) ** 2 + 4 * mp.sqrt(c) * mp.sin(angle / 2) ** 2
            return function(node) * 2 * mp.sin(angle) ** 2 / (mp.pi * node)

        return mp.quad(density, mp.linspace(0, mp.pi, 17))


def kappa(count: float, penalty: float, values: Sequence[float]) -> Big:
    """Return the root of κ = λ + κ df₁/n by bisection."""
    with mp.workdps(DIGITS):
        n, weight = mp.mpf(count), mp.mpf(penalty)

        def excess(logarithm: Big) -> Big:
            root = mp.exp(logarithm)
            return 1 - weight / root - mp.fsum(mp.mpf(s) / (s + root) for s in values) / n

        low, high = mp.mpf(-2000), mp.log(mp.fsum(values) / n + weight) + 1
        for _ in range(240):
            middle = (low + high) / 2
            low, high = (middle, high) if excess(middle) < 0 else (low, middle)
        return mp.exp((low + high) / 2)


def general(count: float, penalty: float, values: Sequence[float], target: Sequence[float], sigma: float) -> Errors:
    """Return the deterministic equivalents with their cancelling 1 − df₂/n."""
    with mp.workdps(DIGITS):
        root, noise = kappa(count, penalty, values), mp.mpf(sigma) ** 2
        degrees = mp.fsum((mp.mpf(s) / (s + root)) ** 2 for s in values) / count
        missed = root**2 * mp.fsum(s * mp.mpf(b) ** 2 / (s + root) ** 2 for s, b in zip(values, target, strict=True))
        bias, variance = missed / (1 - degrees), noise * degrees / (1 - degrees)
        return bias, variance, (penalty / root) ** 2 * (bias + variance + noise)

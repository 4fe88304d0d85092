"""Textbook forms of the dual activations in forty digits, where cancellation does not matter."""

from collections.abc import Callable
from typing import Any, NamedTuple

import mpmath as mp

from dyntheory import kernels as k

mp.mp.dps = 40


class Case(NamedTuple):
    """One activation: the layer, E φφ from (v₁, v₂, ρ), and E φ′φ′ (None: the derivative of E φφ by c)."""

    layer: Any
    cov: Callable[[Any, Any, Any], Any]
    slope: Callable[[Any, Any, Any], Any] | None = None


def _angle(rho: Any) -> Any:
    return mp.acos(max(min(rho, mp.mpf(1)), mp.mpf(-1)))


def _relu(v1: Any, v2: Any, rho: Any) -> Any:
    return mp.sqrt(v1 * v2) * (mp.sqrt(max(1 - rho**2, 0)) + (mp.pi - _angle(rho)) * rho) / (2 * mp.pi)


def rectifier(a: float, b: float) -> Callable[[Any, Any, Any], Any]:
    """(b x⁺ − a x⁻)(b y⁺ − a y⁻), term by term: y → −y turns ρ into −ρ."""
    a, b = mp.mpf(a), mp.mpf(b)  # pyright: ignore[reportAssignmentType]
    return lambda v1, v2, rho: (a * a + b * b) * _relu(v1, v2, rho) - 2 * a * b * _relu(v1, v2, -rho)


def rectifier_slope(a: float, b: float) -> Callable[[Any, Any, Any], Any]:
    a, b = mp.mpf(a), mp.mpf(b)  # pyright: ignore[reportAssignmentType]
    return lambda v1, v2, rho: (
        (a * a + b * b) * (mp.pi - _angle(rho)) / (2 * mp.pi) + 2 * a * b * _angle(rho) / (2 * mp.pi)
    )


def erf(v1: Any, v2: Any, rho: Any) -> Any:
    return 2 / mp.pi * mp.asin(2 * rho * mp.sqrt(v1 * v2) / mp.sqrt((1 + 2 * v1) * (1 + 2 * v2)))


def sigmoid_like(v1: Any, v2: Any, rho: Any) -> Any:
    scale = 1 / mp.mpf(2.4020563531719796)
    return (1 + erf(scale**2 * v1, scale**2 * v2, rho)) / 4


def gelu(v1: Any, v2: Any, rho: Any) -> Any:
    """E uv Φ(u)Φ(v) by two integrations by parts, from P(u', v' > 0) = 1/4 + asin(…)/(2π)."""
    c = rho * mp.sqrt(v1 * v2)
    orthant = mp.mpf(1) / 4 + mp.asin(c / mp.sqrt((1 + v1) * (1 + v2))) / (2 * mp.pi)
    density = 1 / (2 * mp.pi * mp.sqrt((1 + v1) * (1 + v2) - c**2))
    return c * orthant + density * (v1 * v2 + c**2 - c**2 * v1 / (1 + v1) - c**2 * v2 / (1 + v2))


def _plane_wave(v1: Any, v2: Any, rho: Any, sign: int) -> Any:
    return mp.exp(-(v1 + v2 + sign * 2 * rho * mp.sqrt(v1 * v2)) / 2)


def sin(v1: Any, v2: Any, rho: Any) -> Any:
    return (_plane_wave(v1, v2, rho, -1) - _plane_wave(v1, v2, rho, 1)) / 2


def cos(v1: Any, v2: Any, rho: Any) -> Any:
    return (_plane_wave(v1, v2, rho, -1) + _plane_wave(v1, v2, rho, 1)) / 2


def rbf(v1: Any, v2: Any, rho: Any) -> Any:
    return mp.exp(-mp.mpf(0.7) * (v1 + v2 - 2 * rho * mp.sqrt(v1 * v2)))


def gaussian(v1: Any, v2: Any, rho: Any) -> Any:
    rate = mp.mpf(0.6)
    return 1 / mp.sqrt((1 + 2 * rate * v1) * (1 + 2 * rate * v2) - 4 * rate**2 * rho**2 * v1 * v2)


def exp(v1: Any, v2: Any, rho: Any) -> Any:
    return mp.exp(mp.mpf(0.1) ** 2 * (v1 + v2 + 2 * rho * mp.sqrt(v1 * v2)) / 2)


def wick(coefficients: tuple[Any, ...]) -> Callable[[Any, Any, Any], Any]:
    """Σ a_i a_j E u^i v^j, the moments by Isserlis' theorem."""

    def moment(i: int, j: int, v1: Any, v2: Any, c: Any) -> Any:
        if (i + j) % 2:
            return mp.mpf(0)
        total = mp.mpf(0)
        for shared in range(i % 2, min(i, j) + 1, 2):
            rest1, rest2 = i - shared, j - shared
            ways = mp.binomial(i, shared) * mp.binomial(j, shared) * mp.factorial(shared)
            total += (
                ways * mp.fac2(rest1 - 1) * mp.fac2(rest2 - 1) * v1 ** (rest1 // 2) * v2 ** (rest2 // 2) * c**shared
            )
        return total

    def cov(v1: Any, v2: Any, rho: Any) -> Any:
        c = rho * mp.sqrt(v1 * v2)
        pairs = ((i, a, j, b) for i, a in enumerate(coefficients) for j, b in enumerate(coefficients))
        return mp.fsum(mp.mpf(a) * mp.mpf(b) * moment(i, j, v1, v2, c) for i, a, j, b in pairs)

    return cov


def _zero(v1: Any, v2: Any, rho: Any) -> Any:
    return mp.mpf(0)


CASES = {
    "relu": Case(k.relu(), rectifier(0, 1), rectifier_slope(0, 1)),
    "leaky_relu": Case(k.leaky_relu(0.1), rectifier(0.1, 1), rectifier_slope(0.1, 1)),
    "abs": Case(k.abs(), rectifier(-1, 1), rectifier_slope(-1, 1)),
    "sign": Case(k.sign(), lambda v1, v2, rho: 1 - 2 * _angle(rho) / mp.pi, _zero),
    "erf": Case(k.erf(), erf),
    "sigmoid_like": Case(k.sigmoid_like(), sigmoid_like),
    "gelu": Case(k.gelu(), gelu),
    "sin": Case(k.sin(), sin),
    "cos": Case(k.cos(), cos),
    "rbf": Case(k.rbf(0.7), rbf),
    "gaussian": Case(k.gaussian(0.6), gaussian),
    "exp": Case(k.exp(0.1), exp),
    "monomial": Case(k.monomial(3), wick((0, 0, 0, 1)), wick((0, 0, 3))),
    "polynomial": Case(
        k.polynomial((0.5, -1.0, 0.25, 0.125)), wick((0.5, -1.0, 0.25, 0.125)), wick((-1.0, 0.5, 0.375))
    ),
    "hermite": Case(
        k.hermite(3), wick((0, -3 / mp.sqrt(6), 0, 1 / mp.sqrt(6))), wick((-3 / mp.sqrt(6), 0, 3 / mp.sqrt(6)))
    ),
}


def slope(case: Case, v1: Any, v2: Any, rho: Any) -> Any:
    """Return E φ′φ′; smooth functions by Price's theorem, the derivative of E φφ by the covariance."""
    if case.slope is not None:
        return case.slope(v1, v2, rho)
    scale = mp.sqrt(v1 * v2)
    return mp.diff(lambda c: case.cov(v1, v2, c / scale), rho * scale)

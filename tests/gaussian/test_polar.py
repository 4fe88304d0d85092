"""Means over a Gaussian pair: against SciPy's double integrals, and what two rules say where a function bends."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import dblquad

from dyntheory.gaussian.polar import COARSE, FINE, angle_of, line_rule, pair_mean
from dyntheory.ground.precision import double_precision


def _mean(function: Callable[[jax.Array], jax.Array], variance: float, excess: float, degree: int = FINE) -> float:
    with double_precision():
        angle = angle_of(jnp.asarray(excess))
        (found,) = pair_mean(lambda u, v: (function(u) * function(v),), jnp.asarray(variance), angle, degree=degree)
        return float(found)


def _selu(x: float) -> float:
    return 1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * math.expm1(x))


@pytest.mark.parametrize("excess", [pytest.param(0.05, marks=pytest.mark.full), 1.6])
def test_a_function_with_a_kink_agrees_with_a_double_integral(excess: float) -> None:
    """u = s(αX + βY), v = s(αX − βY), cut along both lines where one of them vanishes."""
    s, alpha, beta = np.sqrt(2.0), np.sqrt(1 - excess / 2), np.sqrt(excess / 2)

    def integrand(y: float, x: float) -> float:
        u, v = s * (alpha * x + beta * y), s * (alpha * x - beta * y)
        return _selu(u) * _selu(v) * np.exp(-(x * x + y * y) / 2) / (2 * np.pi)

    slope, total = alpha / beta, 0.0
    for sign in (-1.0, 1.0):
        ends = (0.0, 9.0) if sign > 0 else (-9.0, 0.0)
        reach = [lambda x: -slope * abs(x), lambda x: slope * abs(x)]
        for low, high in (
            (lambda x: -9.0 - slope * abs(x), reach[0]),
            (reach[0], reach[1]),
            (reach[1], lambda x: 9.0 + slope * abs(x)),
        ):
            total += dblquad(integrand, *ends, low, high, epsabs=1e-10, epsrel=1e-10)[0]
    np.testing.assert_allclose(_mean(jax.nn.selu, 2.0, excess), total, rtol=1e-8)


@pytest.mark.parametrize("variance", [1e-6, 0.3, 30.0, 1e4])
@pytest.mark.parametrize("excess", [1e-9, 0.4, 1.7, 2.0])
def test_erf_has_its_arcsine(variance: float, excess: float) -> None:
    exact = 2 / np.pi * np.arcsin(2 * variance * (1 - excess) / (1 + 2 * variance))
    np.testing.assert_allclose(_mean(jax.scipy.special.erf, variance, excess), exact, rtol=1e-12)


def test_a_kink_elsewhere_is_seen_by_two_rules() -> None:
    """Negative control: what bends at ±1 is not integrated, and the rules say so."""
    fine, coarse = (_mean(lambda x: jnp.clip(x, -1.0, 1.0), 3.0, 0.3, degree) for degree in (FINE, COARSE))
    assert abs(fine - coarse) > 1e-6
    smooth = [_mean(jnp.tanh, 3.0, 0.3, degree) for degree in (FINE, COARSE)]
    np.testing.assert_allclose(*smooth, rtol=1e-10)


def test_the_line_has_the_moments_of_a_normal_variable() -> None:
    nodes, weights = line_rule(FINE)
    np.testing.assert_allclose([2 * np.sum(weights * nodes**k) for k in (0, 2, 4)], [1.0, 1.0, 3.0], rtol=1e-13)
    np.testing.assert_allclose(np.sum(weights * nodes), 1 / np.sqrt(2 * np.pi), rtol=1e-13)

"""Fixed points and depth scales of random networks: paper formulas in SciPy, exact cases, slopes of the maps."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq

from dyntheory import closed_forms
from dyntheory.closed_forms import signal_layers, signal_limit


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    found: Any = brentq(function, low, high, xtol=1e-15)
    return float(found)


def _normal_mean(function: Callable[[float], float], variance: float) -> float:
    return quad(lambda z: function(np.sqrt(variance) * z) * np.exp(-z * z / 2) / np.sqrt(2 * np.pi), -12, 12)[0]


@pytest.mark.parametrize(("weight", "bias"), [(0.6, 0.1), (1.4, 0.05), (3.0, 0.05), (40.0, 0.2)])
def test_erf_agrees_with_the_formulas_of_the_papers(weight: float, bias: float) -> None:
    """Roots by Brent's method of the maps of Williams (1996), derivatives by hand; by closed form and by quadrature."""
    q = _root(lambda q: weight * 2 / np.pi * np.arcsin(2 * q / (1 + 2 * q)) + bias - q, 1e-9, 100.0)
    slope = 4 / np.pi / np.sqrt(1 + 4 * q)
    if weight * slope > 1:
        arc = lambda c: (weight * 2 / np.pi * np.arcsin(2 * q * c / (1 + 2 * q)) + bias) / q - c  # noqa: E731
        c = _root(arc, 0.0, 1 - 1e-6)
    else:
        c = 1.0
    at_c = weight * 4 / np.pi / np.sqrt((1 + 2 * q) ** 2 - (2 * q * c) ** 2)
    of_q = weight * 2 / np.pi * 2 / ((1 + 2 * q) ** 2 * np.sqrt(1 - (2 * q / (1 + 2 * q)) ** 2))
    chi = weight * slope
    expected = q, c, chi, -1 / np.log(of_q), -1 / np.log(at_c), 1 / abs(np.log(chi))
    for activation in ("erf", jax.scipy.special.erf):
        found = signal_limit(activation, weight, bias)
        np.testing.assert_allclose(found[:6], expected, rtol=1e-8)
        assert found.error < 1e-8


def test_tanh_agrees_with_integrals_of_scipy() -> None:
    weight, bias = 2.5, 0.05
    q = _root(lambda q: weight * _normal_mean(lambda x: np.tanh(x) ** 2, q) + bias - q, 0.05, 5.0)
    found = signal_limit("tanh", weight, bias)
    np.testing.assert_allclose(found.variance, q, rtol=1e-10)
    chi = weight * _normal_mean(lambda x: (1 - np.tanh(x) ** 2) ** 2, q)
    np.testing.assert_allclose(found.gradient_growth, chi, rtol=1e-10)
    curved = lambda x: -2 * np.tanh(x) ** 2 * (1 - np.tanh(x) ** 2)  # noqa: E731, φ φ″ of the definition
    np.testing.assert_allclose(
        found.variance_depth, -1 / np.log(chi + weight * _normal_mean(curved, q)), rtol=1e-9
    )  # ξ_q of the paper
    nodes, weights = np.polynomial.hermite_e.hermegauss(100)
    x, y, both = nodes[:, None], nodes[None], weights[:, None] * weights[None] / (2 * np.pi)
    c = float(found.correlation)
    u, v = np.sqrt(q) * x, np.sqrt(q) * (c * x + np.sqrt(1 - c * c) * y)
    np.testing.assert_allclose((weight * np.sum(both * np.tanh(u) * np.tanh(v)) + bias) / q, c, rtol=1e-8)
    inside = weight * np.sum(both * (1 - np.tanh(u) ** 2) * (1 - np.tanh(v) ** 2))
    np.testing.assert_allclose(found.correlation_depth, -1 / np.log(inside), rtol=1e-6)


def test_relu_and_linear_have_their_lines() -> None:
    relu = signal_limit("relu", [1.0, 2.0, 2.0, 3.0, 1.0], [0.1, 0.0, 0.1, 0.1, 0.0], variance=0.7)
    np.testing.assert_allclose(relu.variance, [0.2, 0.7, np.inf, np.inf, 0.0], rtol=1e-12)
    np.testing.assert_allclose(relu.gradient_growth, [0.5, 1.0, 1.0, 1.5, 0.5], rtol=1e-14)
    np.testing.assert_array_equal(relu.correlation, [1.0, 1.0, np.nan, np.nan, np.nan])
    np.testing.assert_allclose(relu.correlation_depth[0], 1 / np.log(2.0), rtol=1e-14)
    assert np.all(np.isinf(relu.correlation_depth[1:])) and np.isinf(relu.variance_depth[1])
    linear = signal_limit("linear", 0.5, 0.1)
    np.testing.assert_allclose(linear[:4], [0.2, 1.0, 0.5, 1 / np.log(2.0)], rtol=1e-12)


@pytest.mark.full
def test_a_kink_at_zero_has_its_line_by_quadrature() -> None:
    np.testing.assert_allclose(signal_limit(jax.nn.relu, 1.0, 0.1)[:4], [0.2, 1.0, 0.5, 1 / np.log(2.0)], rtol=1e-11)
    before = signal_limit("relu", 0.3, normalization="before")
    np.testing.assert_allclose(before.gradient_growth, 1.0, rtol=1e-14)


@pytest.mark.parametrize("activation", [pytest.param("tanh", marks=pytest.mark.full), "erf"])
def test_edges_of_chaos_have_growth_one_and_no_scale(activation: str) -> None:
    found = signal_limit(activation, *closed_forms.edge_of_chaos(activation, [0.2, 1.0]))
    np.testing.assert_allclose(found.variance, [0.2, 1.0], rtol=1e-7)
    np.testing.assert_allclose(found.gradient_growth, 1.0, rtol=1e-7)
    assert np.all(found.correlation_depth > 1e6) and np.all(found.gradient_depth > 1e6)


def test_a_correlation_that_stays_is_none() -> None:
    """Linear without bias keeps every c; an odd φ just above its edge moves c by less than rounding."""
    linear = signal_limit("linear", [1.0, 0.5], [0.0, 0.1])
    np.testing.assert_array_equal(linear.correlation, [np.nan, 1.0])
    erf = signal_limit("erf", np.pi / 4 * np.array([1 + 1e-6, 1.1]))
    assert 0 < erf.variance[0] < 1e-6 and np.isnan(erf.correlation[0]) and abs(erf.correlation[1]) < 1e-9


def test_depth_scales_are_the_slopes_of_the_layers() -> None:
    """Log-slopes of 1 − c and of q − q* over layers, ordered and chaotic. Negative control: ξ of another σ_w."""
    for weight, layers in ((0.8, 30), (2.5, 60)):
        limit = signal_limit("erf", weight, 0.05)
        run = signal_layers("erf", weight, 0.05, num_layers=layers, variance=2.0, correlation=0.6)
        far = np.abs(run.correlation - limit.correlation) if weight > 1 else run.excess
        rate = -np.log(far[-1] / far[-6]) / 5
        np.testing.assert_allclose(1 / rate, limit.correlation_depth, rtol=1e-3)
        assert abs(1 / rate - signal_limit("erf", 1.1 * weight, 0.05).correlation_depth) > 0.05 / rate
        gap = np.abs(run.variance - limit.variance)[4:10]
        np.testing.assert_allclose(-5 / np.log(gap[-1] / gap[0]), limit.variance_depth, rtol=0.03)


def test_the_start_decides_between_fixed_points() -> None:
    """φ = x² + a, q ← σ_w² (3q² + 2aq + a²): the lower root, from below and above, or infinity beyond the upper one.

    These lie 12 % apart, between two points of the grid.
    """
    a, weight = 1.3, 0.999 * (np.sqrt(48) - 4) / 16 / 1.3
    roots = np.sort(np.roots([3 * weight, 2 * a * weight - 1, weight * a * a]))
    raised = signal_limit(lambda x: x**2 + a, weight, variance=[0.01, 0.74, 0.8])
    np.testing.assert_allclose(raised.variance, [roots[0], roots[0], np.inf], rtol=1e-10)
    np.testing.assert_array_equal(np.isnan(raised.correlation), [False, False, True])


def test_a_variance_that_oscillates_has_no_limit() -> None:
    """φ = 4e^{−x²}, E φ² = 16/√(1 + 4q): the map falls, by more than one at a fixed point that lies low enough."""

    def bump(x: jax.Array) -> jax.Array:
        return 4.0 * jnp.exp(-jnp.square(x))

    for weight, bias in ((0.3, 0.01), (0.01, 0.5)):
        image = lambda q, weight=weight, bias=bias: weight * 16 / np.sqrt(1 + 4 * q) + bias - q  # noqa: E731
        q = _root(image, 1e-6, 1e4)
        slope = -2 * weight * 16 / (1 + 4 * q) ** 1.5
        found = signal_limit(bump, weight, bias)
        assert np.isnan(found.variance) == (abs(slope) > 1)
        np.testing.assert_allclose(found.variance_depth, np.inf if abs(slope) > 1 else -1 / np.log(-slope), rtol=1e-9)


def test_normalised_layers_have_their_exact_growth() -> None:
    """erf at unit variance: E φ′² / E φ² before, E φ′²/Var φ after, whatever σ_w is; linear ones are at one."""
    square, slope = 2 / np.pi * np.arcsin(2 / 3), 4 / np.pi / np.sqrt(5)
    before = signal_limit("erf", [0.5, 7.0], normalization="before")
    np.testing.assert_allclose(before.gradient_growth, slope / square, rtol=1e-12)
    np.testing.assert_allclose(before.variance, np.array([0.5, 7.0]) * square, rtol=1e-12)
    after = signal_limit("erf", 1.0, normalization="after")
    np.testing.assert_allclose(after.gradient_growth, slope / square, rtol=1e-12)
    np.testing.assert_allclose(closed_forms.batch_norm_growth("linear"), 1.0, rtol=1e-14)
    np.testing.assert_allclose(closed_forms.batch_norm_growth("relu"), np.pi / (np.pi - 1), rtol=1e-13)
    np.testing.assert_allclose(closed_forms.batch_norm_growth("erf"), slope / square, rtol=1e-13)


def test_derivatives_go_through_fixed_points() -> None:
    step = 1e-5
    ends = signal_limit("erf", [2.5 - step, 2.5 + step], 0.05)
    slopes = jax.jit(jax.vmap(jax.jacfwd(lambda w: signal_limit("erf", w, 0.05)[:5])))(jnp.array([2.5]))
    for slope, (below, above) in zip(slopes, ends, strict=False):
        np.testing.assert_allclose(slope[0], (above - below) / (2 * step), rtol=1e-5)


@pytest.mark.full
def test_derivatives_go_backwards_through_fixed_points() -> None:
    of_weight = lambda w: signal_limit("erf", w, 0.05).correlation  # noqa: E731
    numerical = (of_weight(2.5 + 1e-5) - of_weight(2.5 - 1e-5)) / 2e-5
    np.testing.assert_allclose(jax.grad(of_weight)(2.5), numerical, rtol=1e-5)


def test_numbers_broadcast() -> None:
    found = signal_limit("erf", np.array([[0.5], [2.0]]), np.array([0.0, 0.1, 0.2]))
    assert all(one.shape == (2, 3) for one in found)
    np.testing.assert_allclose(found.variance[1, 2], signal_limit("erf", 2.0, 0.2).variance, rtol=1e-14)


@pytest.mark.parametrize(
    "activation",
    [
        pytest.param("sign", marks=pytest.mark.full),
        pytest.param(lambda x: jnp.clip(x, -1, 1), marks=pytest.mark.full),
        lambda x: 1.0 * (jnp.abs(x) < 1),
    ],
)
def test_functions_that_are_not_resolved_are_refused(activation: str) -> None:
    """Jumps at zero, kinks and symmetric jumps elsewhere."""
    with pytest.raises(ValueError, match=r"`activation` .* is not resolved"):
        closed_forms.batch_norm_growth(activation)


def test_bad_numbers_are_named() -> None:
    for given, name in (({"weight_variance": -1.0}, "weight_variance"), ({"variance": 0.0}, "variance")):
        with pytest.raises(ValueError, match=f"`{name}` must be"):
            signal_limit(**{"activation": "erf", "weight_variance": 1.0, **given})  # pyright: ignore
    with pytest.raises(ValueError, match="`weight_variance` must be at most"):
        signal_limit("erf", 1e14)
    with pytest.raises(ValueError, match="Unknown normalization"):
        signal_limit("erf", 1.0, normalization="batch")
    with pytest.raises(ValueError, match="constant"):
        closed_forms.batch_norm_growth(lambda x: 0.0 * x + 1.0)

"""The Hermite series: exact for what is smooth, honest about the rest, and the same as the closed forms."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dyntheory import kernels as k
from dyntheory.ground.status import DyntheoryWarning
from dyntheory.kernels import quadrature
from dyntheory.kernels.moments import Block


def block_of(left: float, right: float, rho: np.ndarray) -> Block:
    scale = np.sqrt(left * right)
    one = jnp.ones(rho.shape)
    return Block(left * one, right * one, jnp.asarray(rho * scale), jnp.asarray((1 - rho) * scale), ntk=one)


def in_the_plane(left: float, right: float, rho: float) -> float:
    """E tanh(u) tanh(v) by the trapezoid rule in two dimensions."""
    z = np.linspace(-9.5, 9.5, 501)
    weight = np.exp(-0.5 * z**2) * (z[1] - z[0]) / np.sqrt(2 * np.pi)
    u = np.sqrt(left) * z[:, None]
    v = np.sqrt(right) * (rho * z[:, None] + np.sqrt(1 - rho**2) * z[None, :])
    return float(np.einsum("i,j,ij->", weight, weight, np.tanh(u) * np.tanh(v)))


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(("left", "right", "rho"), [(1.0, 1.7, 0.6), (0.3, 2.0, -0.9), (3.0, 3.0, 0.99)])
def test_tanh_against_a_rule_in_two_dimensions(left: float, right: float, rho: float) -> None:
    found = k.elementwise(jnp.tanh).dual.image(block_of(left, right, np.array([rho])))
    assert abs(float(found.cov[0]) - in_the_plane(left, right, rho)) < 1e-10


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("layer", [k.erf(), k.gelu(), k.sin(), k.gaussian(0.4), k.exp(0.5), k.hermite(4)], ids=str)
def test_smooth_functions_agree_with_their_closed_forms(layer: k.Layer) -> None:
    assert isinstance(layer, type(k.relu()))
    block = block_of(0.7, 1.4, np.array([-1.0, -0.9, 0.0, 0.4, 0.999, 1.0]))
    closed, series = layer._block(block), k.elementwise(layer.dual.function)._block(block)
    np.testing.assert_allclose(series.cov, closed.cov, rtol=0, atol=1e-10 * float(jnp.max(closed.left + closed.right)))
    assert closed.ntk is not None and series.ntk is not None
    np.testing.assert_allclose(series.ntk, closed.ntk, rtol=0, atol=1e-10 * float(jnp.max(jnp.abs(closed.ntk))))


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("variance", [0.5, 30.0])
def test_truncation_error_is_honest_and_falls_with_the_degree(variance: float) -> None:
    exact = k.elementwise(jnp.tanh, degree=1024).dual.second_moment(jnp.asarray(variance))
    bounds = []
    for degree in (16, 64, 256):
        bound = float(quadrature.truncation_error(jnp.tanh, variance, degree=degree))
        series = k.elementwise(jnp.tanh, degree=degree).dual.image(block_of(variance, variance, np.array([1.0])))
        assert abs(float(series.cov[0]) - float(exact)) <= bound + 1e-12
        bounds.append(bound)
    assert bounds[0] > bounds[1] > bounds[2] - 1e-15


@pytest.mark.usefixtures("double")
def test_kinks_are_reported_and_closed_forms_are_not() -> None:
    x = jnp.eye(3)
    with pytest.warns(DyntheoryWarning, match="raise its `degree`"):
        k.serial(k.dense(1), k.elementwise(jax.nn.hard_tanh)).kernel(x)
    k.serial(k.dense(1), k.elementwise(jax.nn.relu)).kernel(x)  # at zero a kink costs nothing
    k.serial(k.dense(1), k.relu()).kernel(x)
    k.serial(k.dense(1), k.elementwise(jnp.tanh)).kernel(x)


def test_bad_arguments() -> None:
    with pytest.raises(TypeError, match="`function` must be a function"):
        k.elementwise("tanh")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="degree"):
        k.elementwise(jnp.tanh, degree=0)
    with pytest.raises(ValueError, match="variance"):
        quadrature.truncation_error(jnp.tanh, -1.0)


@pytest.mark.parametrize("function", [lambda z: jnp.abs(z) ** 0.7, lambda z: jnp.sqrt(jnp.abs(z)), jnp.cbrt])
def test_infinite_derivatives_are_said(function: Any) -> None:
    inputs = np.random.default_rng(0).standard_normal((3, 4))
    network = k.serial(k.dense(1), k.elementwise(function), k.dense(1))
    with pytest.warns(DyntheoryWarning, match="infinite or no number where quadrature looks.*kernels that need it are"):
        found = network.kernel(inputs)
    assert np.all(np.isfinite(found.nngp)) and np.all(np.isnan(found.ntk))

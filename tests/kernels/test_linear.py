"""Fully connected networks: accuracy through depth, the two parameterisations, transformations, bad input."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

import dyntheory as dt
from dyntheory import kernels as k
from dyntheory.ground.precision import double_precision
from tests.kernels.oracle_duals import CASES, slope


def deep(activation: k.Layer, depth: int, weight_std: float = 2**0.5, bias_std: float | None = 0.3) -> k.Layer:
    layers = [
        layer for _ in range(depth) for layer in (k.dense(1, weight_std=weight_std, bias_std=bias_std), activation)
    ]
    return k.serial(*layers, k.dense(1, weight_std=weight_std, bias_std=bias_std))


def exact_pair(name: str, depth: int, inner: tuple[Any, Any, Any]) -> tuple[float, float]:
    """The recursion of both kernels in forty digits, from the input's two variances and covariance."""
    case, square, bias = CASES[name], mp.mpf(2**0.5) ** 2, mp.mpf(0.3) ** 2
    v1, v2, c = (square * moment + bias for moment in inner)
    ntk = c
    for _ in range(depth):
        rho = c / mp.sqrt(v1 * v2)
        factor = slope(case, v1, v2, rho)
        images = (case.cov(v1, v1, mp.mpf(1)), case.cov(v2, v2, mp.mpf(1)), case.cov(v1, v2, rho))
        v1, v2, c = (square * moment + bias for moment in images)
        ntk = c + square * factor * ntk
    return float(c), float(ntk)


def exact_moments(x1: np.ndarray, x2: np.ndarray) -> tuple[Any, Any, Any]:
    def inner(a: np.ndarray, b: np.ndarray) -> Any:
        return mp.fsum(mp.mpf(float(p)) * mp.mpf(float(q)) for p, q in zip(a, b, strict=True)) / len(a)

    return inner(x1, x1), inner(x2, x2), inner(x1, x2)


INPUTS = np.random.default_rng(3).standard_normal((3, 8)).astype(np.float32) * np.array([[1.0], [0.2], [3.0]])


DEEP = {(name, depth): deep(CASES[name].layer, depth) for name in CASES for depth in (3, 10)}


def check_depth(name: str, depth: int, dtype: type, tolerance: float) -> None:
    x = INPUTS.astype(np.float32)
    with double_precision():
        nngp, ntk = map(np.asarray, DEEP[name, depth].kernel(x.astype(dtype)))
    assert ntk.dtype == dtype
    for i, j in ((0, 0), (1, 1), (2, 2), (0, 1), (1, 2)):
        exact = exact_pair(name, depth, exact_moments(x[i], x[j]))
        assert abs(nngp[i, j] / exact[0] - 1) < tolerance
        assert abs(ntk[i, j] / exact[1] - 1) < tolerance


PRECISIONS = pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-13), (np.float32, 1e-5)])


@PRECISIONS
def test_ten_relu_layers_on_and_off_the_diagonal(dtype: type, tolerance: float) -> None:
    check_depth("relu", 10, dtype, tolerance)


@pytest.mark.full
@PRECISIONS
@pytest.mark.parametrize("name", ["leaky_relu", "abs", "erf", "gelu", "sin", "rbf"])
def test_ten_layers_on_and_off_the_diagonal(name: str, dtype: type, tolerance: float) -> None:
    check_depth(name, 10, dtype, tolerance)


@PRECISIONS
def test_near_coincident_rows_from_differences(dtype: type, tolerance: float) -> None:
    """In one set: row i is the first row moved by 10^(-i)."""
    rows = INPUTS[:1] + np.array([[0.0], [1e-3], [1e-6]]) * np.arange(1, 9)
    rows = rows.astype(dtype)
    with double_precision():
        network = DEEP["relu", 3]
        asked, usual = (np.asarray(network.kernel(rows, from_differences=flag).ntk) for flag in (True, False))
    for i, j in ((0, 1), (0, 2), (1, 2)):
        exact = exact_pair("relu", 3, exact_moments(rows[i], rows[j]))[1]
        assert abs(asked[i, j] / exact - 1) < tolerance
        assert abs(usual[i, j] / exact - 1) < 20 * np.finfo(dtype).eps ** 0.5


@pytest.mark.usefixtures("double")
def test_one_set_twice_is_the_same_as_two_sets() -> None:
    network, x = deep(k.gelu(), 2), jnp.asarray(INPUTS)
    for one, two in zip(network.kernel(x), network.kernel(x, x + 0.0), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-12)
        np.testing.assert_allclose(one, one.T, rtol=1e-14)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("symmetric", [True, False])
def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch, symmetric: bool) -> None:
    x = jax.random.normal(jax.random.key(4), (23, 5))
    other = None if symmetric else jax.random.normal(jax.random.key(5), (11, 5))
    whole = deep(k.relu(), 2).kernel(x, other)
    monkeypatch.setattr("dyntheory.kernels.blocks.NUMBERS_IN_A_BLOCK", 17)
    in_blocks = deep(k.relu(), 2).kernel(x, other)
    for one, two in zip(whole, in_blocks, strict=True):
        np.testing.assert_allclose(two, one, rtol=1e-12)


@pytest.mark.usefixtures("double")
def test_standard_parameterization_has_the_same_nngp_and_a_wider_tangent_kernel() -> None:
    def network(kind: str) -> k.Layer:
        make = functools.partial(k.dense, weight_std=1.4, bias_std=0.2, parameterization=kind)
        return k.serial(make(50), k.relu(), make(7))

    x = jnp.asarray(INPUTS)
    one, two = network("ntk").kernel(x), network("standard").kernel(x)
    np.testing.assert_allclose(one.nngp, two.nngp, rtol=1e-14)
    hidden = k.serial(k.dense(50, weight_std=1.4, bias_std=0.2), k.relu()).kernel(x).nngp
    slopes = k.serial(k.dense(50, weight_std=1.4, bias_std=0.2), k.relu()).kernel(x).ntk
    preactivation = k.dense(50, weight_std=1.4, bias_std=0.2).kernel(x).nngp
    expected = 50 * hidden + 1 + 1.4**2 * slopes / preactivation * (x @ x.T + 1)
    np.testing.assert_allclose(two.ntk, expected, rtol=1e-12)


@pytest.mark.usefixtures("double")
def test_safe_under_jit_vmap_and_grad() -> None:
    network, x = deep(k.relu(), 2), jnp.asarray(INPUTS)
    plain = network.kernel(x)
    np.testing.assert_allclose(jax.jit(network.kernel)(x).ntk, plain.ntk, rtol=1e-13)
    batched = jax.jit(jax.vmap(network.kernel))(jnp.stack([x, 2 * x]))
    np.testing.assert_allclose(batched.ntk[0], plain.ntk, rtol=1e-13)

    @jax.jit
    def loss(scale: jax.Array, rows: jax.Array) -> jax.Array:
        return jnp.sum(deep(k.relu(), 2, weight_std=scale).kernel(rows).ntk)  # pyright: ignore[reportArgumentType]

    slope_scale, slope_rows = jax.jit(jax.grad(loss, argnums=(0, 1)))(jnp.asarray(1.3), x)
    step = 1e-6
    numeric = (loss(jnp.asarray(1.3 + step), x) - loss(jnp.asarray(1.3 - step), x)) / (2 * step)
    assert abs(float(slope_scale / numeric) - 1) < 1e-7
    bump = jnp.zeros_like(x).at[0, 1].set(step)
    numeric = (loss(jnp.asarray(1.3), x + bump) - loss(jnp.asarray(1.3), x - bump)) / (2 * step)
    assert abs(float(slope_rows[0, 1] / numeric) - 1) < 1e-6


def test_zero_rows_give_zeros_not_nan() -> None:
    for activation in (k.relu(), k.sign()):
        network = k.serial(k.dense(1), activation, k.dense(1))
        found = network.kernel(np.zeros((2, 3)), np.ones((1, 3)))
        gradient = jax.jit(jax.grad(lambda x, net=network: net.kernel(x).ntk.sum()))(jnp.zeros((2, 3)))
        assert all(bool(jnp.all(jnp.isfinite(array))) for array in (*found, gradient))
        np.testing.assert_array_equal(found.nngp, 0.0)


def test_flax_module_is_the_finite_network() -> None:
    network, x = k.serial(k.dense(6, bias_std=0.1), k.relu(), k.dropout(0.5), k.dense(2)), jnp.ones((3, 4))
    module = network.flax()
    variables = module.init(jax.random.key(1), x)
    np.testing.assert_allclose(module.apply(variables, x), network.apply(variables["params"]["layers"], x), rtol=1e-6)
    dropped = module.apply(variables, x, rngs={"dropout": jax.random.key(2)})
    assert np.max(np.abs(dropped - module.apply(variables, x))) > 0.01


def test_the_module_is_an_attribute_of_the_package() -> None:
    assert dt.kernels.dense is k.dense


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: k.dense(0), ValueError, "width"),
        (lambda: k.dense(3, weight_std=-1.0), ValueError, "weight_std"),
        (
            lambda: k.dense(3, bias_std="big"),  # pyright: ignore[reportArgumentType]
            TypeError,
            "bias_std",
        ),
        (lambda: k.dense(3, parameterization="ntx"), ValueError, "Did you mean 'ntk'"),
        (lambda: k.serial(), ValueError, "at least one"),
        (
            lambda: k.serial(k.dense(3), k.relu),  # pyright: ignore[reportArgumentType]
            TypeError,
            "with its brackets",
        ),
        (lambda: k.serial(k.relu()).kernel(np.ones((2, 3))), ValueError, "put `dense`"),
        (lambda: k.dense(3).kernel(np.ones(3)), ValueError, "shape"),
        (lambda: k.dense(3).kernel("x"), TypeError, "array of inputs"),
        (lambda: k.dense(3).kernel(np.ones((2, 3)), np.ones((2, 4))), ValueError, "one shape"),
        (lambda: k.dense(3).kernel(np.ones((2, 3), complex)), TypeError, "real"),
        (
            lambda: k.dense(3).init(0, (3,)),  # pyright: ignore[reportArgumentType]
            TypeError,
            "jax.random.key",
        ),
        (lambda: k.dense(3).init(jax.random.key(0), (-1, 3)), ValueError, "without rows"),
        (lambda: k.polynomial(()), ValueError, "at least one"),
        (lambda: k.rbf(-1.0), ValueError, "gamma"),
    ],
)
def test_bad_input_says_what_to_do(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()

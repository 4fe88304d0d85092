"""Which sums of branches have the sum of kernels, and which are refused; finite networks are the judge of both."""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dyntheory import kernels as k
from dyntheory.kernels import combinators, duals
from dyntheory.kernels.activations import Elementwise
from tests.kernels.monte_carlo import estimate, z_scores
from tests.kernels.test_finite_networks import check

dense = functools.partial(k.dense, weight_std=1.3, bias_std=0.4)
block = k.serial(dense(6), k.residual(k.relu(), dense(6)))
inputs = jax.random.normal(jax.random.key(11), (3, 6))
images = jax.random.normal(jax.random.key(12), (3, 4, 6))

CENTRED = {
    "dense": (dense(6), inputs),
    "odd": (k.serial(dense(6), k.erf()), inputs),
    "odd by its values": (k.serial(dense(6), k.elementwise(jnp.arctan)), inputs),
    "odd of a sum": (k.serial(dense(6), k.residual(k.relu(), dense(6)), k.layer_norm(), k.sin()), inputs),
    "residual": (block, inputs),
    "residual twice": (k.serial(dense(6), k.residual(k.residual(k.relu(), dense(6)), k.relu(), dense(6))), inputs),
    "sum": (k.add(dense(6), k.serial(dense(6), k.sign())), inputs),
    "concatenation": (k.concatenate(dense(2), k.serial(dense(4), k.sin())), inputs),
    "dropped": (k.serial(dense(6), k.erf(), k.dropout(0.3)), inputs),
    "pooled": (k.serial(k.conv(6, 3), k.sin(), k.global_average_pool()), images),
    "flat": (k.serial(k.conv(3, 3, strides=2), k.erf(), k.flatten()), images),
    "attention": (
        k.serial(k.attention(6, num_heads=2, head_width=2), k.layer_norm(), k.erf(), k.global_average_pool()),
        images,
    ),
}
UNCENTRED = {
    "input": (k.identity(), inputs),
    "mean": (k.serial(dense(6), k.relu()), inputs),
    "mean after odd": (k.serial(dense(6), k.erf(), dense(6), k.sigmoid_like()), inputs),
    "shifted sine": (k.serial(dense(6), k.sin(phase=0.3)), inputs),
    "residual without weights": (k.residual(dense(6)), inputs),
    "residual of the input": (k.residual(dense(6), k.relu(), dense(6)), inputs),
    "concatenated with the input": (k.concatenate(k.serial(dense(6)), k.identity()), inputs),
    "pooled": (k.serial(k.global_average_pool()), images),
}


@pytest.mark.parametrize("name", sorted(CENTRED))
@pytest.mark.parametrize("other", ["centred", "input"])
def test_the_kernel_of_uncorrelated_branches_is_their_sum(name: str, other: str) -> None:
    branch, x = CENTRED[name]
    second = k.global_average_pool() if x.ndim == 3 else k.identity()
    if other == "centred":
        second = k.serial(branch, dense(6))
    for layer in (branch, second):
        assert layer.output_shape(x.shape[1:]) == (6,)
    together = k.add(branch, second).kernel(x)
    for found, one, two in zip(together, branch.kernel(x), second.kernel(x), strict=True):
        np.testing.assert_allclose(found, one + two, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", sorted(UNCENTRED))
def test_correlated_branches_are_refused_by_place(name: str) -> None:
    branch, x = UNCENTRED[name]
    width = branch.output_shape(x.shape[1:])[-1]
    centred = dense(width) if x.ndim == 2 else k.serial(k.conv(width, 3), k.global_average_pool())
    with pytest.raises(ValueError, match=r"uncorrelated branches, but those at the places \[0, 2\]"):
        k.add(branch, centred, branch).kernel(x)
    k.add(branch, centred).kernel(x)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_what_all_branches_read_is_centred_for_none_of_them(depth: int) -> None:
    """However many sums stand around: the shortcut of the innermost is correlated with an odd function of itself."""
    inner: k.Layer = k.residual(k.erf())
    for _ in range(depth):
        inner = k.serial(dense(6), k.add(k.serial(dense(6), inner), dense(6)))
    with pytest.raises(ValueError, match="uncorrelated"):
        inner.kernel(inputs)


@pytest.mark.parametrize(
    ("branches", "least"),
    [
        ((k.identity(), k.identity()), 1e-3),
        ((k.serial(dense(6), k.relu()), k.serial(dense(6), k.gelu())), 1e-3),
        ((k.residual(dense(6)), k.residual(dense(6))), 1e-3),
    ],
    ids=["the input twice", "two means", "two shortcuts"],
)
def test_refused_sums_do_not_have_the_sum_of_kernels(
    branches: tuple[k.Layer, ...], least: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control: let through, they disagree with finite networks by many standard errors."""
    network = k.serial(k.add(*branches), dense(8))
    monkeypatch.setattr(combinators, "_forbid_correlated", lambda uncentred: None)
    found = estimate(network, inputs, num_draws=1024, seed=5)
    wrong = network.kernel(inputs)
    assert max(np.max(np.abs(z_scores(f, np.asarray(e)))) for f, e in zip(found, wrong, strict=True)) > 6  # against 4.2


def test_accepted_odd_functions_agree_where_one_that_is_not_would_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """One comparison, two functions: softplus taken for odd fails it, tanh passes."""

    def network(function: Callable[[jax.Array], jax.Array]) -> k.Layer:
        branch = k.serial(dense(9), k.elementwise(function))
        return k.serial(k.add(branch, branch), dense(8))

    good = network(jnp.tanh)
    for found, exact in zip(estimate(good, inputs, num_draws=256, seed=5), good.kernel(inputs), strict=True):
        check(found, exact)
    bad = network(jax.nn.softplus)
    with pytest.raises(ValueError, match="uncorrelated"):
        bad.kernel(inputs)
    monkeypatch.setattr(duals.Dual, "is_odd", True)
    nngp = estimate(bad, inputs, num_draws=256, seed=5)[0]
    assert np.max(np.abs(z_scores(nngp, np.asarray(bad.kernel(inputs).nngp)))) > 6


@pytest.mark.parametrize(
    ("layer", "odd"),
    [
        (k.erf(2.0), True),
        (k.sin(3.0), True),
        (k.sign(), True),
        (k.monomial(3), True),
        (k.hermite(5), True),
        (k.polynomial((0.0, 1.0, 0.0, -0.2)), True),
        (k.leaky_relu(1.0), True),
        (k.elementwise(jnp.tanh), True),
        (k.relu(), False),
        (k.leaky_relu(0.99), False),
        (k.abs(), False),
        (k.gelu(), False),
        (k.cos(), False),
        (k.rbf(), False),
        (k.gaussian(), False),
        (k.exp(), False),
        (k.sigmoid_like(), False),
        (k.monomial(2), False),
        (k.polynomial((1e-6, 1.0)), False),
        (k.elementwise(jax.nn.softplus), False),
        (k.elementwise(lambda x: x / (x * 0)), False),  # NaN is not odd
    ],
)
def test_odd_functions_are_known(layer: Elementwise, odd: bool) -> None:
    """Against the Gaussian mean of φ, by Gauss-Hermite quadrature in NumPy at a variance of 0.7."""
    assert layer.dual.is_odd == odd
    nodes, weights = np.polynomial.hermite_e.hermegauss(101)
    mean = np.asarray(layer.dual.function(jnp.asarray(np.sqrt(0.7) * nodes))) @ weights / math.sqrt(2 * math.pi)
    assert (abs(mean) < 1e-7) == odd or np.isnan(mean)


def test_sums_of_traced_functions() -> None:
    """Under a trace the values of a function that depends on it are unknown; `erf` and `sin` are odd anyway."""

    def entry(scale: jax.Array, layer: Callable[[jax.Array], k.Layer]) -> jax.Array:
        branch = k.serial(dense(6), layer(scale))
        return k.add(branch, branch).kernel(inputs).ntk[0, 1]

    for layer in (k.erf, k.sin):
        value = jax.jit(functools.partial(entry, layer=layer))
        slope = jax.jit(jax.grad(value))(1.0)
        finite = (value(1.01) - value(0.99)) / 0.02
        np.testing.assert_allclose(slope, finite, rtol=1e-2)
    with pytest.raises(ValueError, match="uncorrelated"):
        jax.grad(entry)(jnp.asarray(1.0), lambda scale: k.elementwise(lambda x: jnp.tanh(scale * x)))

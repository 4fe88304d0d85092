"""Every layer against finite networks: with one layer of nonlinearities the mean over draws is the kernel at any width.

NNGP and NTK of such networks have no bias in the width, so the z-scores need no extrapolation; deeper ones are
extrapolated from two widths.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dyntheory import kernels as k
from tests.kernels.monte_carlo import Estimate, estimate, z_scores

WIDTH, OUTPUTS, DRAWS = 8, 8, 256
dense = functools.partial(k.dense, weight_std=1.3, bias_std=0.4)
conv = functools.partial(k.conv, weight_std=1.3, bias_std=0.4)
out = dense(OUTPUTS)
attention = k.attention(WIDTH, num_heads=6, head_width=4, score_std=0.5, bias_std=0.2)


class Case(NamedTuple):
    """A network and the shape of its inputs."""

    network: k.Layer
    shape: tuple[int, ...]
    with_mask: bool = False


def standard(width: int) -> k.Layer:
    return dense(width, parameterization="standard")


def standard_attention(bias_std: float | None) -> k.Layer:
    layer = functools.partial(k.attention, WIDTH, num_heads=6, head_width=4, score_std=0.5, value_std=1.2)
    return layer(weight_std=0.9, bias_std=bias_std, parameterization="standard")


CASES = {
    "dense": Case(k.serial(dense(WIDTH), k.relu(), out), (5,)),
    "no bias": Case(k.serial(k.dense(WIDTH), k.gelu(), k.dense(OUTPUTS)), (5,)),
    "standard": Case(k.serial(standard(WIDTH), k.erf(), standard(OUTPUTS)), (5,)),
    "linear layers": Case(k.serial(dense(WIDTH), dense(WIDTH), out), (5,)),
    "elementwise": Case(k.serial(dense(WIDTH), k.elementwise(jnp.tanh), out), (5,)),
    "residual sum": Case(k.serial(dense(WIDTH), k.residual(k.abs(), dense(WIDTH)), out), (5,)),
    "residual concat": Case(k.serial(dense(WIDTH), k.residual(k.relu(), dense(7), combine="concat"), out), (5,)),
    "sum of branches": Case(
        k.serial(
            k.add(k.serial(dense(WIDTH), k.sin(), dense(9)), dense(9), k.serial(dense(8), k.exp(0.3), dense(9))), out
        ),
        (5,),
    ),
    "sum of residuals": Case(
        k.serial(
            k.add(
                k.serial(dense(9), k.residual(k.abs(), dense(9))), k.serial(dense(9), k.residual(k.relu(), dense(9)))
            ),
            out,
        ),
        (5,),
    ),
    "residual in residual": Case(k.serial(k.residual(dense(5), k.residual(k.relu(), dense(5))), out), (5,)),
    "sum of odd functions": Case(
        k.serial(k.add(k.serial(dense(9), k.erf()), k.serial(dense(9), k.sin(1.5)), k.serial(dense(9), k.relu())), out),
        (5,),
    ),
    "odd beside the input": Case(k.serial(k.residual(dense(5), k.elementwise(jnp.tanh)), out), (5,)),
    "sum of odd conv": Case(
        k.serial(
            k.add(
                k.serial(conv(WIDTH, 3), k.erf(), k.average_pool(2)),
                k.serial(conv(WIDTH, 3), k.sin(), k.sum_pool(2)),
                k.average_pool(2),
            ),
            k.global_average_pool(),
            out,
        ),
        (4, WIDTH),
    ),
    "dropout": Case(k.serial(dense(WIDTH), k.relu(), k.dropout(0.3), out), (5,), True),
    "conv same": Case(k.serial(conv(WIDTH, 3), k.relu(), k.flatten(), out), (6, 2)),
    "conv valid strided": Case(k.serial(conv(WIDTH, 3, strides=2, padding="VALID"), k.erf(), k.flatten(), out), (7, 2)),
    "conv circular": Case(k.serial(conv(WIDTH, 4, padding="CIRCULAR"), k.relu(), k.flatten(), out), (6, 2)),
    "conv standard": Case(
        k.serial(conv(WIDTH, 3, parameterization="standard"), k.relu(), k.flatten(), standard(OUTPUTS)), (4, 2)
    ),
    "conv 2-d": Case(k.serial(conv(WIDTH, (3, 2), strides=(1, 2)), k.relu(), k.flatten(), out), (4, 4, 2)),
    "conv twice": Case(k.serial(conv(WIDTH, 3), conv(WIDTH, 2), k.relu(), k.flatten(), out), (5, 2)),
    "global average": Case(k.serial(conv(WIDTH, 3), k.relu(), k.global_average_pool(), out), (5, 2)),
    "global sum 2-d": Case(k.serial(conv(WIDTH, (2, 2)), k.relu(), k.global_sum_pool(), k.dense(OUTPUTS)), (3, 3, 2)),
    "average pool": Case(k.serial(conv(WIDTH, 3), k.relu(), k.average_pool(2), k.flatten(), out), (6, 2)),
    "pool before": Case(
        k.serial(conv(WIDTH, 2), k.sum_pool(3, strides=1, padding="SAME"), k.relu(), k.flatten(), out), (5, 2)
    ),
    "pool 2-d": Case(
        k.serial(conv(WIDTH, (2, 2)), k.average_pool((2, 2), padding="CIRCULAR"), k.gelu(), k.flatten(), out), (4, 4, 2)
    ),
    "dropout conv": Case(
        k.serial(conv(WIDTH, 3), k.relu(), k.dropout(0.4), k.global_average_pool(), out), (4, 2), True
    ),
    "residual conv": Case(
        k.serial(conv(WIDTH, 3), k.residual(k.relu(), conv(WIDTH, 3)), k.global_average_pool(), out), (4, 2)
    ),
    "attention": Case(k.serial(attention, k.global_average_pool(), k.dense(OUTPUTS)), (4, 3)),
    "attention standard": Case(k.serial(standard_attention(0.0), k.global_average_pool(), standard(OUTPUTS)), (4, 3)),
    "attention 2-d": Case(k.serial(attention, k.flatten(), k.dense(OUTPUTS)), (2, 2, 3)),
}


def inputs(shape: tuple[int, ...]) -> jax.Array:
    return jax.random.normal(jax.random.key(11), (3, *shape))


def check(found: Estimate, exact: jax.Array) -> None:
    """Require standard errors below a tenth of the kernel, and deviations within four of them."""
    scale = np.sqrt(np.outer(np.diag(exact), np.diag(exact)))
    assert np.max(found.standard_error / scale) < 0.1
    assert np.max(np.abs(z_scores(found, np.asarray(exact)))) < 4.2


DEFAULT = (
    "attention",
    "attention standard",
    "average pool",
    "conv 2-d",
    "dense",
    "dropout",
    "residual concat",
    "residual sum",
    "sum of odd functions",
    "sum of residuals",
)
NAMES = [name if name in DEFAULT else pytest.param(name, marks=pytest.mark.full) for name in sorted(CASES)]


@pytest.mark.parametrize("name", NAMES)
def test_kernels_are_means_over_finite_networks(name: str) -> None:
    case = CASES[name]
    x = inputs(case.shape)
    found = estimate(case.network, x, num_draws=DRAWS, seed=5, with_mask=case.with_mask)
    for one, exact in zip(found, case.network.kernel(x), strict=True):
        check(one, exact)


def extrapolated(make: functools.partial[k.Layer], x: jax.Array, num_draws: int) -> tuple[Estimate, Estimate]:
    """2 m(2w) − m(w): the bias of order 1/w drops out."""
    small = estimate(make(width=24), x, num_draws=num_draws, seed=6)
    large = estimate(make(width=48), x, num_draws=num_draws, seed=7)
    nngp, ntk = (
        Estimate(2 * b.mean - a.mean, np.sqrt(4 * b.standard_error**2 + a.standard_error**2))
        for a, b in zip(small, large, strict=True)
    )
    return nngp, ntk


def deep_relu(width: int) -> k.Layer:
    return k.serial(dense(width), k.relu(), dense(width), k.relu(), out)


def normalized(width: int) -> k.Layer:
    return k.serial(dense(width), k.layer_norm(), k.relu(), out)


def linear_attention(width: int, **changes: Any) -> k.Layer:
    arguments = {"scaling": "linear", "normalization": "softmax", "score_std": 0.6, **changes}
    layer = k.attention(8, num_heads=2, head_width=4 * width, **arguments)
    return k.serial(layer, k.global_average_pool(), k.dense(OUTPUTS))


def standard_linear_attention(width: int) -> k.Layer:
    """Few channels and small values, so that both the values and the output have a share in the tangent kernel."""
    return linear_attention(width, value_std=0.3, bias_std=0.2, parameterization="standard")


def attention_after(width: int, below: str, here: str) -> k.Layer:
    """What attention passes on from the parameters below it, with a bias that tames its heavy tails."""
    layer = k.attention(8, num_heads=6, head_width=4, score_std=0.5, value_std=0.6, bias_std=0.7, parameterization=here)
    return k.serial(k.conv(width, 2, parameterization=below), layer, k.global_average_pool(), k.dense(OUTPUTS))


def odd_of_a_sum(width: int) -> k.Layer:
    first = k.serial(dense(width), k.residual(k.relu(), dense(width)), k.erf())
    return k.serial(dense(width), k.add(first, k.serial(dense(width), k.sin()), k.identity()), out)


def odd_after_shared_weights(width: int) -> k.Layer:
    return k.serial(dense(width), k.relu(), k.residual(dense(width), k.erf()), out)


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        pytest.param(deep_relu, (5,), marks=pytest.mark.full),
        pytest.param(odd_after_shared_weights, (5,), marks=pytest.mark.full),
        pytest.param(standard_linear_attention, (3, 3), marks=pytest.mark.full),
        pytest.param(functools.partial(attention_after, below="standard", here="ntk"), (3, 3), marks=pytest.mark.full),
        pytest.param(functools.partial(attention_after, below="ntk", here="standard"), (3, 3), marks=pytest.mark.full),
        pytest.param(odd_of_a_sum, (5,), marks=pytest.mark.full),
        (normalized, (5,)),
        (linear_attention, (3, 3)),
    ],
    ids=[
        "deep",
        "odd after shared weights",
        "standard attention",
        "attention after standard",
        "standard attention after",
        "odd of a sum",
        "layer norm",
        "attention",
    ],
)
def test_deep_kernels_are_limits_of_finite_networks(make: functools.partial[k.Layer], shape: tuple[int, ...]) -> None:
    """Kernels of the "standard" parameterisation grow with the width: theirs are extrapolated like the networks'."""
    x = inputs(shape)
    exact = [2 * large - small for large, small in zip(make(width=48).kernel(x), make(width=24).kernel(x), strict=True)]
    for one, other in zip(extrapolated(make, x, 4 * DRAWS), exact, strict=True):
        check(one, other)


@pytest.mark.parametrize("scaling", ["sqrt", "linear"])
def test_both_parameterizations_of_attention_start_as_one_function(scaling: str) -> None:
    """The standard weights of one key are the others times σ/√fan_in, so squared gradients grow by fan_in/σ²."""
    make = functools.partial(
        k.attention, WIDTH, num_heads=2, head_width=3, scaling=scaling, score_std=0.5, value_std=1.2, weight_std=0.9
    )
    x, key = inputs((4, 5)), jax.random.key(3)
    found = []
    for parameterization in ("ntk", "standard"):
        layer = make(bias_std=0.3, parameterization=parameterization)
        params = layer.init(key, x.shape[1:])
        gradients = jax.jacrev(lambda p, layer=layer: layer.apply(p, x)[:, 0, 0])(params)
        found.append((layer.apply(params, x), {name: jnp.sum(g**2) for name, g in gradients.items()}))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-4, atol=1e-5)
    gains = {"queries": 5 / 0.5, "keys": 5 / 0.5, "values": 5 / 1.2**2, "output": 6 / 0.9**2, "bias": 1 / 0.3**2}
    assert found[0][1].keys() == gains.keys() - ({"keys"} if scaling == "linear" else set())
    for name, square in found[0][1].items():
        np.testing.assert_allclose(found[1][1][name], gains[name] * square, rtol=1e-4)


def test_the_comparison_sees_a_wrong_kernel() -> None:
    """Negative controls: a missing σ_w, a mask that is not there, a bias that starts at zero and does not train."""
    for name, wrong in (
        ("dense", k.serial(dense(WIDTH), k.relu(), k.dense(OUTPUTS, bias_std=0.4))),
        ("dropout", k.serial(dense(WIDTH), k.relu(), out)),
        ("attention standard", k.serial(standard_attention(None), k.global_average_pool(), standard(OUTPUTS))),
    ):
        case = CASES[name]
        x = inputs(case.shape)
        found = estimate(case.network, x, num_draws=4 * DRAWS, seed=5, with_mask=case.with_mask)
        exact = wrong.kernel(x)
        assert (
            max(np.max(np.abs(z_scores(f, np.asarray(e)))) for f, e in zip(found, exact, strict=True)) > 6
        )  # against 4.2

"""Every layer against finite networks: with one layer of nonlinearities the mean over draws is the kernel at any width.

NNGP and NTK of such networks have no bias in the width, so the z-scores need no extrapolation; deeper ones are
extrapolated from two widths.
"""

import functools
from typing import NamedTuple

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


def linear_attention(width: int) -> k.Layer:
    layer = k.attention(8, num_heads=2, head_width=4 * width, scaling="linear", normalization="softmax", score_std=0.6)
    return k.serial(layer, k.global_average_pool(), k.dense(OUTPUTS))


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
        (odd_of_a_sum, (5,)),
        (normalized, (5,)),
        (linear_attention, (3, 3)),
    ],
    ids=["deep", "odd after shared weights", "odd of a sum", "layer norm", "attention"],
)
def test_deep_kernels_are_limits_of_finite_networks(make: functools.partial[k.Layer], shape: tuple[int, ...]) -> None:
    x = inputs(shape)
    for one, exact in zip(extrapolated(make, x, 4 * DRAWS), make(width=24).kernel(x), strict=True):
        check(one, exact)


def test_the_comparison_sees_a_wrong_kernel() -> None:
    """Negative controls: a missing σ_w, a mask that is not there."""
    for name, wrong in (
        ("dense", k.serial(dense(WIDTH), k.relu(), k.dense(OUTPUTS, bias_std=0.4))),
        ("dropout", k.serial(dense(WIDTH), k.relu(), out)),
    ):
        case = CASES[name]
        x = inputs(case.shape)
        found = estimate(case.network, x, num_draws=4 * DRAWS, seed=5, with_mask=case.with_mask)
        exact = wrong.kernel(x)
        assert (
            max(np.max(np.abs(z_scores(f, np.asarray(e)))) for f, e in zip(found, exact, strict=True)) > 6
        )  # against 4.2

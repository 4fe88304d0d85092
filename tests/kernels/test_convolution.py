"""Positions: exact values by loops, accuracy through depth, what has no kernel."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dyntheory import kernels as k

DEEP_CONV = k.serial(
    k.conv(4, 3, weight_std=1.4, bias_std=0.3),
    k.relu(),
    k.conv(4, 2, strides=2, weight_std=1.4, padding="VALID"),
    k.relu(),
    k.global_average_pool(),
    k.dense(1, weight_std=1.2, bias_std=0.1),
)


def relu_by_angle(cov: np.ndarray, v1: np.ndarray, v2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scale = np.sqrt(np.outer(v1, v2))
    theta = np.arccos(np.clip(cov / scale, -1, 1))
    return scale * (np.sin(theta) + (np.pi - theta) * np.cos(theta)) / (2 * np.pi), (np.pi - theta) / (2 * np.pi)


def by_loops(x1: np.ndarray, x2: np.ndarray) -> tuple[float, float]:
    """The kernels of DEEP_CONV between two inputs, position pair by position pair, the patches written out."""

    def pad(matrix: np.ndarray) -> np.ndarray:
        return np.pad(matrix, 1)

    def convolved(matrix: np.ndarray, window: int, stride: int, square: float, bias: float) -> np.ndarray:
        num = (matrix.shape[0] - window) // stride + 1
        out = np.zeros((num, num))
        for p, q, offset in itertools.product(range(num), range(num), range(window)):
            out[p, q] += square * matrix[p * stride + offset, q * stride + offset] / window
        return out + bias

    def through(matrix: np.ndarray, tangent: np.ndarray, v1: Any, v2: Any, layer: tuple[Any, ...]) -> tuple[Any, Any]:
        cov = convolved(matrix, *layer)
        own = cov + convolved(tangent, layer[0], layer[1], layer[2], 0.0)
        image, slope = relu_by_angle(cov, v1, v2)
        return image, slope * own

    kernels: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = {}
    inputs = (x1, x2)
    pairs = ((0, 0), (1, 1), (0, 1))
    for i, j in pairs:
        start = inputs[i] @ inputs[j].T / inputs[i].shape[1]
        kernels[i, j] = (pad(start), np.zeros_like(pad(start)))
    for layer in ((3, 1, 1.4**2, 0.09), (2, 2, 1.4**2, 0.0)):
        variances = [np.diag(convolved(kernels[i, i][0], *layer)) for i in (0, 1)]
        kernels = {(i, j): through(*kernels[i, j], variances[i], variances[j], layer) for i, j in pairs}
    nngp, ntk = (float(matrix.mean()) for matrix in kernels[0, 1])
    output = 1.44 * nngp + 0.01
    return output, output + 1.44 * ntk


@pytest.mark.usefixtures("double")
def test_convolutions_and_pooling_against_loops() -> None:
    x1, x2 = (jax.random.normal(jax.random.key(seed), (2, 6, 3)) for seed in (1, 2))
    found = DEEP_CONV.kernel(x1, x2)
    asked = DEEP_CONV.kernel(x1, x2, from_differences=True)
    np.testing.assert_allclose(asked.ntk, found.ntk, rtol=1e-12)
    for i, j in itertools.product(range(2), range(2)):
        exact = by_loops(np.asarray(x1[i]), np.asarray(x2[j]))
        np.testing.assert_allclose((found.nngp[i, j], found.ntk[i, j]), exact, rtol=1e-12)


@pytest.mark.usefixtures("double")
def test_a_window_over_everything_is_a_dense_layer() -> None:
    x = jax.random.normal(jax.random.key(3), (3, 4, 2))
    wide = k.serial(k.conv(1, 4, padding="VALID", bias_std=0.2), k.erf(), k.flatten(), k.dense(1)).kernel(x)
    flat = k.serial(k.dense(1, bias_std=0.2), k.erf(), k.dense(1)).kernel(x.reshape(3, 8))
    for one, two in zip(wide, flat, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-12)


@pytest.mark.usefixtures("double")
def test_pairs_and_equal_positions_agree_after_flatten() -> None:
    """A layer that needs pairs of positions, but changes nothing, must not change the kernel."""
    x = jax.random.normal(jax.random.key(4), (3, 5, 2))
    body = (k.conv(1, 3, bias_std=0.3), k.relu(), k.conv(1, 2, padding="CIRCULAR"), k.relu())
    plain = k.serial(*body, k.flatten(), k.dense(1)).kernel(x)
    pairs = k.serial(*body, k.average_pool(1), k.flatten(), k.dense(1)).kernel(x)
    for one, two in zip(plain, pairs, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-12)


@pytest.mark.parametrize("end", [k.flatten(), k.global_average_pool()], ids=["flatten", "pool"])
def test_the_diagonal_does_not_depend_on_the_other_rows(end: k.Layer) -> None:
    """Float32, equal patches at many positions: an angle of √ε would cost 1e-4 in the tangent kernel."""
    x = np.ones((2, 6, 1), np.float32) * np.array([1.0, 3.0], np.float32)[:, None, None]
    body = (k.conv(1, 3, padding="CIRCULAR", weight_std=2**0.5), k.relu()) * 2
    found = k.serial(*body, end, k.dense(1)).kernel(x)
    np.testing.assert_allclose(np.diag(found.ntk), [3.0, 27.0], rtol=2e-6)
    np.testing.assert_allclose(np.diag(found.nngp), [1.0, 9.0], rtol=2e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: k.conv(3, 3, padding="FULL"), "padding"),
        (lambda: k.conv(3, (3, 3), strides=(1,)), "as many numbers"),
        (lambda: k.conv(3, 0), "window"),
        (lambda: k.conv(3, 5, padding="VALID").kernel(jnp.ones((2, 4, 1))), "does not fit"),
        (lambda: k.conv(3, (2, 2)).kernel(jnp.ones((2, 4, 1))), "spatial axes"),
        (lambda: k.serial(k.dense(3), k.average_pool(2)).kernel(jnp.ones((2, 4))), "positions|spatial"),
        (lambda: k.serial(k.conv(3, 3), k.flatten(), k.relu()).kernel(jnp.ones((2, 4, 1))), "put `dense`"),
        (lambda: k.serial(k.dense(3), k.relu(), k.layer_norm()).kernel(jnp.ones((2, 4))), "put `dense`"),
        (lambda: k.serial(k.dense(3), k.residual(k.relu())).kernel(jnp.ones((2, 4))), "uncorrelated"),
        (lambda: k.serial(k.dense(3), k.residual(k.relu(), k.dense(4))).kernel(jnp.ones((2, 4))), "one width"),
        (lambda: k.add(k.conv(3, 3), k.conv(3, 3, strides=2)).kernel(jnp.ones((2, 4, 1))), "same positions"),
        (lambda: k.dropout(1.0), "below one"),
        (lambda: k.attention(3, num_heads=2, head_width=2, normalization="softmax"), "no closed kernel"),
        (lambda: k.attention(3, num_heads=2, head_width=2, parameterization="mup"), "parameterization"),
        (lambda: k.attention(3, num_heads=2, head_width=2).kernel(jnp.ones((2, 4))), "positions"),
    ],
)
def test_bad_input_says_what_to_do(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()

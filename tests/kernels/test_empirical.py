"""The empirical kernel against Jacobians taken whole: every method, every form, programs that are and are not dense."""

from collections.abc import Callable, Iterator
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from dyntheory.kernels import empirical_ntk, ntk_product, solve
from dyntheory.kernels.empirical_products import split_parameters
from dyntheory.kernels.jaxpr_rows import Plan, find_plan
from dyntheory.kernels.jaxpr_run import inlined

pytestmark = pytest.mark.usefixtures("double", "broadcasting")
DRAW = np.random.default_rng(7).standard_normal
X1, X2 = DRAW((5, 4)), DRAW((3, 4))
PARAMS = (DRAW((6, 4)), DRAW(6), DRAW((6, 2)))


@pytest.fixture
def broadcasting() -> Iterator[None]:
    """Let the functions of users broadcast vectors over rows, as most do."""
    with jax.numpy_rank_promotion("allow"):
        yield


def whole(apply: Callable[..., Any], params: Any, x1: Any, x2: Any) -> np.ndarray:
    """Return the full kernel from the Jacobians of the whole batch, all parameters in one row."""

    def jacobian(inputs: Any) -> np.ndarray:
        leaves, rebuild = split_parameters(params)
        outputs = jax.eval_shape(apply, params, inputs)
        rows = len(inputs), outputs.size // len(inputs)
        trees = jax.jit(jax.jacrev(lambda values: apply(rebuild(values), inputs).reshape(rows)))(leaves)
        return np.concatenate([np.asarray(tree).reshape(*rows, -1) for tree in trees], axis=-1)

    return np.einsum("iap,jbp->ijab", jacobian(jnp.asarray(x1)), jacobian(jnp.asarray(x2)))


def plan(apply: Callable[..., Any], params: Any, inputs: Any = X1) -> Plan | None:
    leaves, rebuild = split_parameters(params)
    return find_plan(inlined(lambda values, x: apply(rebuild(values), x), leaves, jnp.asarray(inputs)), len(leaves))


@jax.custom_vjp
def coupled_backwards(h: jax.Array) -> jax.Array:
    """Treat rows one by one, with a derivative that does not."""
    return jnp.sin(h)


def _backwards(cosine: jax.Array, cotangent: jax.Array) -> tuple[jax.Array]:
    return (cosine * cotangent + jnp.mean(cotangent, axis=0, keepdims=True),)


coupled_backwards.defvjp(lambda h: (jnp.sin(h), jnp.cos(h)), _backwards)


@jax.custom_vjp
def surrogate_backwards(h: jax.Array) -> jax.Array:
    """Treat rows one by one, forwards and backwards."""
    return jnp.sin(h)


surrogate_backwards.defvjp(lambda h: (jnp.sin(h), jnp.cos(h)), lambda c, g: (c**2 * g,))


def hidden(p: Any, x: Any) -> jax.Array:
    return jnp.tanh(x @ p[0].T + p[1])


DENSE: dict[str, Callable[..., Any]] = {
    "plain": lambda p, x: hidden(p, x) @ p[2],
    "scalar output": lambda p, x: jnp.tanh(x @ p[0].T) @ p[1],
    "vmap of one row": lambda p, x: jax.vmap(lambda row: jnp.tanh(p[0] @ row + p[1]) @ p[2])(x),
    "scaled weights": lambda p, x: jnp.tanh(x @ (0.7 * p[0]).T / 2 + p[1][None, :] / 3) @ (-p[2] * 1.5) / jnp.sqrt(6.0),
    "scaled sums": lambda p, x: 3 * (jnp.tanh(0.2 * (x @ p[0].T) / 0.7 + 0.1 * p[1]) @ p[2]),
    "columns": lambda p, x: (p[2].T @ jnp.tanh(p[0] @ x.T + p[1][:, None])).T,
    "jit and remat": jax.jit(lambda p, x: jax.checkpoint(hidden)(p, x) @ p[2]),
    "residual": lambda p, x: (lambda h: h + jax.nn.relu(h))(x @ p[0].T + p[1]) @ p[2],
    "concatenated": lambda p, x: (
        jnp.concatenate([x[:, None, :] @ jnp.eye(4), 2 * x[:, None, :]], 2).sum(1) @ jnp.ones((8, 4)) @ p[0].T
    ),
    "softmax": lambda p, x: jax.nn.softmax(x @ p[0].T + p[1]) @ p[2],
    "norm without gain": lambda p, x: (
        (lambda h: (h - h.mean(1, keepdims=True)) / jnp.std(h, 1, keepdims=True))(hidden(p, x)) @ p[2]
    ),
    "stopped rows": lambda p, x: jax.lax.stop_gradient(hidden(p, x)) @ p[2],
    "own derivative": lambda p, x: surrogate_backwards(x @ p[0].T + p[1]) @ p[2],
    "unused": lambda p, x: jnp.tanh(x @ p[0].T) @ p[2],
    "flattened": lambda p, x: jnp.where(x > 0, x, 0.1 * x).reshape(len(x), 2, 2).reshape(len(x), -1) @ p[0].T + p[1],
}
OTHER: dict[str, Callable[..., Any]] = {
    "shared": lambda p, x: jnp.tanh(x @ p[0].T @ p[0]) @ p[0].T @ p[2],
    "gain": lambda p, x: jnp.tanh(x @ p[0].T * p[1]) @ p[2],
    "stopped weight": lambda p, x: jnp.tanh(x @ jax.lax.stop_gradient(p[0]).T + p[1]) @ p[2],
    "squared weight": lambda p, x: jnp.tanh(x @ (p[0] ** 2).T) @ p[2],
    "weight of a weight": lambda p, x: x @ (p[0].T @ p[2]),
    "scaled by a weight": lambda p, x: jnp.tanh(x @ p[0].T) @ (p[2] * p[1][0]),
    "bias for all units": lambda p, x: jnp.tanh(x @ p[0].T + p[1][:1]) @ p[2],
    "positions": lambda p, x: jnp.tanh(x.reshape(len(x), 2, 2) @ p[0][:, :2].T).sum(1) @ p[2],
}
COUPLED: dict[str, Callable[..., Any]] = {
    "centred inputs": lambda p, x: jnp.tanh((x - x.mean(0)) @ p[0].T + p[1]) @ p[2],
    "centred features": lambda p, x: (lambda h: h - h.mean(0))(hidden(p, x)) @ p[2],
    "sorted rows": lambda p, x: jnp.sort(hidden(p, x) @ p[2], axis=0),
    "attention": lambda p, x: jax.nn.softmax(hidden(p, x) @ hidden(p, x).T) @ x @ p[0].T @ p[2],
    "coupled derivative": lambda p, x: coupled_backwards(x @ p[0].T + p[1]) @ p[2],
    "bias by row": lambda p, x: hidden(p, x) @ p[2] + (p[1][: len(x)])[:, None],
}


@pytest.mark.parametrize("name", DENSE)
def test_dense_programs_are_recognised_and_right(name: str) -> None:
    expected = whole(DENSE[name], PARAMS, X1, X2)
    assert plan(DENSE[name], PARAMS) is not None
    found = empirical_ntk(DENSE[name], PARAMS, X1, X2, trace=False, method="dense")
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", OTHER)
def test_other_programs_are_not_taken_for_dense_and_right(name: str) -> None:
    assert plan(OTHER[name], PARAMS) is None
    found = empirical_ntk(OTHER[name], PARAMS, X1, X2, trace=False)
    np.testing.assert_allclose(found, whole(OTHER[name], PARAMS, X1, X2), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", COUPLED)
def test_coupled_rows_are_noticed_and_right(name: str) -> None:
    apply = COUPLED[name]
    assert plan(apply, PARAMS) is None
    found = empirical_ntk(apply, PARAMS, X1, X2, trace=False)
    np.testing.assert_allclose(found, whole(apply, PARAMS, X1, X2), rtol=1e-12, atol=1e-13)
    with pytest.raises(ValueError, match="other rows"):
        empirical_ntk(apply, PARAMS, X1, method="jacobian")


def test_as_many_rows_as_units_do_not_confuse() -> None:
    """Six rows, six units: a bias along the batch must not be taken for one along the units."""
    square = DRAW((6, 4))
    wrong: Callable[..., Any] = lambda p, x: jnp.tanh(x @ p[0].T + p[1][:, None]) @ p[2]  # noqa: E731
    assert plan(wrong, PARAMS, square) is None
    for apply in (wrong, DENSE["plain"], DENSE["columns"]):
        found = empirical_ntk(apply, PARAMS, square, trace=False)
        np.testing.assert_allclose(found, whole(apply, PARAMS, square, square), rtol=1e-12)


@pytest.mark.parametrize("method", ["dense", "jacobian", "products"])
def test_forms_and_methods_agree(method: str) -> None:
    apply, full = DENSE["scaled weights"], whole(DENSE["scaled weights"], PARAMS, X1, X1)
    diagonal = np.einsum("ijaa->ija", full)
    for options, expected in (({"trace": False}, full), ({"diagonal": True}, diagonal), ({}, diagonal.mean(-1))):
        found = empirical_ntk(apply, PARAMS, X1, method=method, **options)
        np.testing.assert_allclose(found, expected, rtol=1e-12)
        blocks = empirical_ntk(apply, PARAMS, X1, method=method, block_size=2, **options)
        np.testing.assert_allclose(blocks, expected, rtol=1e-12)


class Residual(nn.Module):
    """What a user may have written: residual block, layer norm, another width."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        h = nn.gelu(nn.Dense(5)(x))
        h = h + nn.relu(nn.Dense(5, use_bias=False)(nn.LayerNorm()(h)))
        return nn.Dense(2)(h)


def _spread(params: Any, key: jax.Array) -> Any:
    return jax.tree.map(lambda leaf: leaf + 0.2 * jax.random.normal(key, leaf.shape, float), params)


MORE = [pytest.param(f, marks=pytest.mark.full) for f in (nn.relu, nn.silu, nn.elu, nn.softplus, nn.leaky_relu)]


@pytest.mark.parametrize("activation", [nn.gelu, *MORE])
def test_flax_stacks_take_the_fast_path(activation: Callable[..., Any], key: jax.Array) -> None:
    module = nn.Sequential([nn.Dense(5), activation, nn.Dense(3, use_bias=False), activation, nn.Dense(2)])
    params = _spread(module.init(key, jnp.asarray(X1)), key)
    found = empirical_ntk(module.apply, params, X1, X2, trace=False, method="dense")
    np.testing.assert_allclose(found, whole(module.apply, params, X1, X2), rtol=1e-11, atol=1e-13)


def test_flax_module_with_residuals_and_layer_norm(key: jax.Array) -> None:
    module = Residual()
    params = _spread(module.init(key, jnp.asarray(X1)), key)
    found = empirical_ntk(module.apply, params, X1, X2, trace=False)
    np.testing.assert_allclose(found, whole(module.apply, params, X1, X2), rtol=1e-11, atol=1e-13)


@pytest.mark.full
def test_flax_convolutions(key: jax.Array) -> None:
    images = DRAW((3, 4, 4, 1))
    net = nn.Sequential([nn.Conv(3, (3, 3)), nn.relu, lambda h: h.reshape(len(h), -1), nn.Dense(2)])
    params = _spread(net.init(key, jnp.asarray(images)), key)
    found = empirical_ntk(net.apply, params, images, trace=False)
    np.testing.assert_allclose(found, whole(net.apply, params, images, images), rtol=1e-11, atol=1e-13)


def test_nnx_module(key: jax.Array) -> None:
    del key
    definition, params = nnx.split(nnx.Linear(4, 2, rngs=nnx.Rngs(0)))
    params = jax.tree.map(lambda leaf: leaf.astype(float), params)
    apply: Callable[..., Any] = lambda p, x: jnp.tanh(nnx.merge(definition, p)(x))  # noqa: E731
    found = empirical_ntk(apply, params, X1, trace=False)
    np.testing.assert_allclose(found, whole(apply, params, X1, X1), rtol=1e-12)


def test_works_inside_jit_vmap_and_grad() -> None:
    first, second = jnp.asarray(X1), jnp.asarray(X2)
    for apply in (DENSE["plain"], OTHER["gain"], COUPLED["centred features"]):
        found = jax.jit(lambda p, apply=apply: empirical_ntk(apply, p, first, second))(PARAMS)
        expected = np.einsum("ijaa->ij", whole(apply, PARAMS, X1, X2)) / 2
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)

    def size(scale: Any) -> jax.Array:
        params = (scale * PARAMS[0], *PARAMS[1:])
        return jnp.sum(empirical_ntk(DENSE["plain"], params, first, second))

    slope = (size(1.0 + 1e-6) - size(1.0 - 1e-6)) / 2e-6
    np.testing.assert_allclose(jax.grad(size)(1.0), slope, rtol=1e-7)
    np.testing.assert_allclose(jax.vmap(size)(jnp.array([1.0, 2.0]))[1], size(2.0), rtol=1e-12)


def test_products_are_the_kernel_times_a_vector() -> None:
    apply, vector = DENSE["plain"], DRAW((3, 2))
    expected = np.einsum("ijab,jb->ia", whole(apply, PARAMS, X1, X2), vector)
    np.testing.assert_allclose(ntk_product(apply, PARAMS, X1, vector, X2), expected, rtol=1e-12)


def test_regression_without_forming_the_kernel() -> None:
    apply: Callable[..., Any] = lambda p, x: DENSE["plain"](p, x)[:, :1]  # noqa: E731
    labels = DRAW(5)
    found = solve(lambda v: ntk_product(apply, PARAMS, X1, v), labels, ridge=0.1)
    expected = np.linalg.solve(whole(apply, PARAMS, X1, X1)[:, :, 0, 0] + 0.5 * np.eye(5), labels)
    np.testing.assert_allclose(found.coefficients, expected, rtol=1e-8)


def test_integer_leaves_are_held_and_precision_is_kept() -> None:
    params = {"w": PARAMS[0].astype(np.float32), "steps": np.int32(3)}
    found = empirical_ntk(lambda p, x: x @ p["w"].T * p["steps"], params, X1.astype(np.float32))
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, 9 * X1 @ X1.T, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: empirical_ntk(DENSE["plain"], PARAMS, X1, trace=True, diagonal=True), ValueError, "diagonal"),
        (lambda: empirical_ntk(DENSE["plain"], PARAMS, X1, method="fast"), ValueError, "Known"),
        (lambda: empirical_ntk(OTHER["gain"], PARAMS, X1, method="dense"), ValueError, "not a plain stack"),
        (lambda: empirical_ntk(lambda p, x: x @ p, np.ones((4, 2), complex), X1), TypeError, "real"),
        (lambda: empirical_ntk(lambda p, x: x * p, np.ones(4, int), X1), TypeError, "floating"),
        (lambda: empirical_ntk(lambda p, x: jnp.sum(x @ p), np.ones(4), X1), ValueError, "must return"),
        (lambda: empirical_ntk(DENSE["plain"], PARAMS, X1[:0]), ValueError, "one row"),
        (lambda: ntk_product(DENSE["plain"], PARAMS, X1, np.ones(5)), ValueError, "vector"),
    ],
)
def test_bad_input_says_what_was_wrong(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()

"""Networks whose layers repeat: the same kernels as layer by layer, from a program that does not grow with depth."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dyntheory import kernels as k
from dyntheory.kernels import duals
from dyntheory.kernels.layer import Layer, _programs, labelled_kernel
from dyntheory.kernels.moments import State, input_state
from dyntheory.kernels.repeats import _repeat
from dyntheory.kernels.sameness import Same

pytestmark = pytest.mark.usefixtures("double")
rows = np.random.default_rng(0).standard_normal((4, 5))
images = np.random.default_rng(1).standard_normal((3, 4, 4, 2))
FROM = 0.3
LAYERS: dict[str, tuple[Callable[[], tuple[Layer, ...]], Any]] = {
    "dense": (lambda: (k.dense(7, weight_std=1.4, bias_std=0.2), k.relu()), rows),
    "one layer": (lambda: (k.dense(7, bias_std=0.3),), rows),
    "three layers": (lambda: (k.dense(7, weight_std=1.4), k.layer_norm(), k.erf()), rows),
    "residual": (lambda: (k.residual(k.dense(5, weight_std=0.5), k.gelu(), k.dense(5)),), rows),
    "dropped": (lambda: (k.dense(7), k.leaky_relu(0.1), k.dropout(0.2)), rows),
    "series": (lambda: (k.dense(7), k.elementwise(jnp.tanh)), rows),
    "convolution": (lambda: (k.conv(2, (3, 3), weight_std=1.3), k.relu()), images),
    "attention": (lambda: (k.attention(2, num_heads=2, head_width=2), k.layer_norm()), images),
    "shrinking": (lambda: (k.conv(2, (2, 2)), k.sin(), k.average_pool((2, 2))), images),
}


def _one_by_one(layers: tuple[Layer, ...], state: State) -> State:
    return functools.reduce(lambda now, layer: layer.propagate(now), layers, state)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("is_one_set", [True, False])
def test_repeats_have_the_kernels_of_layers_one_by_one(name: str, is_one_set: bool) -> None:
    make, x = LAYERS[name]
    count = 2 if name == "shrinking" else 5
    trip = make()
    end = (k.global_average_pool(),) if x.ndim == 4 else ()
    layers = (k.dense(2 if x.ndim == 4 else 5), *trip * count, *end, k.dense(1))
    labels = (jnp.arange(len(x)), jnp.arange(len(x))) if is_one_set else None
    other = x if is_one_set else x[::-1] + FROM
    network = k.serial(*layers)
    runs, layouts = (functools.partial(_one_by_one, layers), network.propagate), []

    def cross(run: Callable[[State], State], x: Any, other: Any) -> Any:
        state = run(input_state(x, other, labels, pairs=network.needs_pairs, from_differences=False))
        layouts.append(state.layout)
        return state.cross

    one_by_one, found = (jax.jit(functools.partial(cross, run))(x, other) for run in runs)
    assert layouts[0] == layouts[1]
    for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(one_by_one), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-13, atol=1e-15)


def _size(network: Layer, x: Any) -> int:
    return len(str(jax.make_jaxpr(lambda x: labelled_kernel(network, x, x, None))(x)))


@pytest.mark.parametrize("name", ["dense", "three layers", "residual", "convolution"])
def test_a_program_does_not_grow_with_depth(name: str) -> None:
    make, x = LAYERS[name]

    def network(depth: int, build: Callable[[int], tuple[Layer, ...]]) -> Layer:
        return k.serial(k.dense(x.shape[-1]), *(layer for i in range(depth) for layer in build(i)))

    def alike(index: int) -> tuple[Layer, ...]:
        del index
        return make()

    def unlike(index: int) -> tuple[Layer, ...]:
        return (*make(), k.dense(x.shape[-1], weight_std=1.0 + index))

    assert _size(network(12, alike), x) <= 1.01 * _size(network(4, alike), x)
    assert _size(network(12, unlike), x) > 2 * _size(network(4, unlike), x)


def test_what_repeats_most_is_found() -> None:
    def repeat(text: str) -> tuple[int, int]:
        return _repeat([Same(letter) for letter in text])

    assert repeat("abababab") == (2, 4)
    assert repeat("aaab") == (1, 3)
    assert repeat("aabaabaab") == (3, 3)
    assert repeat("abab") == repeat("abcdef") == repeat("a") == (1, 1)


def test_derivatives_go_through_repeats() -> None:
    layers = (k.dense(3, weight_std=1.2), k.erf()) * 4

    def alike(x: Any) -> Any:
        return jnp.sum(k.serial(*layers).kernel(x, rows).ntk)

    def one_by_one(x: Any) -> Any:
        state = input_state(x, jnp.asarray(rows), None, pairs=False, from_differences=False)
        ntk = _one_by_one(layers, state).cross.ntk
        assert ntk is not None
        return jnp.sum(ntk)

    there = jnp.asarray(rows[:2]) + FROM
    ours, theirs = (jax.jit(jax.grad(run))(there) for run in (alike, one_by_one))
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-14)

    @jax.jit
    def total(weight_std: Any) -> Any:
        return jnp.sum(k.serial(*(k.dense(3, weight_std=weight_std), k.erf()) * 4).kernel(rows).ntk)

    far, near = ((total(1.2 + w) - total(1.2 - w)) / (2 * w) for w in (2e-3, 1e-3))
    assert float(jax.jit(jax.grad(total))(1.2)) == pytest.approx(float(4 * near - far) / 3, rel=1e-8)


def test_what_is_traced_is_not_kept() -> None:
    def total(slope: Any) -> Any:
        return jnp.sum(k.serial(k.dense(3, weight_std=slope), k.leaky_relu(slope), k.dense(1)).kernel(rows).ntk)

    before = _programs.cache_info().misses
    assert np.isfinite(jax.grad(total)(0.3))
    assert _programs.cache_info().misses == before


def test_layers_are_the_same_only_if_their_programs_are() -> None:
    assert Same(k.dense(3, weight_std=1.5)) == Same(k.dense(3, weight_std=1.5))
    assert Same(k.relu()) == Same(k.relu()) and k.relu().dual is k.relu().dual
    assert Same(k.serial(k.dense(3), k.hermite(4))) == Same(k.serial(k.dense(3), k.hermite(4)))
    different = [
        (k.dense(3), k.dense(4)),
        (k.dense(3, weight_std=1.5), k.dense(3, weight_std=1.5 + 1e-15)),
        (k.leaky_relu(0.1), k.leaky_relu(0.2)),
        (k.erf(1.0), k.erf(2.0)),
        (k.relu(), k.abs()),
        (k.elementwise(lambda z: jnp.tanh(z)), k.elementwise(lambda z: jnp.tanh(2 * z))),
        (k.serial(k.dense(3), k.dense(3)), k.serial(k.dense(3))),
    ]
    for one, other in different:
        assert Same(one) == Same(one) and Same(one) != Same(other), (one, other)
    for one, other in [(1, 1.0), (1, True), (0.0, -0.0), (1.0, np.float64(1.0)), (jnp.ones(2), jnp.ones(2))]:
        assert Same(one) != Same(other)
    assert duals.rectifier(0, 1) is not duals.rectifier(0.0, 1.0)


def test_equal_networks_share_their_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    traced: list[int] = []
    monkeypatch.setattr(duals, "angle", lambda block, angle=duals.angle: traced.append(1) or angle(block))

    def network(width: int) -> Layer:
        return k.serial(k.dense(width, weight_std=1.7), k.relu(), k.dense(1))

    first = network(31).kernel(rows)
    count = len(traced)
    assert count > 0
    np.testing.assert_array_equal(network(31).kernel(rows).ntk, first.ntk)
    assert len(traced) == count
    network(32).kernel(rows)
    assert len(traced) > count

"""What is proved linear is linear whatever the run does; what only looks so at some values is not."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import dyntheory as dt
from dyntheory.problem.methods.linearity import feature_map_is_linear
from tests.own_methods import estimated_noise, thresholded, wakes_up, wakes_up_on_data, warming

NETWORK = dt.MLP((3, 2), "gelu")


def _after(count: int) -> Any:
    return lambda step, **_: step > count


MIX = np.asarray([[0.5, 0.2], [0.0, 0.9]])


@pytest.mark.parametrize(
    ("optimizer", "numbers", "linear"),
    [
        (optax.sgd, {"learning_rate": 0.1}, True),
        (optax.sgd, {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True}, True),
        (optax.sgd, {"learning_rate": optax.cosine_decay_schedule(0.1, 5)}, True),
        (optax.sgd, {"learning_rate": 1e-9}, True),
        (optax.chain(optax.add_decayed_weights(0.1), optax.sgd(0.1)), {}, True),
        (optax.chain(optax.ema(0.9), optax.sgd(0.1)), {}, True),
        (optax.chain(optax.sgd(0.1), optax.apply_every(3)), {}, True),
        (optax.apply_if_finite(optax.sgd(0.1, momentum=0.9), 3), {}, True),
        (optax.chain(optax.zero_nans(), optax.sgd(0.1)), {}, True),
        (optax.chain(optax.conditionally_transform(optax.scale(0.5), _after(3)), optax.sgd(0.1)), {}, True),
        (optax.adam, {"learning_rate": 0.1}, False),
        (optax.sign_sgd, {"learning_rate": 0.1}, False),
        (optax.chain(optax.clip(0.5), optax.sgd(0.1)), {}, False),
        (optax.chain(optax.clip(1e9), optax.sgd(0.1)), {}, False),
        (optax.chain(optax.conditionally_transform(optax.clip(0.1), _after(1000)), optax.sgd(0.1)), {}, False),
        (optax.adam, {"learning_rate": lambda count: jnp.where(count < 15, 0.0, 0.1)}, False),
        (optax.adam, {"learning_rate": 1e-6}, False),
        (dt.ista, {"learning_rate": 0.3, "penalty": 0.0}, False),
    ],
)
def test_optimizers(optimizer: Any, numbers: dict[str, Any], linear: bool) -> None:
    method = dt.gradient_descent(NETWORK, optimizer, **numbers)
    assert feature_map_is_linear(method, NETWORK.init_head(jax.random.key(0))) is linear
    wrapped = dt.dropout(dt.mini_batches(method, 0.5), 0.2)
    assert feature_map_is_linear(wrapped, NETWORK.init_head(jax.random.key(0))) is linear


@pytest.mark.parametrize("threshold", [estimated_noise, wakes_up, wakes_up_on_data])
def test_thresholds_that_begin_at_zero(threshold: Any) -> None:
    assert feature_map_is_linear(thresholded(threshold), {}) is False
    assert feature_map_is_linear(warming((0.1, 0.2)), {}) is True


def _scanned(row: Any, p: Any) -> Any:
    return jax.lax.scan(lambda x, _: (0.9 * x + p, None), row, length=3)[0]


def _counted(row: Any, p: Any) -> Any:
    return jax.lax.while_loop(lambda pair: pair[0] < 3, lambda pair: (pair[0] + 1, pair[1] - p), (0, row))[1]


def _until_small(row: Any, p: Any) -> Any:
    return jax.lax.while_loop(lambda x: jnp.sum(x) > 1.0, lambda x: 0.5 * x, row - p)


MAPS: dict[str, tuple[Callable[[Any, Any, Any], Any], bool]] = {
    "mixes units": (lambda w, p, step: w - jnp.asarray(MIX) @ p, True),
    "moves entries": (lambda w, p, step: w.at[0].set(p[1]).at[1].add(-p[0])[::-1], True),
    "asks whether it is finite": (lambda w, p, step: w - jnp.where(jnp.isnan(p), 0.0, p), True),
    "asks whether its root is": (lambda w, p, step: w - 0.5 * jnp.where(jnp.isnan(jnp.sqrt(p)), 0.0, p), False),
    "asks whether its logarithm is": (lambda w, p, step: jnp.where(jnp.isfinite(jnp.log(p)), w - p, w), False),
    "switches with time": (lambda w, p, step: jnp.where(step > 3, w - p, 0.0), True),
    "chooses with time": (lambda w, p, step: jax.lax.cond(step > 3, lambda: w - p, lambda: p), True),
    "divides by time": (lambda w, p, step: (w - p) / (1.0 + step), True),
    "scans": (lambda w, p, step: _scanned(w, p), True),
    "loops": (lambda w, p, step: _counted(w, p), True),
    "calls": (lambda w, p, step: jax.checkpoint(jax.jit(lambda x: 2.0 * x))(w - p), True),
    "is affine": (lambda w, p, step: w - p + 1e-12, False),
    "becomes affine": (lambda w, p, step: w - p + jnp.where(step > 1000, 1.0, 0.0), False),
    "chooses by sign": (lambda w, p, step: jax.lax.cond(p[0] > 0, lambda: w - p, lambda: p), False),
    "loops by size": (lambda w, p, step: _until_small(w, p), False),
    "squares": (lambda w, p, step: w - 1e-9 * p * w, False),
    "normalises": (lambda w, p, step: w - p / jnp.maximum(1.0, jnp.linalg.norm(p) / 1e9), False),
    "rounds": (lambda w, p, step: jnp.asarray(jnp.asarray(w - p, jnp.float32), w.dtype), False),
    "saturates far out": (lambda w, p, step: 1e9 * jnp.tanh((w - p) / 1e9), False),
    "multiplies all entries": (lambda w, p, step: w - jnp.prod(p), False),
}


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("name", MAPS)
def test_own_maps(name: str) -> None:
    """`step` is all that the shared value holds, so it is a constant of the row."""
    function, linear = MAPS[name]
    method = dataclasses.replace(
        warming((0.1,)),
        num_units=2,
        init_feature=lambda row, shared: row,
        feature_map=lambda state, p, shared, u: (function(state, p, shared["rate"]),) * 2 + ((),),
    )
    assert feature_map_is_linear(method, {}) is linear


def _method(**maps: Any) -> dt.GeneralFirstOrderMethod:
    return dataclasses.replace(warming((0.1,)), **maps)


@pytest.mark.usefixtures("double")
def test_states_are_followed_until_nothing_changes() -> None:
    """A square that reaches the weights two steps later counts, one that never does not; nor may a start be bent."""
    method = _method()

    def chained(state: Any, p: Any, shared: Any, u: Any) -> Any:
        row, first, second = state
        return (row - second, p**2, first), row - second, ()

    def watched(state: Any, p: Any, shared: Any, u: Any) -> Any:
        row, largest, count = state
        return (row - p, jnp.maximum(largest, p**2), count + 1), row - p, ()

    start = {"init_feature": lambda row, shared: (row, 0.0 * row, 0.0 * row)}
    assert not feature_map_is_linear(_method(feature_map=chained, **start), {})
    assert feature_map_is_linear(_method(feature_map=watched, **start), {})
    bent = {"init_feature": lambda row, shared: (jnp.abs(row), row)}
    assert not feature_map_is_linear(_method(**bent), {})
    counted = lambda state, p, shared, u: (*method.feature_map(state, p, shared, u)[:2], p)  # noqa: E731
    assert not feature_map_is_linear(_method(feature_map=counted), {})
    assert not feature_map_is_linear(_method(feature_noise=1), {})

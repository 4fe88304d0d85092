"""A plain script at one width does what it does at another, with numbers and start as `transfer` says."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import dyntheory as dt
from dyntheory.wide.transferring import Transferred, transfer
from tests.wide.cases import INPUTS, KEY, LABELS

STEPS, WIDTH, COPIES = 6, 5, 3
CASES: dict[str, tuple[Any, dict[str, Any]]] = {
    "sgd": (optax.sgd, {"learning_rate": 0.3}),
    "nesterov": (optax.sgd, {"learning_rate": optax.cosine_decay_schedule(0.3, 6), "momentum": 0.8, "nesterov": True}),
    "adam": (optax.adam, {"learning_rate": 0.05, "eps": 1e-2, "eps_root": 1e-3}),
    "adam, default eps": (optax.adam, {"learning_rate": 0.05, "b1": 0.8}),
    "nadam": (optax.nadam, {"learning_rate": 0.05, "eps": 1e-2}),
    "adamw": (optax.adamw, {"learning_rate": optax.linear_schedule(0.05, 0.01, 6), "eps": 1e-2, "weight_decay": 0.3}),
    "nadamw": (optax.nadamw, {"learning_rate": 0.05, "eps": 1e-2, "weight_decay": 0.3}),
    "lion": (optax.lion, {"learning_rate": 0.02, "weight_decay": 0.5}),
}
QUICK = ("nesterov", "adamw")
GROUPS = ("first", "hidden", "readout", "bias", "output_bias")


def _outputs(params: Any, inputs: Any) -> Any:
    """Return what a network of two hidden layers says; kernels (in, out) as flax stores them."""
    signal = jnp.tanh(inputs @ params["first"] + params["bias"][0])
    signal = jnp.tanh(signal @ params["hidden"] + params["bias"][1])
    return (signal @ params["readout"])[:, 0] + params["output_bias"]


def _train(optimizer: Any, params: Any, outputs: Callable[[Any, Any], Any] = _outputs, steps: int = STEPS) -> Any:
    """Return outputs on the inputs less those before training, (T+1, P)."""
    start = outputs(params, INPUTS)

    def loss(params: Any) -> Any:
        return 0.5 * jnp.mean((outputs(params, INPUTS) - start - LABELS) ** 2)

    def step(carry: Any, _: Any) -> Any:
        params, state = carry
        updates, state = optimizer.update(jax.grad(loss)(params), state, params)
        return (optax.apply_updates(params, updates), state), outputs(params, INPUTS) - start

    return jax.lax.scan(step, (params, optimizer.init(params)), length=steps + 1)[1]


def _by_group(optimizer: Any, numbers: Transferred) -> Any:
    keywords = {group: getattr(numbers, group) for group in GROUPS}
    return optax.multi_transform(
        {group: optimizer(**own) for group, own in keywords.items()}, lambda tree: _labels(tree)
    )


def _labels(tree: Any) -> Any:
    return {group: jax.tree.map(lambda _, name=group: name, tree[group]) for group in tree}


def _params(copies: int) -> Any:
    """Return a network with every neuron so many times; what arrives from copies is divided by their number."""
    random = np.random.default_rng(3)
    first, hidden = random.standard_normal((INPUTS.shape[1], WIDTH)) / 3, random.standard_normal((WIDTH, WIDTH)) / 2
    readout, biases = random.standard_normal((WIDTH, 1)) / 2, random.standard_normal((2, WIDTH)) / 5
    return {
        "first": jnp.tile(first, (1, copies)),
        "hidden": jnp.tile(hidden, (copies, copies)) / copies,
        "readout": jnp.tile(readout, (copies, 1)) / copies,
        "bias": [jnp.tile(bias[None], (1, copies)) for bias in biases],
        "output_bias": jnp.asarray(0.3),
    }


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(
    "case", [case if case in QUICK else pytest.param(case, marks=pytest.mark.full) for case in CASES]
)
def test_copied_neurons_learn_as_the_originals(case: str) -> None:
    optimizer, numbers = CASES[case]
    script = _train(optimizer(**numbers), _params(1))
    found = transfer(optimizer, from_width=WIDTH, to_width=COPIES * WIDTH, **numbers)
    copied = _train(_by_group(optimizer, found), _params(COPIES))
    assert np.abs(script[-1]).max() > 0.1
    np.testing.assert_allclose(copied, script, rtol=1e-9, atol=1e-12)
    untouched = transfer(optimizer, from_width=WIDTH, to_width=WIDTH, **numbers)
    for group in GROUPS:  # every group needs its numbers
        if getattr(untouched, group) != getattr(found, group):
            wrong = _by_group(optimizer, found._replace(**{group: getattr(untouched, group)}))
            assert np.abs(_train(wrong, _params(COPIES)) - script).max() > 1e-7


def test_numbers() -> None:
    found = dt.wide.transfer(optax.adamw, from_width=100, to_width=400, learning_rate=0.01, eps=1e-6, weight_decay=0.1)
    assert found.first == {"learning_rate": 0.01, "eps": 2.5e-7, "eps_root": 0.0, "weight_decay": 0.1} == found.bias
    assert found.hidden == {"learning_rate": 0.0025, "eps": 2.5e-7, "eps_root": 0.0, "weight_decay": 0.4}
    assert found.readout == {"learning_rate": 0.0025, "eps": 1e-6, "eps_root": 0.0, "weight_decay": 0.4}
    assert found.output_bias == {"learning_rate": 0.01, "eps": 1e-6, "eps_root": 0.0, "weight_decay": 0.1}
    assert found.readout_scale == 0.5
    schedule = optax.constant_schedule(0.1)
    back = dt.wide.transfer(optax.lion, from_width=400, to_width=100, learning_rate=schedule)
    assert back.first["learning_rate"] is schedule
    assert back.hidden["learning_rate"](0) == pytest.approx(0.4)
    assert back.hidden["weight_decay"] == pytest.approx(0.25e-3)


@pytest.mark.parametrize(
    ("optimizer", "numbers", "error", "match"),
    [
        (optax.rmsprop, {"learning_rate": 0.1}, ValueError, "factory with a dictionary"),
        (optax.adam, {}, TypeError, "needs learning_rate"),
        (optax.adam, {"learning_rate": 0.1, "momentum": 0.5}, ValueError, "momentum"),
        (optax.sgd, {"learning_rate": 0.1, "to_width": 0}, ValueError, "`to_width` must be at least 1"),
    ],
)
def test_what_is_refused(optimizer: Any, numbers: dict[str, Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        transfer(optimizer, **{"from_width": 8, "to_width": 16} | numbers)


def _without_biases(params: Any, inputs: Any) -> Any:
    signal = jnp.tanh(inputs @ params["first"])
    signal = jnp.tanh(signal @ params["hidden"]) if "hidden" in params else signal
    return (signal @ params["readout"])[:, 0]


def _random(key: Any, depth: int, width: int, readout_scale: float) -> Any:
    """Draw a script's network without biases, one hidden layer or two."""
    keys, count = jax.random.split(key, 3), INPUTS.shape[1]
    sizes = {"first": (count, width), "hidden": (width, width), "readout": (width, 1)}
    scales = {"first": 1.0, "hidden": 1.0, "readout": readout_scale}
    return {
        name: scales[name] * jax.random.normal(one, size, float) / np.sqrt(size[0])
        for one, (name, size) in zip(keys, sizes.items(), strict=True)
        if depth > 1 or name != "hidden"
    }


def _losses(
    optimizer: Any, width: int, *, depth: int, base: int, num_runs: int, **numbers: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Return losses (T+1,) of random networks at a width, by numbers of the base width, and their standard errors."""
    found = transfer(optimizer, from_width=base, to_width=width, **numbers)
    rule = _by_group(optimizer, found)

    def one(key: Any) -> Any:
        return _train(rule, _random(key, depth, width, found.readout_scale), _without_biases)

    runs = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(width), num_runs))
    losses = 0.5 * np.mean((np.asarray(runs) - LABELS) ** 2, axis=-1)
    return losses.mean(axis=0), losses.std(axis=0, ddof=1) / np.sqrt(num_runs)


SGD = (dt.WideNetwork(2, "tanh", parametrisation="standard", width=64), {"learning_rate": 0.02}, {})
ROOT = 10**0.5  # with D = n₀ = 10 both layers of a script have rates and ε that are one number of the limit
ADAM = (
    dt.WideNetwork(1, "tanh", 1 / ROOT),
    {"learning_rate": 0.03, "eps": 1e-2},
    {"learning_rate": ROOT, "eps": 1 / ROOT},
)


@pytest.mark.full
@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(("optimizer", "case", "base"), [(optax.sgd, SGD, 64), (optax.adam, ADAM, 10)])
def test_random_networks_follow_the_limit_at_the_base_width(optimizer: Any, case: Any, base: int) -> None:
    """Wider ones by the numbers of n₀ are as near as their errors tell; those of n₀ itself miss it by O(1/n₀)."""
    network, numbers, factors = case
    given = {name: factors.get(name, 1.0) * value for name, value in numbers.items()}
    theory = dt.wide.predict(
        network, INPUTS, LABELS, num_steps=STEPS, key=KEY, optimizer=optimizer, num_nodes=2**12, **given
    )
    assert theory.standard_error is not None
    for width, num_runs, most in ((base, 256, 1000.0), (1024, 16, 3.5)):
        losses, errors = _losses(optimizer, width, depth=network.depth, base=base, num_runs=num_runs, **numbers)
        bars = np.hypot(errors, theory.standard_error.train_loss)[1:]
        assert np.max(bars / theory.train_loss[1:]) < 0.02
        z = np.abs(losses - theory.train_loss)[1:] / bars
        assert z.max() < most
        assert width > base or z.max() > 4  # what the errors can tell

"""A plain script F = (1/k) Σ_j ã_j φ(h_j) at one width does what the method does at another, by the powers of k."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import dyntheory as dt
from dyntheory.dynamics.loop import Start, run
from dyntheory.matrix.dense import DenseMatrix
from dyntheory.problem.methods.flax_dictionary import OUTPUT_POWERS, POWERS, WIDTH_POWERS
from tests.oracles import flax_training

NUM_SAMPLES, NUM_FEATURES, WIDTH, STEPS = 40, 25, 3, 8
CASES: dict[str, tuple[Any, dict[str, Any]]] = {
    "sgd": (optax.sgd, {"learning_rate": 0.9}),
    "nesterov": (optax.sgd, {"learning_rate": optax.cosine_decay_schedule(0.9, 6), "momentum": 0.8, "nesterov": True}),
    "adam": (optax.adam, {"learning_rate": 0.02, "eps": 1e-3, "eps_root": 1e-4}),
    "adamw": (optax.adamw, {"learning_rate": 0.02, "eps": 1e-3, "weight_decay": 0.3}),
    "nadamw": (optax.nadamw, {"learning_rate": 0.02, "eps": 1e-3, "weight_decay": 0.3}),
    "lion": (optax.lion, {"learning_rate": 0.02, "weight_decay": 0.5}),
}
QUICK = ("sgd", "adamw")


def _data() -> tuple[np.ndarray, ...]:
    random = np.random.default_rng(0)
    shapes = ((NUM_SAMPLES, NUM_FEATURES), (NUM_FEATURES, 1), (NUM_FEATURES, WIDTH), (NUM_SAMPLES, 1), (1, WIDTH))
    return tuple(random.standard_normal(shape) for shape in shapes)


def _script(optimizer: optax.GradientTransformation, copies: int = 1) -> np.ndarray:
    """Train every unit `copies` times over, with the output weights ã and the factor 1/width."""
    inputs, teacher, weights, noise, output = _data()
    labels = np.tanh(inputs @ teacher[:, 0] / np.sqrt(NUM_FEATURES)) + 0.2 * noise[:, 0]
    module = flax_training.Network((copies * WIDTH,), jnp.tanh, multiplier=1 / (copies * WIDTH))
    kernels = [np.tile(weights, copies) / np.sqrt(NUM_FEATURES), np.tile(output, copies).T]
    return flax_training.train(module, kernels, inputs, labels, optimizer, num_steps=STEPS).losses


def _ours(optimizer: Any, copies: int, keywords: dict[str, Any]) -> np.ndarray:
    """Train every unit `copies` times over, with the output weights a = ã/width."""
    inputs, teacher, weights, noise, output = map(jnp.asarray, _data())
    width = copies * WIDTH
    head = {"layer_2": {"weights": jnp.tile(output, copies) / width}}
    method = dt.gradient_descent(dt.MLP((width,), "tanh"), optimizer, **keywords)
    law = dt.TeacherStudent(NUM_SAMPLES / NUM_FEATURES, "tanh", 0.2)
    start = Start(teacher, jnp.tile(weights, copies), noise, head, jnp.asarray(NUM_SAMPLES / NUM_FEATURES))
    return np.asarray(run(law, method, DenseMatrix(inputs), start, num_steps=STEPS).train_loss)


def _third(number: Any) -> float:
    """Return a number, or what a schedule is at step 3."""
    value: Any = number(3) if callable(number) else number
    return float(value)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("case", ["sgd", *(pytest.param(c, marks=pytest.mark.full) for c in CASES if c != "sgd")])
def test_a_script_at_one_width_is_the_method_at_another(case: str) -> None:
    optimizer, numbers = CASES[case]
    theirs, size = _script(optimizer(**numbers)), {"num_features": NUM_FEATURES}
    own = dt.from_flax_hyperparameters(optimizer, **size, output_multiplier=1 / WIDTH, **numbers)
    wide = dt.hyperparameters_at_width(optimizer, from_width=WIDTH, to_width=2 * WIDTH, **own)
    for copies, keywords in ((1, own), (2, wide)):
        np.testing.assert_allclose(_ours(optimizer, copies, keywords), theirs, rtol=1e-10)
    assert np.abs(_ours(optimizer, 2, own) / theirs - 1).max() > 1e-2  # numbers of another width
    alike = dt.from_flax_hyperparameters(optimizer, **size, **numbers)  # as if there were no factor
    assert np.abs(_ours(optimizer, 1, alike) / theirs - 1).max() > 1e-2


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("case", [c if c in QUICK else pytest.param(c, marks=pytest.mark.full) for c in CASES])
def test_a_script_goes_on_at_another_width(case: str) -> None:
    """Its own numbers at twice the width: SGD's rate doubles, Adam's stays and its ε is halved, on all kernels."""
    optimizer, numbers = CASES[case]
    size = {"num_features": NUM_FEATURES}
    own = dt.from_flax_hyperparameters(optimizer, **size, output_multiplier=1 / WIDTH, **numbers)
    wide = dt.hyperparameters_at_width(optimizer, from_width=WIDTH, to_width=2 * WIDTH, **own)
    kernel, rest = dt.flax_hyperparameters(optimizer, **size, output_multiplier=1 / (2 * WIDTH), **wide)
    expected = {"learning_rate": 2.0 if optimizer is optax.sgd else 1.0, "eps": 0.5, "eps_root": 0.25}
    for name, value in numbers.items():
        for found in (kernel[name], rest[name]):
            assert _third(found) == pytest.approx(expected.get(name, 1.0) * _third(value), rel=1e-12), name
    np.testing.assert_allclose(_script(optimizer(**kernel), 2), _script(optimizer(**numbers)), rtol=1e-10)
    if "eps" in numbers or optimizer is optax.sgd:
        assert np.abs(_script(optimizer(**numbers), 2) / _script(optimizer(**numbers)) - 1).max() > 1e-4


@pytest.mark.parametrize("case", CASES)
def test_there_and_back_is_nothing(case: str) -> None:
    optimizer, numbers = CASES[case]
    given = {**numbers, "head_learning_rate": 0.7}
    there = dt.hyperparameters_at_width(optimizer, from_width=8, to_width=64, **given)
    back = dt.hyperparameters_at_width(optimizer, from_width=64, to_width=8, **there)
    for name, value in given.items():
        assert _third(back[name]) == pytest.approx(_third(value), rel=1e-6 if callable(value) else 1e-12)
    assert dt.hyperparameters_at_width(optimizer, from_width=8, to_width=8, **there).items() >= there.items()


def test_every_optimizer_has_all_tables_and_bad_numbers_are_refused() -> None:
    assert set(POWERS) == set(OUTPUT_POWERS) == set(WIDTH_POWERS)
    with pytest.raises(ValueError, match="output_multiplier"):
        dt.from_flax_hyperparameters(optax.sgd, num_features=10, output_multiplier=0.0, learning_rate=0.1)
    with pytest.raises(ValueError, match="to_width"):
        dt.hyperparameters_at_width(optax.sgd, from_width=8, to_width=0, learning_rate=0.1)
    with pytest.raises(ValueError, match="Did you mean 'momentum'"):
        dt.hyperparameters_at_width(optax.sgd, from_width=8, to_width=16, learning_rate=0.1, head_momemtum=0.9)

"""A plain flax and optax training script does what the method does, through the dictionary of their numbers."""

import doctest
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import dyntheory as dt
from dyntheory.dynamics.loop import Records, Start, run
from dyntheory.dynamics.observables import rows_of
from dyntheory.matrix.dense import DenseMatrix
from dyntheory.problem.methods import flax_dictionary
from dyntheory.problem.methods.flax_dictionary import ScaledSchedule
from tests.oracles import flax_training

NUM_SAMPLES, NUM_FEATURES, STEPS = 40, 25, 8
NETWORK = dt.MLP((3, 2), "tanh")
CASES: dict[str, tuple[Any, dict[str, Any]]] = {
    "sgd": (optax.sgd, {"learning_rate": 0.3}),
    "momentum": (optax.sgd, {"learning_rate": 0.2, "momentum": 0.8}),
    "nesterov": (optax.sgd, {"learning_rate": optax.cosine_decay_schedule(0.3, 6), "momentum": 0.8, "nesterov": True}),
    "adam": (optax.adam, {"learning_rate": 0.01, "eps": 1e-3, "eps_root": 1e-4}),
    "adam, default eps": (optax.adam, {"learning_rate": optax.linear_schedule(0.02, 0.001, 6), "b1": 0.8}),
    "adamw": (optax.adamw, {"learning_rate": 0.01, "eps": 1e-4, "weight_decay": 0.3}),
    "adamw, default decay": (optax.adamw, {"learning_rate": 0.05}),
    "lion": (optax.lion, {"learning_rate": 0.01, "weight_decay": 0.5}),
}
QUICK = ("sgd", "momentum", "adam", "adamw")


def _data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    shapes = ((NUM_SAMPLES, NUM_FEATURES), (NUM_FEATURES, 4), (NUM_SAMPLES, 1))
    inputs, weights, noise = (random.standard_normal(shape) for shape in shapes)
    return inputs, weights, noise


def _head() -> dict[str, Any]:
    return jax.tree.map(np.asarray, NETWORK.init_head(jax.random.key(1)))


def _ours(optimizer: Any, **keywords: Any) -> Records:
    inputs, weights, noise = map(jnp.asarray, _data())
    method = dt.gradient_descent(NETWORK, optimizer, **keywords)
    start = Start(weights[:, :1], weights[:, 1:], noise, _head(), jnp.asarray(NUM_SAMPLES / NUM_FEATURES))
    law = dt.TeacherStudent(NUM_SAMPLES / NUM_FEATURES, "tanh", 0.2)
    return run(law, method, DenseMatrix(inputs), start, num_steps=STEPS, record=rows_of("weights"))


def _theirs(optimizer: optax.GradientTransformation) -> flax_training.Training:
    inputs, weights, noise = _data()
    labels = np.tanh(inputs @ weights[:, 0] / np.sqrt(NUM_FEATURES)) + 0.2 * noise[:, 0]
    head = _head()
    kernels = [weights[:, 1:] / np.sqrt(NUM_FEATURES), *(head[name]["weights"].T for name in sorted(head))]
    return flax_training.train(
        flax_training.Network((3, 2), jnp.tanh), kernels, inputs, labels, optimizer, num_steps=STEPS
    )


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("case", [c if c in QUICK else pytest.param(c, marks=pytest.mark.full) for c in CASES])
def test_a_flax_script_gives_the_same_curves(case: str) -> None:
    optimizer, numbers = CASES[case]
    theirs = _theirs(optimizer(**numbers))
    ours = _ours(optimizer, **dt.from_flax_hyperparameters(optimizer, num_features=NUM_FEATURES, **numbers))
    np.testing.assert_allclose(np.asarray(ours.train_loss), theirs.losses, rtol=1e-10)
    weights = np.asarray(ours.recorded["weights"])[-1]
    np.testing.assert_allclose(weights / np.sqrt(NUM_FEATURES), theirs.kernels[0], rtol=1e-9)
    np.testing.assert_allclose(np.asarray(ours.head["layer_3"]["weights"])[-1].T, theirs.kernels[2], rtol=1e-9)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("case", [pytest.param("adam", marks=pytest.mark.full), "adamw"])
def test_without_the_dictionary_the_curves_differ(case: str) -> None:
    optimizer, numbers = CASES[case]
    theirs, ours = _theirs(optimizer(**numbers)), _ours(optimizer, **numbers)
    assert np.abs(np.asarray(ours.train_loss) / theirs.losses - 1).max() > 1e-2
    keywords = dt.from_flax_hyperparameters(optimizer, num_features=NUM_FEATURES, **numbers)
    for name in ("eps", "eps_root", "weight_decay"):
        if name in numbers:
            ours = _ours(optimizer, **{**keywords, name: numbers[name]})
            assert np.abs(np.asarray(ours.train_loss) / theirs.losses - 1).max() > 1e-6, name


@pytest.mark.parametrize("case", CASES)
def test_the_two_directions_are_inverse(case: str) -> None:
    optimizer, numbers = CASES[case]
    keywords = dt.from_flax_hyperparameters(optimizer, num_features=NUM_FEATURES, **numbers)
    kernel, rest = dt.flax_hyperparameters(optimizer, num_features=NUM_FEATURES, **keywords)
    for name, value in numbers.items():
        for back in (kernel[name], rest[name]):
            found, wanted = ([_at(number, step) for step in (0, 3)] for number in (back, value))
            np.testing.assert_allclose(found, wanted, rtol=1e-14)


def _at(number: Any, step: int) -> float:
    value: Any = number(step) if callable(number) else number
    return float(value)


def test_equal_schedules_are_equal() -> None:
    schedule = optax.cosine_decay_schedule(0.1, 5)
    assert ScaledSchedule(schedule, 2.0) == ScaledSchedule(schedule, 2.0)
    assert hash(ScaledSchedule(schedule, 2.0)) == hash(ScaledSchedule(schedule, 2.0))


def test_what_has_no_dictionary_is_refused() -> None:
    with pytest.raises(ValueError, match=r"optax\.adamw.*got rmsprop"):
        dt.from_flax_hyperparameters(optax.rmsprop, num_features=10, learning_rate=0.1)
    with pytest.raises(ValueError, match="Did you mean 'eps'"):
        dt.from_flax_hyperparameters(optax.adam, num_features=10, learning_rate=0.1, epsilon=1e-8)
    with pytest.raises(TypeError, match="needs learning_rate"):
        dt.flax_hyperparameters(optax.adam, num_features=10, eps=1e-8)


def test_examples_run() -> None:
    assert doctest.testmod(flax_dictionary).failed == 0

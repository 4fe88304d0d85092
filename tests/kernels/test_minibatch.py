"""Mini-batch moments against an exhaustive sum over all batches, and against drawn runs."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dyntheory.kernels import sgd_moments, train
from tests.kernels.conftest import Problem, make_problem

pytestmark = pytest.mark.usefixtures("double")
RATE, MOMENTUM, RIDGE = 0.8, 0.6, 0.03


def _every_run(problem: Problem, num_steps: int, batch_size: int, replacement: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return outputs of every possible run, all equally likely, on train and test inputs."""
    choose = (
        itertools.product(range(len(problem.labels)), repeat=batch_size)
        if replacement
        else itertools.combinations(range(len(problem.labels)), batch_size)
    )
    own, test = [], []
    for batches in itertools.product(list(choose), repeat=num_steps):
        weights = velocity = np.zeros((problem.features.shape[1], 2))
        for batch in batches:
            rows = list(batch)
            error = problem.initial[rows] + problem.features[rows] @ weights - problem.labels[rows]
            velocity = MOMENTUM * velocity + problem.features[rows].T @ error / batch_size + RIDGE * weights
            weights = weights - RATE * velocity
        own.append(problem.initial + problem.features @ weights)
        test.append(problem.test_initial + problem.test_features @ weights)
    return np.array(own), np.array(test)


@pytest.mark.parametrize("replacement", [False, True])
def test_moments_agree_with_all_batches(replacement: bool) -> None:
    problem = make_problem(4, 5, seed=5)
    found = sgd_moments(
        problem.kernel,
        problem.labels,
        batch_size=2,
        learning_rate=RATE,
        num_steps=3,
        momentum=MOMENTUM,
        ridge=RIDGE,
        replacement=replacement,
        initial=problem.initial,
        test_train=problem.cross,
        test_initial=problem.test_initial,
    )
    own, test = _every_run(problem, 3, 2, replacement)
    np.testing.assert_allclose(found.mean[3], own.mean(axis=0), atol=1e-13)
    np.testing.assert_allclose(found.variance[3], own.var(axis=0), atol=1e-13)
    np.testing.assert_allclose(found.test_mean[3], test.mean(axis=0), atol=1e-13)
    np.testing.assert_allclose(found.test_variance[3], test.var(axis=0), atol=1e-13)
    losses = np.sum((own - problem.labels) ** 2, axis=(1, 2)) / 8
    np.testing.assert_allclose(found.train_loss[3], losses.mean(), rtol=1e-13)


def test_mean_is_full_batch_and_full_batch_has_no_noise(regular: Problem) -> None:
    options = {"learning_rate": 0.7, "num_steps": 5}
    noisy = sgd_moments(regular.kernel, regular.labels, batch_size=2, **options)
    quiet = sgd_moments(regular.kernel, regular.labels, batch_size=6, **options)
    run = train(regular.kernel, regular.labels, learning_rate=0.7)
    for moments in (noisy, quiet):
        np.testing.assert_allclose(moments.mean, run.predict(step=np.arange(6)).mean, atol=1e-13)
    np.testing.assert_array_equal(quiet.variance, 0)
    assert float(noisy.variance[5].min()) > 1e-4


def test_many_steps_agree_with_drawn_runs(regular: Problem) -> None:
    kernel, labels, num_steps, num_runs = jnp.asarray(regular.kernel), jnp.asarray(regular.labels[:, 0]), 60, 20_000

    def run(key: jax.Array) -> jax.Array:
        def step(outputs: jax.Array, one: jax.Array) -> tuple[jax.Array, None]:
            rows = jax.random.choice(one, 6, (2,), replace=False)
            return outputs - 0.5 / 2 * kernel[:, rows] @ (outputs[rows] - labels[rows]), None

        return jax.lax.scan(step, jnp.zeros(6), jax.random.split(key, num_steps))[0]

    ends = np.asarray(jax.vmap(run)(jax.random.split(jax.random.key(6), num_runs)))
    found = sgd_moments(kernel, labels, batch_size=2, learning_rate=0.5, num_steps=num_steps)
    mean_error = ends.std(axis=0) / np.sqrt(num_runs)
    assert np.abs((ends.mean(axis=0) - found.mean[-1]) / mean_error).max() < 4
    squares = (ends - ends.mean(axis=0)) ** 2
    variance_error = squares.std(axis=0) / np.sqrt(num_runs)
    assert (variance_error / squares.mean(axis=0)).max() < 0.05
    assert np.abs((squares.mean(axis=0) - found.variance[-1]) / variance_error).max() < 4


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"batch_size": 3}, ValueError, "at most n"),
        ({"batch_size": 0}, ValueError, "batch_size"),
        ({"batch_size": 1.0}, TypeError, "integer"),
        ({"num_steps": -1}, ValueError, "num_steps"),
        ({"learning_rate": 0.0}, ValueError, "positive"),
        ({"initial": np.ones(3)}, ValueError, "initial"),
        ({"test_train": np.ones((3, 3))}, ValueError, "test_train"),
    ],
)
def test_bad_input_says_what_was_wrong(options: dict, error: type[Exception], message: str) -> None:
    given = {"batch_size": 1, "learning_rate": 0.1, "num_steps": 2} | options
    with pytest.raises(error, match=message):
        sgd_moments(np.eye(2), np.ones(2), **given)

"""Training on other losses: against the closed form for squared loss, scipy in the parameters, optax for steps."""

import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.integrate import solve_ivp

from dyntheory.kernels import train, train_on_loss
from tests.kernels.conftest import Problem

pytestmark = pytest.mark.usefixtures("double")
TIMES = np.array([0.0, 0.5, 4.0])


def logistic(output: jax.Array, label: jax.Array) -> jax.Array:
    return jax.nn.softplus(-label * output)


def cross_entropy(output: jax.Array, label: jax.Array) -> jax.Array:
    return jax.nn.logsumexp(output) - jnp.sum(output * label)


def test_squared_loss_is_the_closed_form(singular: Problem) -> None:
    options: dict[str, Any] = {"ridge": 0.05, "initial": singular.initial}
    found = train_on_loss(
        singular.kernel,
        singular.labels,
        "squared",
        times=TIMES,
        test_train=singular.cross,
        test_initial=singular.test_initial,
        **options,
    )
    run = train(singular.kernel, singular.labels, **options)
    np.testing.assert_allclose(found.train, run.predict(time=TIMES).mean, atol=1e-8)
    expected = run.predict(singular.cross, time=TIMES, initial=singular.test_initial).mean
    np.testing.assert_allclose(found.test, expected, atol=1e-8)
    losses = np.sum((np.asarray(found.train) - singular.labels) ** 2, axis=(1, 2)) / (2 * len(singular.labels))
    np.testing.assert_allclose(found.train_loss, losses, rtol=1e-12)


def test_logistic_flow_agrees_with_scipy_in_the_parameters(regular: Problem) -> None:
    signs, features = np.sign(regular.labels[:, 0]), regular.features

    def field(_: float, weights: np.ndarray) -> np.ndarray:
        margins = signs * (features @ weights)
        return features.T @ (signs / (1 + np.exp(margins))) / 6 - 0.02 * weights

    path = solve_ivp(field, (0, 4), np.zeros(9), t_eval=TIMES, rtol=1e-11, atol=1e-12).y
    found = train_on_loss(regular.kernel, signs, logistic, times=TIMES, ridge=0.02, test_train=regular.cross)
    np.testing.assert_allclose(found.train, (features @ path).T, atol=1e-8)
    np.testing.assert_allclose(found.test, (regular.test_features @ path).T, atol=1e-8)
    squared = train_on_loss(regular.kernel, signs, "squared", times=TIMES, ridge=0.02)
    assert np.abs(squared.train - found.train).max() > 0.1


def test_cross_entropy_steps_agree_with_optax(regular: Problem) -> None:
    onehot = np.eye(2)[(regular.labels[:, 0] > 0).astype(int)]
    features, optimizer = jnp.asarray(regular.features), optax.sgd(0.7, 0.5)

    @jax.jit
    def step(weights: jax.Array, memory: Any) -> tuple[Any, Any]:
        def objective(weights: jax.Array) -> jax.Array:
            fit = jnp.mean(jax.vmap(cross_entropy)(features @ weights, jnp.asarray(onehot)))
            return fit + 0.01 * jnp.sum(weights**2)

        updates, memory = optimizer.update(jax.grad(objective)(weights), memory)
        return optax.apply_updates(weights, updates), memory

    weights: Any = jnp.zeros((9, 2))
    memory = optimizer.init(weights)
    for _ in range(12):
        weights, memory = step(weights, memory)
    found = train_on_loss(
        regular.kernel, onehot, cross_entropy, num_steps=12, learning_rate=0.7, momentum=0.5, ridge=0.02
    )
    np.testing.assert_allclose(found.train[12], features @ weights, atol=1e-12)


def test_missing_diffrax_says_what_to_install(regular: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "diffrax", None)
    with pytest.raises(ImportError, match=r"pip install dyntheory\[kernels\]"):
        train_on_loss(regular.kernel, regular.labels, "squared", times=TIMES)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda k, y: train_on_loss(k, y, "squared"), "not both"),
        (lambda k, y: train_on_loss(k, y, "squared", times=[1.0, 0.5]), "increasing"),
        (lambda k, y: train_on_loss(k, y, "hinge", times=[1.0]), "Unknown loss"),
        (lambda k, y: train_on_loss(k, y[:2], "squared", times=[1.0]), "labels"),
        (lambda k, y: train_on_loss(k, y, "squared", num_steps=3, learning_rate=-1.0), "learning_rate"),
        (lambda k, y: train_on_loss(k, y, "squared", times=[1.0], initial=np.ones(2)), "initial"),
        (
            lambda k, y: train_on_loss(k, y, "squared", times=[1.0], test_train=k[:2, :2]),
            "test_train",
        ),
    ],
)
def test_bad_input_says_what_was_wrong(call: Callable[..., Any], message: str, regular: Problem) -> None:
    with pytest.raises(ValueError, match=message):
        call(regular.kernel, regular.labels)

"""Mini-batches, label noise and dropout: row by row, in closed form, and against simulations."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import dyntheory as dt

NOT_A_METHOD: Any = optax.sgd(0.1)
ALPHA, SIGMA, RATE = 1.7, 0.5, 0.2
LAW = dt.TeacherStudent(ALPHA, "linear", SIGMA)
ZERO = dt.FirstLayer(second_moment=[[0.0]])
LINEAR = dt.gradient_descent(dt.LinearModel(), optax.sgd, learning_rate=RATE)
TANH = dt.gradient_descent(dt.MLP((2,)), optax.sgd, learning_rate=RATE)


@pytest.mark.parametrize(
    ("method", "second_moment_of_g"),
    [
        pytest.param(LINEAR, 1 + SIGMA**2, marks=pytest.mark.full),
        pytest.param(dt.mini_batches(LINEAR, 0.25), (1 + SIGMA**2) / 0.25, marks=pytest.mark.full),
        (dt.mini_batches(LINEAR, 0.25, replacement=False), (1 + SIGMA**2) / 0.25),
        pytest.param(dt.label_noise(LINEAR, 0.7), 1 + SIGMA**2 + 0.49, marks=pytest.mark.full),
        (dt.label_noise(dt.mini_batches(LINEAR, 0.5), 0.7), (1 + SIGMA**2 + 0.49) / 0.5),
    ],
)
def test_one_step_in_closed_form(method: dt.GeneralFirstOrderMethod, second_moment_of_g: float, key: Any) -> None:
    """From w⁰ = 0: g = −y with its factor, p = −α w* + √(α E g²) v, so E[w¹ w*] = η, E[(w¹)²] = η²(1 + E g²/α)."""
    theory = dt.predict(LAW, method, num_steps=1, key=key, first_layer=ZERO)
    np.testing.assert_allclose(theory.teacher_overlap[1, 0, 0], RATE, rtol=2e-3)
    np.testing.assert_allclose(theory.weight_overlap[1, 0, 0], RATE**2 * (1 + second_moment_of_g / ALPHA), rtol=2e-3)


def _rows(method: dt.GeneralFirstOrderMethod, uniforms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return g and h-independent state path of one row over the uniforms (steps, u), with h and y fixed."""
    head = method.init_head(jax.random.key(1))
    shared = method.init_shared(head, jnp.asarray(ALPHA), method.hyperparameters)
    h, label = jnp.full(method.num_units, 0.3), jnp.asarray(1.0)
    state, found = method.init_sample(label, shared), []
    for u in uniforms:
        state, g, _ = method.sample_map(state, h, label, shared, jnp.asarray(u))
        found.append(g)
    plain = TANH.sample_map((), h, label, TANH.init_shared(head, jnp.asarray(ALPHA), TANH.hyperparameters), 0.0)[1]
    return np.stack(found), np.asarray(plain)


def test_an_epoch_uses_every_sample_once() -> None:
    uniforms = np.random.default_rng(0).random((12, 1))
    found, plain = _rows(dt.mini_batches(TANH, 0.25, replacement=False), uniforms)
    used = np.any(found != 0, axis=1).reshape(3, 4)
    np.testing.assert_array_equal(used.sum(axis=1), 1)
    np.testing.assert_array_equal(used.argmax(axis=1), np.floor(4 * uniforms[::4, 0]))
    np.testing.assert_allclose(found.sum(axis=0), 12 * plain, rtol=1e-6)


def test_dropout_is_the_gradient_of_the_dropped_network() -> None:
    method = dt.dropout(TANH, 0.5)
    found, _ = _rows(method, np.asarray([[0.1, 0.9], [0.9, 0.9]]))
    head, network = method.init_head(jax.random.key(1)), dt.MLP((2,))
    for g, mask in zip(found, ([0.0, 2.0], [2.0, 2.0]), strict=True):
        wanted = jax.grad(lambda h, m=mask: 0.5 * (network.apply_head(head, jnp.asarray(m) * h) - 1.0) ** 2)(
            jnp.full(2, 0.3)
        )
        np.testing.assert_allclose(g, wanted, rtol=1e-6)


def test_numbers_are_data_and_functions_are_shared() -> None:
    first, second = (dt.mini_batches(dt.label_noise(TANH, std), b) for std, b in ((0.1, 0.5), (0.2, 0.3)))
    assert jax.tree.structure(first) == jax.tree.structure(second)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: dt.mini_batches(NOT_A_METHOD, 0.5), TypeError, "`method` must be a method"),
        (lambda: dt.mini_batches(TANH, 0.0), ValueError, r"`fraction` must be in \(0, 1\]"),
        (lambda: dt.mini_batches(TANH, 0.3, replacement=False), ValueError, "one over an integer"),
        (lambda: dt.label_noise(TANH, -1.0), ValueError, "`std` must be zero or positive"),
        (lambda: dt.dropout(TANH, 1.0), ValueError, r"`rate` must be in \[0, 1\)"),
        (
            lambda: dt.predict(
                LAW, dt.label_noise(LINEAR, 0.1, num_outputs=2), num_steps=1, key=jax.random.key(0), num_nodes=2**10
            ),
            ValueError,
            "`num_outputs` of label_noise must be 1",
        ),
    ],
)
def test_bad_input_is_refused(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()

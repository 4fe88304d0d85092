"""Classification: losses with their derivatives, a step in closed form, and training against its simulation."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import dyntheory as dt
from dyntheory.losses import LOSSES

ZERO = dt.FirstLayer(second_moment=[[0.0]])


@pytest.mark.parametrize(("margin", "wrong"), [(-2.0, 1.0), (0.0, 0.5), (0.3, 0.0), (4.0, 0.0)])
def test_losses_of_a_margin(margin: float, wrong: float) -> None:
    for label in (-1.0, 1.0):
        given = jnp.asarray(label * margin), jnp.asarray(label)
        np.testing.assert_allclose(LOSSES["logistic"].value(*given), np.log1p(np.exp(-margin)), rtol=1e-6)
        np.testing.assert_allclose(LOSSES["squared_hinge"].value(*given), max(0.0, 1 - margin) ** 2, rtol=1e-6)
        assert LOSSES["logistic"].error(*given) == LOSSES["squared_hinge"].error(*given) == wrong


def test_cross_entropy_and_huber() -> None:
    logits, label = jnp.asarray([0.3, -1.0, 2.0]), jnp.asarray([1.0, 0.0, 0.0])
    wanted = np.log(np.exp(np.asarray(logits)).sum()) - 0.3
    np.testing.assert_allclose(LOSSES["cross_entropy"].value(logits, label), wanted, rtol=1e-6)
    assert LOSSES["cross_entropy"].error(logits, label) == 1.0
    assert LOSSES["cross_entropy"].error(logits, label[::-1]) == 0.0
    for size in (0.3, -2.5):
        wanted = 0.5 * size**2 if abs(size) < 1 else abs(size) - 0.5
        np.testing.assert_allclose(LOSSES["huber"].value(jnp.asarray(size), jnp.asarray(0.0)), wanted, rtol=1e-6)


@pytest.mark.parametrize("noise", [0.0, 0.7])
def test_one_step_of_logistic_regression_in_closed_form(noise: float, key: jax.Array) -> None:
    """From w⁰ = 0: g = −y/2, so w¹ = η (c w* + v/(2√α)), c = E[y z]/2, and the error is an angle with the teacher."""
    alpha, rate = 1.7, 0.4
    method = dt.gradient_descent(dt.LinearModel(), optax.sgd, loss="logistic", learning_rate=rate)
    theory = dt.predict(dt.TeacherStudent(alpha, "probit", noise), method, num_steps=1, key=key, first_layer=ZERO)
    slope = 0.5 * np.sqrt(2 / np.pi) / np.sqrt(1 + noise**2)
    power = rate**2 * (slope**2 + 0.25 / alpha)
    np.testing.assert_allclose(theory.teacher_overlap[1, 0, 0], rate * slope, rtol=3e-3)
    np.testing.assert_allclose(theory.weight_overlap[1, 0, 0], power, rtol=3e-3)
    cosine = rate * slope / np.sqrt(power * (1 + noise**2))
    assert theory.standard_error is not None
    bar = theory.standard_error.test_error[1]
    assert bar < 0.01
    assert abs(theory.test_error[1] - np.arccos(cosine) / np.pi) < 3 * bar + 1e-3


@pytest.mark.usefixtures("double")
def test_logistic_labels_have_their_probabilities() -> None:
    law = dt.TeacherStudent(1.0, "logistic")
    noise = jnp.asarray(np.random.default_rng(0).standard_normal((100_000, 1)))
    for z in (-1.0, 0.4):
        labels = jax.vmap(lambda xi, z=z: law.label(jnp.asarray([z]), xi))(noise)
        wanted = 1 / (1 + np.exp(-z))
        assert abs(float(jnp.mean(labels > 0)) - wanted) < 4 * np.sqrt(wanted * (1 - wanted) / 100_000)


def _method(loss: str, optimizer: Any = optax.sgd, rate: float = 0.5, **size: Any) -> dt.GeneralFirstOrderMethod:
    return dt.gradient_descent(dt.MLP((3,), **size), optimizer, loss=loss, learning_rate=rate)


CASES = {
    "softmax": (
        dt.TeacherStudent(3.0, "argmax", teacher_second_moment=np.eye(3)),
        _method("cross_entropy", num_outputs=3),
    ),
    "logistic": (dt.TeacherStudent(2.0, "logistic"), _method("logistic", optax.adam, 0.1)),
    "hinge": (dt.TeacherStudent(2.0, "sign"), _method("squared_hinge", rate=0.3)),
    "huber": (dt.TeacherStudent(2.0, "hermite3", 0.5), _method("huber")),
    "squared loss of labels that flip": (dt.TeacherStudent(2.0, "probit", 0.5), _method("squared")),
}


@pytest.mark.parametrize(
    "case", ["softmax", *(pytest.param(name, marks=pytest.mark.full) for name in CASES if name != "softmax")]
)
def test_training_is_predicted(case: str, key: jax.Array) -> None:
    law, method = CASES[case]
    theory = dt.predict(law, method, num_steps=5, num_nodes=2**13, key=key)
    runs = dt.simulate(law, method, num_steps=5, num_features=1000, num_runs=12, matrix="revealed", key=key)
    assert dt.compare(theory, runs).verdict == "agree"

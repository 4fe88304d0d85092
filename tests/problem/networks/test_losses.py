"""Classification: losses with their derivatives, a step in closed form, and training against its simulation."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.stats import norm

import dyntheory as dt
from dyntheory.problem.networks.losses import LOSSES, Loss

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


def test_squared_loss_of_labels_reports_misclassification() -> None:
    loss, squared = LOSSES["squared_classification"], LOSSES["squared"]
    for prediction, label, wrong in ((0.3, 1.0, 0.0), (-2.0, 1.0, 1.0), ([0.3, 2.0], [1.0, 0.0], 1.0)):
        given = jnp.asarray(prediction), jnp.asarray(label)
        assert loss.error(*given) == wrong
        assert loss.value(*given) == squared.value(*given)


@pytest.mark.parametrize("noise", [pytest.param(0.0, marks=pytest.mark.full), 0.7])
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


@pytest.mark.parametrize("case", [pytest.param(name, marks=pytest.mark.full) for name in CASES])
def test_training_is_predicted(case: str, key: jax.Array) -> None:
    law, method = CASES[case]
    theory = dt.predict(law, method, num_steps=5, num_nodes=2**13, key=key)
    runs = dt.simulate(law, method, num_steps=5, num_features=1000, num_runs=12, matrix="revealed", key=key)
    assert dt.compare(theory, runs).verdict == "agree"


@pytest.mark.parametrize(("separation", "balance"), [pytest.param(1.5, 0.5, marks=pytest.mark.full), (0.7, 0.3)])
def test_one_step_on_two_clouds_in_closed_form(separation: float, balance: float, key: jax.Array) -> None:
    """From w⁰ = 0: g = −y, so w¹ = η (s w* − v/√α), and h of a fresh row is N(0, E w²) + s y E[w w*]."""
    alpha, rate = 1.7, 0.4
    loss = Loss("squared", LOSSES["squared"].value, LOSSES["logistic"].error, has_kink=True)
    method = dt.gradient_descent(dt.LinearModel(), optax.sgd, loss=loss, learning_rate=rate)
    law = dt.gaussian_mixture(alpha, separation, balance=balance)
    theory = dt.predict(law, method, num_steps=1, key=key, first_layer=ZERO)
    power = rate**2 * (separation**2 + 1 / alpha)
    np.testing.assert_allclose(theory.teacher_overlap[1, 0, 0], rate * separation, rtol=2e-3)
    np.testing.assert_allclose(theory.weight_overlap[1, 0, 0], power, rtol=2e-3)
    wanted = norm.cdf(-rate * separation**2 / np.sqrt(power))
    np.testing.assert_allclose(theory.test_error[1], wanted, rtol=0.01)


@pytest.mark.full
@pytest.mark.parametrize("num_classes", [2, 3])
def test_training_on_clouds_is_predicted(num_classes: int, key: jax.Array) -> None:
    outputs = 1 if num_classes == 2 else num_classes
    loss = "logistic" if num_classes == 2 else "cross_entropy"
    method = dt.gradient_descent(dt.MLP((3,), num_outputs=outputs), optax.sgd, loss=loss, learning_rate=1.0)
    law = dt.gaussian_mixture(2.0, 1.5, num_classes=num_classes)
    theory = dt.predict(law, method, num_steps=4, num_nodes=2**13, key=key)
    runs = dt.simulate(law, method, num_steps=4, num_features=500, num_runs=16, key=key)
    assert dt.compare(theory, runs).verdict == "agree"
    without = dt.predict(dataclasses.replace(law, separation=0.0), method, num_steps=4, num_nodes=2**12, key=key)
    assert without.test_error[-1] > theory.test_error[-1] + 0.1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: dt.gaussian_mixture(1.0, -1.0), "`separation` must be zero or positive"),
        (lambda: dt.gaussian_mixture(1.0, 1.0, balance=1.0), r"`balance` must be in \(0, 1\)"),
        (lambda: dt.gaussian_mixture(1.0, 1.0, num_classes=3, balance=0.2), "`balance` is for two classes"),
        (
            lambda: dt.responses(
                dt.gaussian_mixture(1.0, 1.0),
                dt.gradient_descent(dt.MLP((2,)), learning_rate=0.1),
                num_steps=2,
                key=jax.random.key(0),
            ),
            "Responses are implemented for labels y = φ",
        ),
    ],
)
def test_bad_input_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()

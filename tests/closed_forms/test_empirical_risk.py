"""Convex losses of labels ±1: published numbers, ridge, brute force, scikit-learn."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from dyntheory.closed_forms import (
    convex_erm,
    logistic_mle,
    margin_loss,
    max_margin,
    ridge,
    separability_threshold,
)
from dyntheory.closed_forms.margin_losses import MARGIN_LOSSES
from dyntheory.ground.precision import double_precision

NAMES = ("logistic", "hinge", "squared_hinge")
full = pytest.mark.full


@pytest.mark.full
def test_the_published_example_of_logistic_regression() -> None:
    """κ = 0.2, γ² = 5; the condition number diverges where the estimate ceases to exist."""
    edge = float(separability_threshold(signal_power=5.0))
    found = logistic_mle(np.array([5.0, 1.01 * edge, 1.001 * edge]), signal_power=5.0)
    np.testing.assert_allclose([found.bias[0], found.spread[0], found.step[0]], [1.49935, 4.7435, 3.0269], rtol=2e-5)
    assert found.condition[2] > 5 * found.condition[1] > 20 * found.condition[0]
    with pytest.raises(ValueError, match="max_margin"):
        logistic_mle(0.999 * edge, signal_power=5.0)


def test_squared_loss_is_ridge() -> None:
    """To rounding, with the linear part of the labels as signal and the rest as noise; half the signal must fail."""
    alpha, penalty = np.array([0.3, 1.0, 3.0, 20.0]), np.array([0.01, 0.5, 2.0, 1e-5])
    ours = convex_erm(alpha, penalty=penalty, loss="squared", teacher="sign", signal_power=3.0)

    def exact(signal: float) -> Any:
        return ridge(alpha, penalty / alpha, signal_power=signal, noise_std=np.sqrt(1 - signal))

    np.testing.assert_allclose(2 * ours.test_loss, exact(2 / np.pi).test_error, rtol=1e-12)
    np.testing.assert_allclose(2 * ours.train_loss, exact(2 / np.pi).train_error, rtol=1e-12)
    assert np.all(np.abs(2 * ours.test_loss / exact(1 / np.pi).test_error - 1) > 1e-2)
    with pytest.raises(ValueError, match="at most 1"):
        convex_erm(0.9, penalty=0.0, loss="squared")


def _sum_over_grid(name: str, alpha: float, penalty: float, m: float, s: float, step: float) -> list[float]:
    """Return the optimality conditions λm = αE[fv], s² = αE(P − ω)², λV = 1 − α(1 − E P′) at ρ = 1, sign teacher.

    The margin is ω = mv + sZ with v = |G|; sums over a plain grid, the prox by bisection of the subgradient.
    """
    slopes = {
        "logistic": lambda z: -1 / (1 + np.exp(z)),
        "hinge": lambda z: -1.0 * (z < 1),
        "squared_hinge": lambda z: -2 * np.maximum(1 - z, 0),
    }
    v, z = np.meshgrid((np.arange(160) + 0.5) * 0.04, (np.arange(320) - 159.5) * 0.04, indexing="ij")
    weight = 2 * norm.pdf(v) * norm.pdf(z) * 0.04**2

    def prox(omega: np.ndarray) -> np.ndarray:
        low, high = omega.copy(), omega + 3 * step + 3
        for _ in range(40):
            middle = (low + high) / 2
            above = middle + step * slopes[name](middle) > omega
            low, high = np.where(above, low, middle), np.where(above, middle, high)
        return (low + high) / 2

    omega, shift = m * v + s * z, 1e-4
    moved = prox(omega) - omega
    stretch = np.sum(weight * (prox(omega + shift) - prox(omega - shift))) / (2 * shift)
    return [
        alpha * np.sum(weight * moved * v) / (penalty * m * step) - 1,
        alpha * np.sum(weight * moved**2) / s**2 - 1,
        (1 - alpha * (1 - stretch)) / (penalty * step) - 1,
    ]


@pytest.mark.parametrize(
    "name", ["hinge", pytest.param("logistic", marks=full), pytest.param("squared_hinge", marks=full)]
)
def test_optimality_by_brute_force(name: str) -> None:
    alpha, penalty = 1.7, 0.4
    risk = convex_erm(alpha, penalty=penalty, loss=name, teacher="sign")
    m, s, step = float(risk.teacher_overlap), float(risk.spread), float(risk.step)
    assert np.max(np.abs(_sum_over_grid(name, alpha, penalty, m, s, step))) < 2e-3
    assert np.max(np.abs(_sum_over_grid(name, alpha, penalty, 1.05 * m, s, step))) > 1e-2


def _fits(loss: str, alpha: float, penalty: float, teacher: str, num_runs: int) -> tuple[np.ndarray, np.ndarray]:
    """Return means and standard errors of (m, q, train and test error) of scikit-learn's minimisers."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import LinearSVC

    d, generator, seen = 200, np.random.default_rng(8), []
    kinds = {
        "logistic": lambda: LogisticRegression(C=1 / penalty, fit_intercept=False, tol=1e-8, max_iter=1000),
        "hinge": lambda: LinearSVC(loss="hinge", C=1 / penalty, fit_intercept=False, tol=1e-6, max_iter=200_000),
        "squared_hinge": lambda: LinearSVC(C=1 / penalty, fit_intercept=False, tol=1e-6, max_iter=200_000),
    }
    for _ in range(num_runs):
        x, w = generator.standard_normal((int(alpha * d), d)) / np.sqrt(d), generator.standard_normal(d)
        z = x @ (w := w / np.sqrt(np.mean(w**2)))
        y = np.sign(z if teacher == "sign" else 1 / (1 + np.exp(-z)) - generator.random(len(z)))
        fitted = kinds[loss]().fit(x, y).coef_[0]
        m, q = np.mean(fitted * w), np.mean(fitted**2)
        seen.append((m, q, np.mean(y * (x @ fitted) < 0), np.arccos(m / np.sqrt(q)) / np.pi))
    return np.mean(seen, axis=0), np.std(seen, axis=0, ddof=1) / np.sqrt(num_runs)


@pytest.mark.parametrize(
    ("loss", "teacher"),
    [
        ("hinge", "sign"),
        pytest.param("logistic", "sign", marks=full),
        pytest.param("squared_hinge", "sign", marks=full),
        pytest.param("logistic", "logistic", marks=full),
        pytest.param("hinge", "logistic", marks=full),
    ],
)
def test_scikit_learn_agrees(loss: str, teacher: str) -> None:
    """Order parameters and errors as z-scores; twice the penalty must fail."""
    alpha, penalty = 1.7, 0.4
    mean, bar = _fits(loss, alpha, penalty, teacher, 24)
    assert np.all(bar[[0, 1, 3]] < 0.03 * mean[[0, 1, 3]])

    def scores(level: float) -> np.ndarray:
        risk = convex_erm(alpha, penalty=level, loss=loss, teacher=teacher)
        angle = np.arccos(risk.teacher_overlap / np.sqrt(risk.weight_overlap)) / np.pi
        expected = np.array([risk.teacher_overlap, risk.weight_overlap, risk.train_error, angle])
        return np.abs(mean - expected) / (bar + 1 / 200 * np.abs(mean))

    assert np.all(scores(penalty) < 4)
    assert np.any(scores(2 * penalty) > 8)


def _prox(omega: Any, step: Any) -> Any:
    return jnp.where(omega < 1 - step, omega + step, jnp.maximum(omega, 1.0))


def _hinge(z: Any) -> Any:
    return jnp.maximum(1 - z, 0.0)


def _corners(step: Any) -> Any:
    return jnp.stack([1 - step, jnp.ones_like(step)])


def test_a_loss_of_ones_own_is_the_named_one() -> None:
    """The hinge written as its prox has the value, the pull and the corners of the named one."""
    mine, named = margin_loss(_hinge, _prox, corners=_corners), MARGIN_LOSSES["hinge"]
    omega, step = jnp.linspace(-3.0, 3.0, 50), jnp.asarray(0.7)
    np.testing.assert_allclose(mine.value(omega), named.value(omega), rtol=1e-6)
    np.testing.assert_allclose(mine.pull(omega, step), named.pull(omega, step), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(np.sort(mine.corners(step)), np.sort(named.corners(step)), rtol=1e-6)
    bare: Any = _hinge
    with pytest.raises(TypeError, match="margin_loss"):
        convex_erm(1.7, penalty=0.4, loss=bare)


@full
def test_a_loss_of_ones_own_is_solved() -> None:
    """The hinge written as its prox gives the hinge; without its corners the quadrature is refused."""
    mine = margin_loss(_hinge, _prox, corners=_corners)
    ours, theirs = (convex_erm(1.7, penalty=0.4, loss=loss, teacher="sign") for loss in (mine, "hinge"))
    np.testing.assert_allclose(ours, theirs, rtol=1e-10)
    with pytest.raises(ArithmeticError, match="corners"):
        convex_erm(1.7, penalty=0.4, loss=margin_loss(_hinge, _prox), teacher="sign")


@full
@pytest.mark.parametrize("loss", NAMES)
def test_a_vanishing_penalty_gives_the_largest_margin(loss: str) -> None:
    """At once for losses that reach zero; as 1/log(1/λ) for the logistic one, hence extrapolated."""
    limit = max_margin(np.array([0.5, 2.0])).test_error
    penalties = np.array([[1e-5], [1e-10]])
    coarse, fine = convex_erm(np.array([0.5, 2.0]), penalty=penalties, loss=loss, teacher="sign").test_error
    if loss != "logistic":
        np.testing.assert_allclose(fine, limit, rtol=1e-6)
        return
    assert np.all(np.abs(fine / limit - 1) > 5e-3)
    np.testing.assert_allclose(2 * fine - coarse, limit, rtol=5e-3)


@full
def test_labels_of_ones_own() -> None:
    """A law written out equals the named one, and only its symmetric part counts."""
    named = convex_erm(3.0, penalty=0.4, signal_power=2.0)
    written = convex_erm(3.0, penalty=0.4, teacher=lambda z: 1 / (1 + jnp.exp(-z)), signal_power=2.0)
    np.testing.assert_allclose(written, named, rtol=1e-10)
    tilted = convex_erm(
        3.0, penalty=0.4, teacher=lambda z: jax.nn.sigmoid(z) + 0.1 * jnp.exp(-(z**2)), signal_power=2.0
    )
    np.testing.assert_allclose(tilted, named, rtol=1e-10)


@full
@pytest.mark.parametrize("loss", [*NAMES, "squared"])
@pytest.mark.parametrize("teacher", ["sign", "probit"])
def test_a_minimiser_is_found_for_any_parameters(loss: str, teacher: str) -> None:
    generator, count = np.random.default_rng(4), 200
    alpha, penalty = np.exp(generator.uniform(-3, 4, count)), 10 ** generator.uniform(-8, 3, count)
    power, noise = 10 ** generator.uniform(-2, 2, count), generator.choice([0.01, 0.5, 5.0], count)
    risk = convex_erm(alpha, penalty=penalty, loss=loss, teacher=teacher, signal_power=power, noise_std=noise)
    assert np.all(risk.train_loss <= risk.test_loss)
    assert np.all(risk.teacher_overlap**2 < risk.weight_overlap * power)


@full
def test_derivatives() -> None:
    def error(penalty: Any) -> Any:
        return convex_erm(1.7, penalty=penalty, loss="hinge", teacher="sign").test_error

    with double_precision():
        slopes = jax.grad(error)(0.4), jax.jvp(error, (0.4,), (1.0,))[1]
    np.testing.assert_allclose(slopes, (error(0.401) - error(0.399)) / 2e-3, rtol=1e-4)

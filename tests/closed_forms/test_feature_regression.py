"""Random features: two published forms, high precision, edges, and real regression."""

from typing import Any

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

from dyntheory.closed_forms import (
    HermiteCoefficients,
    hermite_coefficients,
    mei_montanari_excess,
    random_features,
)
from dyntheory.ground.precision import double_precision

PARTS = {"signal_power": 1.3, "nonlinear_power": 0.2, "noise_std": 0.4}


def test_coefficients_are_known_ones() -> None:
    relu, erf, sign = (hermite_coefficients(name) for name in ("relu", "erf", "sign"))
    np.testing.assert_allclose(relu, [1 / np.sqrt(2 * np.pi), 0.5, np.sqrt(0.25 - 0.5 / np.pi)], rtol=1e-13)
    np.testing.assert_allclose(
        erf[1:], [2 / np.sqrt(3 * np.pi), np.sqrt(2 / np.pi * np.arcsin(2 / 3) - 4 / (3 * np.pi))], rtol=1e-13
    )
    np.testing.assert_allclose(sign[1:], [np.sqrt(2 / np.pi), np.sqrt(1 - 2 / np.pi)], rtol=1e-13)
    with pytest.raises(ValueError, match="kinks at multiples"):
        hermite_coefficients(lambda x: jnp.abs(x - 0.1234))


def test_both_published_forms_agree() -> None:
    generator = np.random.default_rng(1)
    psi1, psi2 = np.exp(generator.uniform(-1.5, 1.5, (2, 200)))
    penalty = 10 ** generator.uniform(-2, 1, 200)
    linear, nonlinear = generator.uniform(0.3, 1.5, (2, 200))
    ours = random_features(
        psi1, psi2, penalty=penalty, activation=HermiteCoefficients(0.0, linear, nonlinear), **PARTS
    ).excess_error
    theirs = mei_montanari_excess(psi1, psi2, penalty=penalty, linear=linear, nonlinear=nonlinear, **PARTS)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def _exact(psi1: float, psi2: float, penalty: float, linear: float, nonlinear: float) -> float:
    """Return the published risk with 60 digits: coupled equations as printed, polynomials as printed."""
    with mp.workdps(60):
        p1, p2, z2 = mp.mpf(psi1), mp.mpf(psi2), (mp.mpf(linear) / mp.mpf(nonlinear)) ** 2
        s = mp.sqrt(p1 * p2 * mp.mpf(penalty) / mp.mpf(nonlinear) ** 2)

        def other(x: mp.mpf) -> mp.mpf:
            h = x + z2 * x / (1 + z2 * x)
            return (p1 - h) * (p2 - h) - s**2 * x

        b = 1 + z2 - min(p1, p2) * z2
        low, high = mp.mpf(0), (-b + mp.sqrt(b**2 + 4 * z2 * min(p1, p2))) / (2 * z2)
        for _ in range(190):
            middle = (low + high) / 2
            low, high = (middle, high) if other(middle) > 0 else (low, middle)
        x = (low + high) / 2
        u1 = (p1 - x - z2 * x / (1 + z2 * x)) / s
        u2 = x / u1
        assert abs(u1 - p1 / (s + u2 + z2 * u2 / (1 + z2 * x))) < mp.mpf(10) ** -30 * u1
        c = -x
        e0 = (
            -(c**5) * z2**3 + 3 * c**4 * z2**2 + (p1 * p2 - p2 - p1 + 1) * c**3 * z2**3 - 2 * c**3 * z2**2
            - 3 * c**3 * z2 + (p1 + p2 - 3 * p1 * p2 + 1) * c**2 * z2**2 + 2 * c**2 * z2 + c**2
            + 3 * p1 * p2 * c * z2 - p1 * p2
        )  # fmt: skip
        e1 = p2 * c**3 * z2**2 - p2 * c**2 * z2 + p1 * p2 * c * z2 - p1 * p2
        e2 = (
            c**5 * z2**3 - 3 * c**4 * z2**2 + (p1 - 1) * c**3 * z2**3 + 2 * c**3 * z2**2 + 3 * c**3 * z2
            - (p1 + 1) * c**2 * z2**2 - 2 * c**2 * z2 - c**2
        )  # fmt: skip
        signal, hidden, noise = (mp.mpf(value) for value in PARTS.values())
        return float(signal * e1 / e0 + (noise**2 + hidden) * e2 / e0 + hidden)


@pytest.mark.parametrize(
    "case",
    [
        (3.0, 2.0, 0.1, 0.5, 0.3),
        (2.0, 2.0, 1e-12, 0.5, 0.3),
        (2.0, 2.0 * (1 + 1e-9), 1e-14, 0.5, 0.3),
        (2.0 * (1 + 1e-9), 2.0, 1e-20, 0.5, 0.3),
        (1.0, 1.0, 1e-8, 0.5, 0.3),
        (1e4, 0.3, 1e-3, 0.7, 1e-3),
        (0.3, 1e4, 1e3, 0.7, 2.0),
        (0.5, 0.7, 1e-6, 2.0, 1e-4),
    ],
)
def test_high_precision_everywhere(case: tuple[float, float, float, float, float]) -> None:
    psi1, psi2, penalty, linear, nonlinear = case
    ours = random_features(psi1, psi2, penalty=penalty, activation=HermiteCoefficients(0.0, linear, nonlinear), **PARTS)
    np.testing.assert_allclose(ours.excess_error, _exact(*case), rtol=1e-10)


def test_edges() -> None:
    def errors(psi1: float, **other: float) -> float:
        return float(random_features(psi1, 2.0, activation="relu", noise_std=0.5, **other).test_error)

    assert np.isinf(errors(2.0, penalty=0.0))
    for psi1 in (1.0, 4.0):
        np.testing.assert_allclose(errors(psi1, penalty=0.0), errors(psi1, penalty=1e-14), rtol=1e-10)
    with pytest.raises(ValueError, match="linear activation"):
        random_features(1.0, 2.0, penalty=0.0, activation="linear")
    with pytest.raises(ValueError, match="features_per_input"):
        random_features(0.0, 2.0, penalty=0.1, activation="relu")
    even = random_features(1.0, 2.0, penalty=0.1, activation="quadratic")
    assert float(even.excess_error) >= 1.0  # an even activation learns nothing of a linear target


def test_derivative_and_transformations() -> None:
    relu = hermite_coefficients("relu")

    def error(penalty: Any) -> Any:
        return random_features(3.0, 2.0, penalty=penalty, activation=relu, noise_std=0.5).test_error

    step = 1e-5
    expected = (error(0.1 + step) - error(0.1 - step)) / (2 * step)
    with double_precision():
        slopes = jax.jit(jax.vmap(jax.grad(error)))(jnp.array([0.1, 0.1]))
    np.testing.assert_allclose(slopes, expected, rtol=1e-8)
    grid = random_features(np.array([[1.0], [3.0]]), 2.0, penalty=np.array([0.1, 0.2]), activation="relu")
    assert grid.test_error.shape == (2, 2) and grid.test_error.dtype == np.float64


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "sigmoid", "abs"])
def test_coefficients_inside_transformations(name: str) -> None:
    """Numbers of the activation, whatever surrounds the call; relu has a derivative of its own."""
    outside = hermite_coefficients(name)

    def inside(x: Any) -> Any:
        found = hermite_coefficients(name)
        assert found == outside
        return x

    jax.vmap(inside)(jnp.ones(2))
    jax.make_jaxpr(jax.grad(inside))(1.0)


def test_real_regression() -> None:
    """Ridge on 240 ReLU features of 180 inputs in 120 dimensions, as z-scores; half the signal must fail."""
    d, num_features, n, penalty, noise = 120, 240, 180, 0.05, 0.5
    generator, errors = np.random.default_rng(3), []
    for _ in range(24):
        draws = generator.standard_normal((n + num_features + 500, d))
        draws *= np.sqrt(d) / np.linalg.norm(draws, axis=1, keepdims=True)
        features = np.maximum(draws[num_features:] @ draws[:num_features].T / np.sqrt(d), 0)
        clean = draws[num_features:, 0]
        labels = clean[:n] + noise * generator.standard_normal(n)
        gram = features[:n].T @ features[:n] / n + num_features * penalty / d * np.eye(num_features)
        fitted = features @ np.linalg.solve(gram, features[:n].T @ labels / n)
        errors.append((np.mean((fitted[n:] - clean[n:]) ** 2), np.mean((fitted[:n] - labels) ** 2)))
    mean, spread = np.mean(errors, axis=0), np.std(errors, axis=0, ddof=1) / np.sqrt(len(errors))
    assert np.all(spread < 0.03 * mean)

    def scores(signal: float) -> np.ndarray:
        risk = random_features(
            num_features / d, n / d, penalty=penalty, activation="relu", signal_power=signal, noise_std=noise
        )
        return np.abs(mean - np.array([risk.excess_error, risk.train_error])) / (spread + 2 / d * mean)

    assert np.all(scores(1.0) < 4)
    assert np.all(scores(0.5) > 6)

"""Learning curves against closed forms, power laws, and real kernel regression."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dyntheory.kernels import LearningCurve, Spectrum, learning_curve, overfitting_kind, power_law

pytestmark = pytest.mark.usefixtures("double")


def test_equal_eigenvalues_give_the_closed_forms_of_least_squares() -> None:
    """Isotropic ridge regression, `hastie2022surprises`: the Stieltjes transform of Marchenko and Pastur."""
    p, signal, sigma, ridge = 60, 1.3, 0.4, 0.2
    for n in (20, 60, 200):
        gamma = p / n
        m = 2 / (1 - gamma + ridge + math.sqrt((1 - gamma + ridge) ** 2 + 4 * gamma * ridge))
        slope = (m + gamma * m**2) / (1 - gamma + ridge + 2 * gamma * ridge * m)  # of m(−λ), with sign
        risk = signal * ridge**2 * slope + sigma**2 * gamma * (m - ridge * slope)
        curve = learning_curve(Spectrum(jnp.ones(p), jnp.full(p, signal / p)), n, ridge=ridge, noise_std=sigma)
        np.testing.assert_allclose(curve.test_error[0], risk + sigma**2, rtol=1e-11)


@pytest.mark.parametrize(("n", "expected"), [(30, 1.3 * 0.5 + 0.16 * 2), (120, 0.16 * 2)])
def test_ridgeless_limits(n: int, expected: float) -> None:
    curve = learning_curve(Spectrum(jnp.full(60, 3.0), jnp.full(60, 1.3 / 60)), n, noise_std=0.4)
    np.testing.assert_allclose(curve.test_error[0], expected, rtol=1e-12)
    np.testing.assert_allclose(curve.train_error[0], 0.0 if n < 60 else 0.08, atol=1e-15)


def test_the_interpolation_peak_is_infinite_and_a_ridge_removes_it() -> None:
    spectrum = Spectrum(jnp.ones(10), jnp.ones(10))
    assert np.isinf(learning_curve(spectrum, 10, noise_std=1.0).test_error[0])
    assert np.isfinite(learning_curve(spectrum, 10, ridge=1e-6, noise_std=1.0).test_error[0])


@pytest.mark.parametrize("source", [0.3, 0.8])
def test_power_laws_have_their_exponents_and_constants(source: float) -> None:
    """Ridgeless: κ = (C/n)^α, E_0 = α, bias κ^{2r} Γ(2−2r) Γ(2r), variance σ² (α − 1)."""
    capacity, counts = 1.7, np.array([4000.0, 8000.0])
    spectrum = power_law(capacity, source, 400_000)
    curve = learning_curve(spectrum, counts)
    constant = math.pi / capacity / math.sin(math.pi / capacity)
    np.testing.assert_allclose(curve.effective_ridge, (constant / counts) ** capacity, rtol=1e-3)
    np.testing.assert_allclose(curve.overfitting, capacity, rtol=1e-3)
    bias = np.asarray(curve.effective_ridge) ** (2 * source) * math.gamma(2 - 2 * source) * math.gamma(2 * source)
    np.testing.assert_allclose(curve.test_error, bias, rtol=5e-3)
    noisy = learning_curve(spectrum, counts, noise_std=0.5)
    np.testing.assert_allclose(noisy.test_error - curve.test_error - 0.25, 0.25 * (capacity - 1), rtol=3e-3)


def test_overfitting_is_benign_tempered_or_catastrophic() -> None:
    counts = np.geomspace(30, 300, 6)
    spectrum = power_law(1.7, 0.5, 20_000)
    assert overfitting_kind(learning_curve(spectrum, counts)) == "tempered"
    assert overfitting_kind(learning_curve(spectrum, counts, ridge=0.1)) == "benign"
    steep = Spectrum(jnp.exp(-jnp.arange(600.0)), jnp.ones(600))
    assert overfitting_kind(learning_curve(steep, counts)) == "catastrophic"


def _regression(
    features: Callable[[Any, int], Any], target: Callable[[Any], Any], n: int, ridge: float, sigma: float, num_runs: int
) -> np.ndarray:
    """Return train and test error of real regression on fresh samples, (num_runs, 2)."""

    @jax.jit
    def one(key: jax.Array) -> jax.Array:
        keys = jax.random.split(key, 4)
        train, test = features(keys[0], n), features(keys[1], 200)
        labels = target(train) + sigma * jax.random.normal(keys[2], (n,), float)
        kernel = train @ train.T
        coefficients = jnp.linalg.solve(kernel + n * ridge * jnp.eye(n), labels)
        error = jnp.mean((test @ (train.T @ coefficients) - target(test)) ** 2) + sigma**2
        return jnp.stack([jnp.mean((kernel @ coefficients - labels) ** 2), error])

    return np.asarray(jax.lax.map(one, jax.random.split(jax.random.key(13), num_runs)))


@pytest.mark.full
def test_curves_agree_with_real_regression_on_gaussian_features() -> None:
    values = np.arange(1.0, 301.0) ** -1.3
    weights = np.where(np.arange(300) % 2, 1.0, -1.0) * np.arange(1.0, 301.0) ** -0.4
    spectrum = Spectrum(jnp.asarray(values), jnp.asarray(values * weights**2))

    def features(key: jax.Array, n: int) -> jax.Array:
        return jnp.sqrt(values)[None, :] * jax.random.normal(key, (n, 300), float)

    runs = _regression(features, lambda x: x @ jnp.asarray(weights), 80, 1e-3, 0.3, 400)
    curve = learning_curve(spectrum, 80, ridge=1e-3, noise_std=0.3)
    error = runs.std(axis=0, ddof=1) / np.sqrt(len(runs))
    assert (error / runs.mean(axis=0) < 0.02).all()
    expected = np.array([curve.train_error[0], curve.test_error[0]])
    allowance = 0.01 * expected  # the theory is the leading order; corrections are O(1/n)
    assert (np.abs(runs.mean(axis=0) - expected) < 4 * error + allowance).all()
    without_noise = learning_curve(spectrum, 80, ridge=1e-3)
    assert abs(runs[:, 1].mean() - float(without_noise.test_error[0])) > 8 * error[1] + allowance[1]


def test_a_tail_below_kappa_acts_as_a_ridge() -> None:
    whole = power_law(1.5, 0.5, 100_000)
    short = power_law(1.5, 0.5, 4_000)
    for ridge in (0.0, 1e-3):
        one, two = (learning_curve(s, 50, ridge=ridge, noise_std=0.2) for s in (whole, short))
        np.testing.assert_allclose(one.test_error, two.test_error, rtol=2e-3)
        np.testing.assert_allclose(one.train_error, two.train_error, rtol=2e-3, atol=1e-15)


def test_derivatives_go_through_the_root() -> None:
    spectrum = Spectrum(jnp.exp(-0.2 * jnp.arange(50.0)), jnp.exp(-0.3 * jnp.arange(50.0)))

    def error(ridge: Any) -> jax.Array:
        return learning_curve(spectrum, 20, ridge=ridge, noise_std=0.3).test_error[0]

    slope = (error(0.01 + 1e-6) - error(0.01 - 1e-6)) / 2e-6
    np.testing.assert_allclose(jax.jit(jax.grad(error))(0.01), slope, rtol=1e-7)


CURVE = LearningCurve(*(jnp.ones(1) for _ in range(6)))
BAD: Any = np.ones(3)
GOOD = Spectrum(jnp.ones(2), jnp.ones(2))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: learning_curve(BAD, 2), TypeError, "Spectrum"),
        (lambda: learning_curve(Spectrum(np.ones(3), np.ones(2)), 2), ValueError, "one length"),
        (lambda: learning_curve(Spectrum(np.zeros(3), np.ones(3)), 2), ValueError, "positive one"),
        (lambda: learning_curve(Spectrum(-np.ones(3), np.ones(3)), 2), ValueError, "eigenvalues"),
        (lambda: learning_curve(GOOD, 0), ValueError, "num_samples"),
        (lambda: learning_curve(GOOD, 2, ridge=-1.0), ValueError, "ridge"),
        (lambda: overfitting_kind(CURVE), ValueError, "factor of ten"),
    ],
)
def test_bad_input_says_what_was_wrong(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()

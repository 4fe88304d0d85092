"""Rates, curves and noise floors of momentum methods: eigenvalues by NumPy, plain loops, long sums, random runs."""

from typing import Any

import jax
import numpy as np
import pytest

from dyntheory.closed_forms import momentum_rate, noise_floor, optimal_momentum, quadratic_descent

CASES = [(1.0, 0.3, 0.0), (1.0, 1.7, 0.5), (2.0, 0.05, 0.9), (0.01, 1.0, 0.81), (1.0, 2.5, 0.3), (4.0, 0.4, 0.7)]


def _companion(curvature: float, rate: float, momentum: float, nesterov: bool) -> np.ndarray:
    """Return the matrix of one step of (x_t, x_{t−1}), from the two lines of each method."""
    if nesterov:  # y = x + β (x − x₋), x ← y − ηλ y
        return np.array([[(1 - rate * curvature) * (1 + momentum), -(1 - rate * curvature) * momentum], [1.0, 0.0]])
    return np.array([[1 - rate * curvature + momentum, -momentum], [1.0, 0.0]])


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize(("curvature", "rate", "momentum"), CASES)
def test_rates_are_spectral_radii(curvature: float, rate: float, momentum: float, nesterov: bool) -> None:
    roots = np.abs(np.linalg.eigvals(_companion(curvature, rate, momentum, nesterov)))
    found = momentum_rate(curvature, rate, momentum=momentum, nesterov=nesterov)
    np.testing.assert_allclose(found, roots.max(), rtol=1e-7)  # NumPy's beside a double root


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize(("curvature", "rate", "momentum"), CASES)
def test_every_step_is_that_of_a_loop(curvature: float, rate: float, momentum: float, nesterov: bool) -> None:
    """Mean by iteration, variance by summing squared responses."""
    matrix, state, impulse = _companion(curvature, rate, momentum, nesterov), np.array([2.0, 2.0]), np.array([1.0, 0.0])
    sums, expected, noisy = 0.0, [], []
    for _ in range(40):
        expected.append(state[0] ** 2)
        noisy.append(state[0] ** 2 + (0.7 * rate) ** 2 * sums)
        sums, impulse, state = sums + impulse[0] ** 2, matrix @ impulse, matrix @ state
    options: dict[str, Any] = {"steps": range(40), "momentum": momentum, "nesterov": nesterov, "initial": 2.0}
    np.testing.assert_allclose(quadratic_descent(curvature, rate, **options), expected, rtol=1e-9, atol=1e-18)
    found = quadratic_descent(curvature, rate, noise_std=0.7, **options)
    np.testing.assert_allclose(found, noisy, rtol=1e-9)
    floor = noise_floor(curvature, rate, momentum=momentum, nesterov=nesterov, noise_std=0.7)
    options["steps"] = 10**6
    late = quadratic_descent(curvature, rate, noise_std=0.7, **options)
    np.testing.assert_allclose(late, floor, rtol=1e-8)


def test_optimal_numbers_are_optimal() -> None:
    """The rate over [μ, L] is what is said, and no smaller nearby. Negative control: the standard choice is slower."""
    curvatures = np.geomspace(0.02, 1.5, 2001)
    for method, nesterov in (("gradient_descent", False), ("heavy_ball", False), ("nesterov", True)):
        best = optimal_momentum(0.02, 1.5, method=method)

        def worst(rate: float, momentum: float, nesterov: bool = nesterov) -> float:
            return float(np.max(momentum_rate(curvatures, rate, momentum=momentum, nesterov=nesterov)))

        assert abs(worst(best.learning_rate, best.momentum) - best.rate) < 1e-6
        moves = [(a, b) for a in (0.97, 1.0, 1.03) for b in (-0.02, 0.0, 0.02) if (a, b) != (1.0, 0.0)]
        for a, b in moves:
            momentum = float(best.momentum) + b
            if method != "gradient_descent" or b == 0:
                assert worst(a * float(best.learning_rate), momentum) > best.rate - 1e-9
    kappa = 1.5 / 0.02
    usual = momentum_rate(0.02, 1 / 1.5, momentum=(np.sqrt(kappa) - 1) / (np.sqrt(kappa) + 1), nesterov=True)
    np.testing.assert_allclose(usual, 1 - 1 / np.sqrt(kappa), rtol=1e-9)
    assert usual > optimal_momentum(0.02, 1.5, method="nesterov").rate


def test_noisy_runs_have_the_predicted_spread() -> None:
    """4000 runs of heavy ball, three times, in 4 standard errors; without the factor of momentum they miss."""
    rng, runs = np.random.default_rng(1), 4000
    x, before, values = np.ones(runs), np.ones(runs), {}
    for step in range(1, 201):
        g = 0.5 * x + rng.normal(size=runs)
        x, before = x - 0.2 * g + 0.8 * (x - before), x
        values[step] = x**2
    for step in (3, 20, 200):
        mean, error = values[step].mean(), values[step].std() / np.sqrt(runs)
        expected = quadratic_descent(0.5, 0.2, steps=step, momentum=0.8, noise_std=1.0)
        assert error < 0.05 * mean + 0.01 and abs(mean - expected) < 4 * error
    floor = noise_floor(0.5, 0.2, momentum=0.8)
    assert abs(values[200].mean() - floor) < 4 * error < abs(values[200].mean() - noise_floor(0.5, 0.2))


def test_what_diverges_is_infinite() -> None:
    assert np.isinf(noise_floor(1.0, 2.0)) and np.isinf(noise_floor(0.0, 0.1))
    assert np.isinf(quadratic_descent(1.0, 2.5, steps=10**6)) and momentum_rate(1.0, 2.5) == 1.5
    assert quadratic_descent(1.0, 2.0, steps=10**9) == 1.0


def test_what_starts_at_the_minimum_stays() -> None:
    assert quadratic_descent(1.0, 2.5, steps=10**6, initial=0.0) == 0


def test_slow_directions_keep_their_digits() -> None:
    """ηλ = 1e-6 with momentum: after 3 million steps of its clock the variance is the floor."""
    found = quadratic_descent(1e-6, 1.0, steps=3 * 10**6, momentum=0.9, initial=0.0, noise_std=1.0)
    np.testing.assert_allclose(found, noise_floor(1e-6, 1.0, momentum=0.9), rtol=1e-9)
    mean = quadratic_descent(1e-6, 1.0, steps=10**6, momentum=0.9)
    root = momentum_rate(1e-6, 1.0, momentum=0.9)
    slow, fast = root, 0.9 / root  # x_t = A slow^t + B fast^t with x_0 = x_{-1} = 1
    amplitude = (1 - 1 / fast) / (1 / slow - 1 / fast)
    np.testing.assert_allclose(mean, (amplitude * np.exp(10**6 * np.log(slow))) ** 2, rtol=1e-8)


def test_transformations() -> None:
    slope = jax.grad(lambda rate: noise_floor(1.0, rate, momentum=0.5))(0.3)
    step = 1e-5
    ends = [noise_floor(1.0, 0.3 + s, momentum=0.5) for s in (step, -step)]
    np.testing.assert_allclose(slope, (ends[0] - ends[1]) / (2 * step), rtol=1e-5)
    at_zero = jax.grad(lambda beta: momentum_rate(1.0, 0.3, momentum=beta))(0.0)
    np.testing.assert_allclose(at_zero, -0.3 / 0.7, rtol=1e-6)  # of the larger root of z² − (0.7 + β)z + β
    of_rate = jax.grad(lambda rate: quadratic_descent(1.0, rate, steps=3))(0.3)
    np.testing.assert_allclose(of_rate, -6 * 0.7**5, rtol=1e-6)
    both = jax.jit(jax.vmap(lambda rate: momentum_rate(1.0, rate, momentum=0.5)))(np.array([0.1, 2.0], np.float32))
    np.testing.assert_allclose(both, momentum_rate(1.0, np.array([0.1, 2.0]), momentum=0.5), rtol=1e-6)


def test_bad_numbers_are_named() -> None:
    with pytest.raises(ValueError, match="`momentum` must be below 1"):
        momentum_rate(1.0, 0.1, momentum=1.0)
    with pytest.raises(ValueError, match="`largest` must not be below"):
        optimal_momentum(2.0, 1.0)
    with pytest.raises(TypeError, match="`steps` must be integers"):
        quadratic_descent(1.0, 0.1, steps=[0.5])
    with pytest.raises(ValueError, match="Unknown method"):
        optimal_momentum(1.0, 2.0, method="adam")

"""LASSO and its phase transition: high precision, scikit-learn, the known limits."""

from collections.abc import Sequence
from typing import Any

import jax
import mpmath as mp
import numpy as np
import pytest

from dyntheory import priors
from dyntheory.closed_forms import LassoRisk, compressed_sensing_threshold, lasso, lasso_state_evolution
from dyntheory.ground.precision import double_precision

Case = tuple[float, float, float, float, bool]  # α, λ, density, σ, whether the nonzero entries are ±1

CASES: list[Case] = [
    (0.5, 0.2, 0.1, 0.1, False),
    (0.25, 1e-3, 0.3, 0.05, False),
    (2.0, 1e-8, 0.5, 0.3, False),
    (1.0, 3.0, 0.2, 0.0, False),
    (0.5, 1e-6, 0.1, 0.0, False),
    (0.6, 30.0, 0.05, 1.0, False),
    (0.5, 1e-4, 0.19, 1e-3, False),
    (0.5, 1e-6, 0.187, 0.0, True),  # 3 % below the transition without noise
    (0.5, 1e-9, 0.1927, 0.0, True),
    (0.5, 1e-9, 0.194, 0.0, True),
    (0.4, 0.3, 0.3, 0.2, True),
]
ROWS = 96


def _lasso(cases: Sequence[Case]) -> LassoRisk:
    """Return the risks of any number of cases in one shape, which is compiled once."""
    filled = (list(cases) * ROWS)[:ROWS]
    alpha, penalty, density, noise, is_sign = map(np.array, zip(*filled, strict=True))
    probabilities = np.stack([1 - density, density / 2, density / 2], axis=-1)
    means = is_sign[:, None] * np.array([0.0, -1.0, 1.0])
    prior = priors.GaussianMixture(probabilities, means, ~is_sign[:, None] * np.array([0.0, 1.0, 1.0]))
    risk = lasso(alpha, penalty=penalty, prior=prior, noise_std=noise)
    return LassoRisk(*(field[: len(cases)] for field in risk))


def _published(tau: mp.mpf, theta: mp.mpf, density: float, is_sign: bool) -> tuple[mp.mpf, mp.mpf]:
    """Return error and active fraction by the published closed form, entries ±1 by hand."""

    def beyond(start: mp.mpf, centre: mp.mpf) -> mp.mpf:
        return (1 + centre**2) * mp.ncdf(-start) + (start - 2 * centre) * mp.npdf(start)

    a, e, s = theta / tau, mp.mpf(density), mp.sqrt(1 + tau**2)
    error, active = (1 - e) * tau**2 * 2 * beyond(a, a), 2 * (1 - e) * mp.ncdf(-a)
    if is_sign:
        ends = (theta - 1) / tau, (theta + 1) / tau
        tails = mp.ncdf(-ends[0]) + mp.ncdf(-ends[1])
        error += e * (tau**2 * (beyond(ends[0], a) + beyond(ends[1], a)) + 1 - tails)
        return error, active + e * tails
    error += e * (s**2 * 2 * beyond(theta / s, theta / s) - 4 * mp.ncdf(-theta / s) + 1)
    return error, active + 2 * e * mp.ncdf(-theta / s)


@pytest.fixture(scope="module")
def found() -> LassoRisk:
    return _lasso(CASES)


@pytest.mark.parametrize("index", range(len(CASES)))
def test_fixed_point_to_its_condition(index: int, found: LassoRisk) -> None:
    alpha, penalty, density, noise, is_sign = CASES[index]
    risk = LassoRisk(*(float(field[index]) for field in found))

    def equations(tau: mp.mpf, theta: mp.mpf) -> list[Any]:
        error, active = _published(tau, theta, density, is_sign)
        return [
            (mp.mpf(noise) ** 2 + error) / (alpha * tau**2) - 1,
            (penalty + theta * active) / (alpha * theta) - 1,
        ]

    with mp.workdps(40):
        tau, theta = mp.findroot(equations, (mp.mpf(risk.effective_noise), mp.mpf(risk.threshold)))
        error, active = _published(tau, theta, density, is_sign)
        wanted = [float(x) for x in (tau, theta, error, active)]
    got = [risk.effective_noise, risk.threshold, risk.excess_error, risk.active_fraction]
    np.testing.assert_allclose(got, wanted, rtol=1e-12 * risk.condition)


def _any_cases(seed: int) -> list[Case]:
    """Return random parameters, two thirds of them beside the transition."""
    generator = np.random.default_rng(seed)
    alpha, penalty = np.exp(generator.uniform(-3, 1.5, ROWS)), 10 ** generator.uniform(-10, 3, ROWS)
    edge = compressed_sensing_threshold(np.minimum(alpha, 0.99)).density
    gap = generator.choice([-1, 1], ROWS) * 10.0 ** -generator.uniform(0.5, 3, ROWS)
    is_beside = (alpha < 1) & (generator.random(ROWS) < 0.9)
    density = np.where(is_beside, np.minimum(edge * (1 + gap), 1.0), generator.uniform(0.001, 0.999, ROWS))
    noise, is_sign = generator.choice([0.0, 1e-6, 1e-3, 0.1, 10.0], ROWS), generator.random(ROWS) < 0.5
    return list(zip(*(x.tolist() for x in (alpha, penalty, density, noise, is_sign)), strict=True))


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.full) for seed in range(1, 21))])
def test_a_fixed_point_is_found_for_any_parameters(seed: int) -> None:
    cases = _any_cases(seed)
    risk = _lasso(cases)
    assert np.all(np.isfinite(risk.condition))
    for index, (alpha, penalty, density, noise, is_sign) in enumerate(cases):
        with mp.workdps(40):
            tau, theta = mp.mpf(float(risk.effective_noise[index])), mp.mpf(float(risk.threshold[index]))
            error, active = _published(tau, theta, density, is_sign)
            assert abs((mp.mpf(noise) ** 2 + error) / (alpha * tau**2) - 1) < 1e-12
            assert abs((penalty + theta * active) / (alpha * theta) - 1) < 1e-12


def test_a_point_that_is_no_solution_is_refused() -> None:
    """Without signal and noise τ = 0: the search ends at its smallest τ, where Newton's method finds no root."""
    with pytest.raises(ArithmeticError, match="not found"):
        _lasso([(0.5, 0.1, 0.0, 0.0, False), CASES[0]])


def test_priors_agree_with_integrals() -> None:
    """Error of `lasso_state_evolution` after one step, for a Laplace law, against integrals cut at every kink."""
    path = lasso_state_evolution(0.8, threshold_ratio=1.1, prior=priors.laplace(0.7), noise_std=0.3, num_steps=1)
    tau = float(path.effective_noise[0])
    np.testing.assert_allclose(path.excess_error[0], 2 * 0.7**2, rtol=1e-12)
    points, heights = np.polynomial.legendre.leggauss(120)

    def error(w: float) -> float:
        cuts = np.array([-12.0, *np.clip([-1.1 - w / tau, 1.1 - w / tau], -12, 12), 12.0])
        centres, halves = (cuts[1:] + cuts[:-1])[:, None] / 2, (cuts[1:] - cuts[:-1])[:, None] / 2
        y = w + tau * (z := centres + halves * points)
        values = (np.sign(y) * np.maximum(np.abs(y) - 1.1 * tau, 0) - w) ** 2 * np.exp(-(z**2) / 2)
        return float(np.sum(halves * heights * values)) / np.sqrt(2 * np.pi)

    w = 14 * (points + 1)
    whole = np.sum(14 * heights * np.array([error(value) for value in w]) * np.exp(-w / 0.7) / 0.7)
    np.testing.assert_allclose(path.excess_error[1], whole, rtol=1e-9)


def _test_error(penalty: Any) -> Any:
    return lasso(0.5, penalty=penalty, prior=priors.bernoulli_gauss(0.1), noise_std=0.1).test_error


@pytest.mark.parametrize("mode", ["forward", pytest.param("reverse", marks=pytest.mark.full)])
def test_derivative_is_that_of_the_fixed_point(mode: str) -> None:
    with double_precision():
        slope = jax.jvp(_test_error, (0.2,), (1.0,))[1] if mode == "forward" else jax.grad(_test_error)(0.2)
    errors = _lasso([(0.5, penalty, 0.1, 0.1, False) for penalty in (0.2001, 0.1999)]).test_error
    np.testing.assert_allclose(slope, (errors[0] - errors[1]) / 2e-4, rtol=1e-6)


def test_condition_diverges_at_the_transition() -> None:
    edge = float(compressed_sensing_threshold(0.5).density)
    conditions = _lasso([(0.5, 1e-9, edge * (1 - gap), 0.0, False) for gap in (0.3, 0.03, 0.003)]).condition
    assert conditions[2] > 5 * conditions[1] > 25 * conditions[0]


def test_against_scikit_learn() -> None:
    """Errors and active fraction of 24 real fits as z-scores; a wrong penalty by 1/α must fail."""
    from sklearn.linear_model import Lasso

    alpha, penalty, d, noise = 0.6, 0.15, 300, 0.2
    n, generator, seen = int(alpha * d), np.random.default_rng(5), []
    for _ in range(24):
        x = generator.standard_normal((n, d)) / np.sqrt(d)
        w = generator.standard_normal(d) * (np.arange(d) < 0.1 * d)
        y = x @ w + noise * generator.standard_normal(n)
        fitted = Lasso(alpha=penalty / n, fit_intercept=False, tol=1e-8, max_iter=20_000).fit(x, y).coef_
        seen.append((np.mean((fitted - w) ** 2), np.mean((x @ fitted - y) ** 2), np.mean(fitted != 0)))
    mean, spread = np.mean(seen, axis=0), np.std(seen, axis=0, ddof=1) / np.sqrt(len(seen))
    assert np.all(spread < 0.05 * mean)

    def scores(level: float) -> np.ndarray:
        risk = _lasso([(alpha, level, 0.1, noise, False)])
        expected = np.concatenate([risk.excess_error, risk.train_error, risk.active_fraction])
        return np.abs(mean - expected) / (spread + mean / d)

    assert np.all(scores(penalty) < 4)
    assert np.any(scores(penalty / alpha) > 8)

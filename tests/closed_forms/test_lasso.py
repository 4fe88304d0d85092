"""LASSO and its phase transition: high precision, scikit-learn, the known limits."""

from itertools import pairwise
from typing import Any

import jax
import mpmath as mp
import numpy as np
import pytest
import scipy.integrate
from scipy.stats import norm

from dyntheory import priors
from dyntheory._precision import double_precision
from dyntheory.closed_forms import compressed_sensing_threshold, lasso, lasso_state_evolution


def _published(tau: mp.mpf, theta: mp.mpf, density: float, std: float) -> tuple[mp.mpf, mp.mpf]:
    """Return error and active fraction for a Bernoulli–Gauss prior by the published closed form."""

    def excess(a: mp.mpf) -> mp.mpf:
        return 2 * ((1 + a**2) * mp.ncdf(-a) - a * mp.npdf(a))

    e, v = mp.mpf(density), mp.mpf(std) ** 2
    s = mp.sqrt(v + tau**2)
    error = (1 - e) * tau**2 * excess(theta / tau)
    error += e * (s**2 * excess(theta / s) - 4 * v * mp.ncdf(-theta / s) + v)
    return error, 2 * (1 - e) * mp.ncdf(-theta / tau) + 2 * e * mp.ncdf(-theta / s)


CASES = [
    (0.5, 0.2, 0.1, 0.1),
    (0.25, 1e-3, 0.3, 0.05),
    (2.0, 1e-8, 0.5, 0.3),
    (1.0, 3.0, 0.2, 0.0),
    (0.5, 1e-6, 0.1, 0.0),
    (0.6, 30.0, 0.05, 1.0),
    (0.5, 1e-4, 0.19, 1e-3),
]


@pytest.mark.parametrize("case", CASES)
def test_fixed_point_to_its_condition(case: tuple[float, float, float, float]) -> None:
    alpha, penalty, density, noise = case
    risk = lasso(alpha, penalty=penalty, prior=priors.bernoulli_gauss(density), noise_std=noise)

    def equations(tau: mp.mpf, theta: mp.mpf) -> list[Any]:
        error, active = _published(tau, theta, density, 1.0)
        return [
            (mp.mpf(noise) ** 2 + error) / (alpha * tau**2) - 1,
            (penalty + theta * active) / (alpha * theta) - 1,
        ]

    with mp.workdps(40):
        tau, theta = mp.findroot(equations, (mp.mpf(float(risk.effective_noise)), mp.mpf(float(risk.threshold))))
        error, active = _published(tau, theta, density, 1.0)
        wanted = [float(x) for x in (tau, theta, error, active)]
    got = [risk.effective_noise, risk.threshold, risk.excess_error, risk.active_fraction]
    np.testing.assert_allclose(got, wanted, rtol=1e-12 * float(risk.condition))


def test_priors_agree_with_integrals() -> None:
    """Error of `lasso_state_evolution` after one step, prior by prior, against brute-force integrals."""
    laplace = priors.laplace(0.7)
    path = lasso_state_evolution(0.8, threshold_ratio=1.1, prior=laplace, noise_std=0.3, num_steps=1)
    tau = float(path.effective_noise[0])
    np.testing.assert_allclose(path.excess_error[0], 2 * 0.7**2, rtol=1e-12)

    def error(w: float) -> float:
        def integrand(z: float) -> float:
            y = w + tau * z
            return norm.pdf(z) * (np.sign(y) * max(abs(y) - 1.1 * tau, 0) - w) ** 2

        ends = [(-1.1 * tau - w) / tau, (1.1 * tau - w) / tau]
        parts = [-12.0, *np.clip(ends, -12, 12), 12.0]
        return sum(scipy.integrate.quad(integrand, a, b, epsabs=1e-13)[0] for a, b in pairwise(parts))

    whole = scipy.integrate.quad(lambda w: error(w) * np.exp(-w / 0.7) / 0.7, 0, 30, epsabs=1e-11, limit=200)[0]
    np.testing.assert_allclose(path.excess_error[1], whole, rtol=1e-9)


def test_derivative_is_that_of_the_fixed_point() -> None:
    def error(penalty: Any) -> Any:
        return lasso(0.5, penalty=penalty, prior=priors.bernoulli_gauss(0.1), noise_std=0.1).test_error

    with double_precision():
        slope = jax.grad(error)(0.2)
    np.testing.assert_allclose(slope, (error(0.2001) - error(0.1999)) / 2e-4, rtol=1e-6)


def test_condition_diverges_at_the_transition() -> None:
    edge = float(compressed_sensing_threshold(0.5).density)
    conditions = [
        float(lasso(0.5, penalty=1e-9, prior=priors.bernoulli_gauss(edge * (1 - gap))).condition)
        for gap in (0.3, 0.03, 0.003)
    ]
    assert conditions[2] > 5 * conditions[1] > 25 * conditions[0]


def test_recovery_threshold() -> None:
    delta = np.array([1e-100, 1e-3, 0.3, 0.5, 0.9, 1 - 1e-9])
    found = compressed_sensing_threshold(delta)
    for value, rho in zip(delta, found.nonzeros_per_sample, strict=True):
        with mp.workdps(130):
            d, guess = mp.mpf(float(value)), mp.mpf(float(found.threshold[list(delta).index(value)]))
            z = mp.findroot(lambda x, d=d: mp.log(x * mp.erf(x / mp.sqrt(2)) / (2 * mp.npdf(x)) * d / (1 - d)), guess)
            exact = float(1 - z * mp.ncdf(-z) / mp.npdf(z))
        np.testing.assert_allclose(rho, exact, rtol=1e-12)
    with pytest.raises(ValueError, match="below 1"):
        compressed_sensing_threshold(1.0)


def test_against_scikit_learn() -> None:
    """Errors and active fraction of 40 real fits as z-scores; a wrong penalty by 1/α must fail."""
    from sklearn.linear_model import Lasso

    alpha, penalty, d, noise = 0.6, 0.15, 500, 0.2
    n, generator, seen = int(alpha * d), np.random.default_rng(5), []
    for _ in range(40):
        x = generator.standard_normal((n, d)) / np.sqrt(d)
        w = generator.standard_normal(d) * (np.arange(d) < 0.1 * d)
        y = x @ w + noise * generator.standard_normal(n)
        fitted = Lasso(alpha=penalty / n, fit_intercept=False, tol=1e-8, max_iter=20_000).fit(x, y).coef_
        seen.append((np.mean((fitted - w) ** 2), np.mean((x @ fitted - y) ** 2), np.mean(fitted != 0)))
    mean, spread = np.mean(seen, axis=0), np.std(seen, axis=0, ddof=1) / np.sqrt(len(seen))
    assert np.all(spread < 0.05 * mean)

    def scores(level: float) -> np.ndarray:
        risk = lasso(alpha, penalty=level, prior=priors.bernoulli_gauss(0.1), noise_std=noise)
        expected = np.array([risk.excess_error, risk.train_error, risk.active_fraction])
        return np.abs(mean - expected) / (spread + mean / d)

    assert np.all(scores(penalty) < 4)
    assert np.any(scores(penalty / alpha) > 8)

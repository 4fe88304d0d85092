"""Priors: moments, quantiles, samples and denoisers against brute force."""

import jax
import numpy as np
import pytest
import scipy.integrate
from scipy.stats import laplace as scipy_laplace
from scipy.stats import norm

from dyntheory import priors


def test_point_masses_come_out_exactly(double: None) -> None:
    law = priors.bernoulli_gauss(0.2, std=1.5)
    levels = np.array([0.05, 0.2, 0.5, 0.89, 0.97])
    found = np.asarray(law.quantile(levels))
    expected = [norm.ppf(0.25) * 1.5, 0.0, 0.0, 0.0, norm.ppf((0.97 - 0.8) / 0.2) * 1.5]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert found[2] == 0.0
    np.testing.assert_array_equal(priors.rademacher().quantile(np.array([0.3, 0.7])), [-1.0, 1.0])


def test_laplace_is_laplace(double: None) -> None:
    law, u = priors.laplace(0.7), np.array([1e-6, 0.01, 0.3, 0.6, 0.999])
    np.testing.assert_allclose(law.quantile(u), scipy_laplace.ppf(u, scale=0.7), rtol=1e-9)
    np.testing.assert_allclose(law.second_moment, 2 * 0.7**2, rtol=1e-12)


LAWS = {
    "laplace": priors.laplace(0.7),
    "sparse": priors.bernoulli_gauss(0.2),
    "signs": priors.rademacher(1.2, density=0.9),
}


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS.keys())
def test_posterior_against_derivatives_of_the_density(law: priors.Prior, double: None) -> None:
    y, variance = np.linspace(-3, 3, 13), 0.3
    score = jax.vmap(jax.grad(lambda x: law.log_density(x, variance)))(y)
    np.testing.assert_allclose(law.posterior_mean(y, variance), y + variance * score, rtol=1e-10, atol=1e-12)
    slope = jax.vmap(jax.grad(lambda x: law.posterior_mean(x, variance)))(y)
    np.testing.assert_allclose(law.posterior_variance(y, variance), variance * slope, rtol=1e-10, atol=1e-14)
    mass = scipy.integrate.quad(lambda x: np.exp(float(law.log_density(x, variance))), -15, 15, limit=200)[0]
    assert abs(mass - 1) < 1e-8


def test_samples_have_the_law(key: jax.Array, double: None) -> None:
    law = priors.bernoulli_gauss(0.3, std=2.0)
    drawn = np.asarray(law.sample(key, (20_000,)))
    zeros, expected = np.mean(drawn == 0), 0.7
    assert abs(zeros - expected) < 4 * np.sqrt(expected * (1 - expected) / drawn.size)
    assert abs(np.mean(drawn**2) - 1.2) < 4 * np.std(drawn**2) / np.sqrt(drawn.size)


def test_bad_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="sum to 1"):
        priors.discrete([0.0, 1.0], probabilities=[0.5, 0.6])
    with pytest.raises(ValueError, match="density"):
        priors.bernoulli_gauss(1.2)
    with pytest.raises(ValueError, match="one shape"):
        priors.Prior(np.ones(1), np.zeros(2), np.ones(2))

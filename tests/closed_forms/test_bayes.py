"""Bayes-optimal message passing: smallest errors by brute force, known limits, what is refused."""

from typing import Any

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

from dyntheory import priors
from dyntheory.closed_forms import bayes_state_evolution
from dyntheory.ground.precision import double_precision

PRIORS = {
    "sparse": priors.bernoulli_gauss(0.1),
    "rare": priors.bernoulli_gauss(1e-6, std=3.0),
    "signs": priors.GaussianMixture([0.5, 0.5], [-1.0, 1.0], [0.0, 0.0]),
    "uneven": priors.GaussianMixture([0.001, 0.999], [-1.0, 2.0], [0.0, 0.0]),
    "mixed": priors.GaussianMixture([0.3, 0.7], [-2.0, 1.0], [0.0, 0.5]),
}


def _smallest_error(prior: priors.GaussianMixture, variance: mp.mpf) -> Any:
    """Return E Var(w | w + √variance ξ) by adaptive integration of its definition."""
    fields = (prior.probabilities, prior.means, prior.stds)
    parts = list(zip(*([mp.mpf(float(x)) for x in np.asarray(field)] for field in fields), strict=True))

    def integrand(y: mp.mpf) -> mp.mpf:
        weights = [p * mp.npdf(y, m, mp.sqrt(s**2 + variance)) for p, m, s in parts]
        means = [(m * variance + s**2 * y) / (s**2 + variance) for _, m, s in parts]
        squares = [mean**2 + s**2 * variance / (s**2 + variance) for mean, (_, _, s) in zip(means, parts, strict=True)]
        centre = mp.fdot(weights, means) / mp.fsum(weights)
        return mp.fdot(weights, squares) - mp.fsum(weights) * centre**2

    ends = {m + mp.sqrt(s**2 + variance) * x for _, m, s in parts for x in range(-14, 15, 2)}
    return mp.quad(integrand, sorted(ends))


@pytest.mark.parametrize(
    "name", ["sparse", "signs", "mixed", *(pytest.param(name, marks=pytest.mark.full) for name in ("rare", "uneven"))]
)
def test_every_step_is_the_integral(name: str) -> None:
    """Each error, to a relative 1e-10, from the noise of the step before it."""
    prior = PRIORS[name]
    path = bayes_state_evolution([0.4, 3.0], prior=prior, noise_std=[0.02, 0.3], num_steps=8)
    moment = float(prior.second_moment)
    np.testing.assert_allclose(path.excess_error[:, 0], moment, rtol=1e-6)
    np.testing.assert_allclose(
        path.effective_noise[:, 1:] ** 2,
        (np.array([[0.02], [0.3]]) ** 2 + path.excess_error[:, 1:]) / np.array([[0.4], [3.0]]),
        rtol=1e-13,
    )
    for row, step in ((1, 0), (0, 7)):
        with mp.workdps(20):
            exact = float(_smallest_error(prior, mp.mpf(float(path.effective_noise[row, step])) ** 2))
        np.testing.assert_allclose(path.excess_error[row, step + 1], exact, rtol=1e-10, atol=1e-20)


def test_no_other_estimate_is_better() -> None:
    """The optimum lies below linear estimation, and without noise ±1 weights are recovered exactly."""
    flat = priors.GaussianMixture([[0.9, 0.1], [0.5, 0.5]], [[0.0, 0.0]] * 2, [[0.0, 1.0], [0.1**0.5] * 2])
    sparse, linear = bayes_state_evolution(1.5, prior=flat, noise_std=0.1, num_steps=30).excess_error[:, -1]
    assert sparse < 0.5 * linear
    signs = bayes_state_evolution([1.5, 2.0], prior=PRIORS["signs"], num_steps=30)
    assert np.all(signs.excess_error[:, -1] == 0) and np.all(np.isfinite(signs.effective_noise))


@pytest.mark.full
def test_derivative() -> None:
    def last(noise: Any) -> Any:
        return bayes_state_evolution(1.5, prior=PRIORS["sparse"], noise_std=noise, num_steps=30).excess_error[..., -1]

    with double_precision():
        slope = jax.jvp(last, (jnp.asarray(0.3),), (jnp.asarray(1.0),))[1]
    low, high = last(np.array([0.2999, 0.3001]))
    np.testing.assert_allclose(slope, (high - low) / 2e-4, rtol=1e-6)


def test_other_laws_are_refused() -> None:
    law: Any = priors.QuantilePrior(lambda u: u)
    with pytest.raises(TypeError, match="mixture of Gaussians"):
        bayes_state_evolution(1.0, prior=law, num_steps=3)

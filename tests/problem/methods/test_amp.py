"""AMP and proximal methods: state evolution step by step, simulations, and the convex problem they solve."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.stats import norm
from sklearn.linear_model import ElasticNet, Lasso

import dyntheory as dt
from dyntheory.closed_forms import bayes_state_evolution, lasso
from dyntheory.ground.precision import double_precision
from dyntheory.priors import GaussianMixture, QuantilePrior, bernoulli_gauss, gaussian, rademacher

NOT_A_PRIOR: Any = "sparse"
ALPHA, KAPPA, DENSITY, SIGMA = 0.6, 1.3, 0.1, 0.1
SPARSE = dt.TeacherStudent(ALPHA, "linear", SIGMA, teacher_prior=bernoulli_gauss(DENSITY))


def lasso_state_evolution(num_steps: int) -> np.ndarray:
    """Return E[(η(X₀ + τ Z; κτ) − X₀)²] step by step for Bernoulli–Gauss signals, by its closed form."""
    errors = [DENSITY]
    for _ in range(num_steps):
        tau = np.sqrt((SIGMA**2 + errors[-1]) / ALPHA)
        total = np.sqrt(1.0 + tau**2)
        a = KAPPA * tau / total

        def excess(x: Any) -> Any:
            return 2 * ((1 + x * x) * norm.cdf(-x) - x * norm.pdf(x))

        body = total**2 * excess(a) - 4 * norm.cdf(-a) + 1.0
        errors.append((1 - DENSITY) * tau**2 * excess(KAPPA) + DENSITY * body)
    return np.asarray(errors)


def test_lasso_amp_follows_its_state_evolution(key: jax.Array) -> None:
    theory = dt.predict(SPARSE, dt.lasso_amp(KAPPA), num_steps=12, key=key)
    assert theory.standard_error is not None
    exact = lasso_state_evolution(12) + SIGMA**2
    assert np.all(theory.standard_error.test_error < 0.01 * exact)
    difference = np.asarray(theory.estimation_error) - (theory.test_error - SIGMA**2)
    assert np.all(np.abs(difference) < 3 * theory.standard_error.test_error)  # the teacher's power on the nodes
    assert np.all(np.abs(theory.test_error - exact) < 3 * theory.standard_error.test_error + 1e-9)


def test_message_passing_ends_at_the_closed_form_of_the_lasso(key: jax.Array) -> None:
    """With the threshold of `closed_forms.lasso` at one penalty; that at twice the penalty must miss."""
    ends, twice = (lasso(ALPHA, penalty=level, prior=bernoulli_gauss(DENSITY), noise_std=SIGMA) for level in (0.1, 0.2))
    ratio = float(ends.threshold / ends.effective_noise)
    theory = dt.predict(SPARSE, dt.lasso_amp(ratio), num_steps=12, key=key)
    assert theory.standard_error is not None
    bar = theory.standard_error.test_error[-1]
    assert bar < 0.01 * theory.test_error[-1]
    assert abs(theory.test_error[-1] - ends.excess_error - SIGMA**2) < 3 * bar + 1e-6
    assert abs(theory.test_error[-1] - twice.excess_error - SIGMA**2) > 10 * bar


def _without_onsager(method: dt.GeneralFirstOrderMethod) -> dt.GeneralFirstOrderMethod:
    return dataclasses.replace(method, after_features=lambda shared, stats: shared)


@pytest.mark.full
def test_simulations_follow_it_too_and_not_without_the_onsager_term(key: jax.Array) -> None:
    run = functools.partial(
        dt.simulate, SPARSE, num_steps=12, num_features=3000, num_runs=8, matrix="revealed", key=key
    )
    exact = lasso_state_evolution(12) + SIGMA**2
    good, bad = run(dt.lasso_amp(KAPPA)), run(_without_onsager(dt.lasso_amp(KAPPA)))
    assert good.standard_error is not None
    assert bad.standard_error is not None
    assert np.all(good.standard_error.test_error < 0.05 * exact)
    assert np.all(np.abs(good.test_error - exact) < 4 * good.standard_error.test_error)
    assert np.max(np.abs(bad.test_error - exact) / bad.standard_error.test_error) > 10


def _drawn(num_features: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    x = random.standard_normal((round(ALPHA * num_features), num_features))
    teacher = random.standard_normal(num_features) * (random.random(num_features) < DENSITY)
    return x, x @ teacher / np.sqrt(num_features) + SIGMA * random.standard_normal(len(x))


def _iterate(method: dt.GeneralFirstOrderMethod, x: np.ndarray, y: np.ndarray, num_steps: int) -> tuple[Any, Any]:
    """Run the maps of a method on given data in plain loops; return the weights and the shared value."""
    n, d = x.shape
    with double_precision():
        shared = method.init_shared({}, jnp.asarray(n / d), method.hyperparameters)
        w = jnp.zeros((d, 1))
        samples = jax.vmap(method.init_sample, (0, None))(jnp.asarray(y), shared)
        features = jax.vmap(method.init_feature, (0, None))(w, shared)

        def step(carry: Any, _: None) -> tuple[Any, None]:
            samples, features, w, shared = carry
            h = x @ w / np.sqrt(d)
            none = jnp.zeros((n, 0)), jnp.zeros((d, 0))
            samples, g, stats = jax.vmap(method.sample_map, (0, 0, 0, None, 0))(
                samples, h, jnp.asarray(y), shared, none[0]
            )
            shared = method.after_samples(shared, jax.tree.map(lambda leaf: leaf.mean(axis=0), stats))
            p = x.T @ g / np.sqrt(d)
            features, w, stats = jax.vmap(method.feature_map, (0, 0, None, 0))(features, p, shared, none[1])
            shared = method.after_features(shared, jax.tree.map(lambda leaf: leaf.mean(axis=0), stats))
            return (samples, features, w, shared), None

        carry = jax.jit(lambda start: jax.lax.scan(step, start, length=num_steps)[0])((samples, features, w, shared))
        return np.asarray(carry[2][:, 0]), jax.tree.map(np.asarray, carry[3])


def test_the_fixed_point_of_amp_is_the_lasso_of_scikit_learn() -> None:
    x, y = _drawn(400)
    w, shared = _iterate(dt.lasso_amp(KAPPA), x, y, 400)
    penalty = KAPPA * shared["tau"] * (1 - shared["onsager"])
    convex = Lasso(alpha=penalty / np.sqrt(400), fit_intercept=False, tol=1e-12, max_iter=100_000).fit(x, y)
    np.testing.assert_allclose(w / np.sqrt(400), convex.coef_, atol=1e-7)
    assert 20 < np.sum(w != 0) < 200


@pytest.mark.parametrize(("ridge", "accelerated"), [(0.0, True), (0.2, False)])
def test_proximal_gradient_minimises_the_elastic_net(ridge: float, accelerated: bool) -> None:
    x, y = _drawn(200)
    penalty, d = 0.05, 200
    w, _ = _iterate(dt.proximal_gradient(0.2, penalty, ridge=ridge, accelerated=accelerated), x, y, 3000)
    total = penalty / np.sqrt(d) + ridge
    net = ElasticNet(alpha=total, l1_ratio=penalty / np.sqrt(d) / total, fit_intercept=False, tol=1e-13, max_iter=10**6)
    np.testing.assert_allclose(w / np.sqrt(d), net.fit(x, y).coef_, atol=1e-7)


@pytest.mark.full
def test_proximal_gradient_is_predicted(key: jax.Array) -> None:
    method = dt.proximal_gradient(0.3, 0.05)
    theory = dt.predict(SPARSE, method, num_steps=5, key=key, num_nodes=2**13)
    runs = dt.simulate(SPARSE, method, num_steps=5, num_features=4000, num_runs=16, matrix="revealed", key=key)
    assert dt.compare(theory, runs).verdict == "agree"


TWO_VALUES = QuantilePrior(lambda u: jnp.where(u < 0.8, 0.0, 2.0))


@pytest.mark.full
@pytest.mark.parametrize("prior", [bernoulli_gauss(0.1), rademacher(), TWO_VALUES])
def test_bayes_amp_knows_its_own_error(prior: Any, key: jax.Array) -> None:
    """With the right prior E[w w*] = E[w²] at every step (Nishimori), and the error is what the noise level says."""
    law = dt.TeacherStudent(0.8, "linear", 0.3, teacher_prior=prior)
    theory = dt.predict(law, dt.bayes_amp(prior), num_steps=6, key=key)
    assert theory.standard_error is not None
    bar = np.hypot(theory.standard_error.teacher_overlap, theory.standard_error.weight_overlap)[1:, 0, 0]
    difference = (theory.teacher_overlap - theory.weight_overlap)[1:, 0, 0]
    assert np.all(bar < 0.03)
    assert np.all(np.abs(difference) < 3 * bar + 1e-6)
    if isinstance(prior, GaussianMixture):
        exact = bayes_state_evolution(0.8, prior=prior, noise_std=0.3, num_steps=6).excess_error + 0.3**2
        assert np.all(theory.standard_error.test_error < 0.01 * exact)
        assert np.all(np.abs(theory.test_error - exact) < 3 * theory.standard_error.test_error + 1e-9)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: dt.bayes_amp(gaussian()), marks=pytest.mark.full),
        lambda: dt.generalized_amp("gaussian", noise_std=0.3),
    ],
)
def test_bayes_amp_of_a_gaussian_signal_in_closed_form(make: Any, key: jax.Array) -> None:
    """τ² = (σ² + m)/α, m = τ²/(1 + τ²); generalized AMP with a Gaussian channel is the same algorithm."""
    law = dt.TeacherStudent(1.5, "linear", 0.3)
    exact = [1.0]
    for _ in range(6):
        tau2 = (0.09 + exact[-1]) / 1.5
        exact.append(tau2 / (1 + tau2))
    theory = dt.predict(law, make(), num_steps=6, key=key, num_nodes=2**11)
    np.testing.assert_allclose(theory.test_error, np.asarray(exact) + 0.09, rtol=1e-9)


CHANNELS: dict[str, tuple[dt.TeacherStudent, dict[str, Any]]] = {
    "probit": (dt.TeacherStudent(2.0, "probit", 1.0), {}),
    "logistic": (dt.TeacherStudent(3.0, "logistic"), {}),
    "phase_retrieval": (
        dt.TeacherStudent(2.0, "abs", 0.1),
        {"first_layer": dt.FirstLayer(second_moment=[[0.16]], teacher_overlap=[[0.4]])},
    ),
}


@pytest.mark.full
@pytest.mark.parametrize("channel", CHANNELS)
def test_generalized_amp_is_predicted(channel: str, key: jax.Array) -> None:
    law, options = CHANNELS[channel]
    method = dt.generalized_amp(channel, noise_std=float(law.noise_std))
    theory = dt.predict(law, method, num_steps=5, key=key, num_nodes=2**13, **options)
    runs = dt.simulate(law, method, num_steps=5, num_features=1500, num_runs=8, matrix="revealed", key=key, **options)
    assert runs.standard_error is not None
    bar = np.maximum(runs.standard_error.test_error, 1e-12)
    assert np.all(bar < 0.03)
    assert np.all(np.abs(theory.test_error - runs.test_error)[1:] < 4.5 * bar[1:])
    if not options:
        np.testing.assert_allclose(theory.teacher_overlap[1:], theory.weight_overlap[1:], rtol=0.02)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: dt.lasso_amp(0.0), ValueError, "`threshold` must be positive"),
        (lambda: dt.bayes_amp(NOT_A_PRIOR), TypeError, "`prior` must be one of"),
        (lambda: dt.generalized_amp("probits"), ValueError, "Did you mean 'probit'"),
        (lambda: dt.generalized_amp("probit", NOT_A_PRIOR), TypeError, "`prior` must be one of"),
        (lambda: dt.proximal_gradient(0.1, -1.0), ValueError, "`penalty` must be zero or positive"),
    ],
)
def test_bad_input_is_refused(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


@pytest.mark.full
def test_fista_is_an_optimizer_of_networks_too(key: jax.Array) -> None:
    method = dt.gradient_descent(
        dt.MLP((2,)), dt.fista, learning_rate=0.1, penalty=0.1, head_optimizer=optax.sgd, head_learning_rate=0.1
    )
    theory = dt.predict(SPARSE, method, num_steps=3, key=key, num_nodes=2**11)
    assert theory.status.ok

"""Gradient flow in closed form against matrix exponentials, ensembles of networks, scikit-learn; singular kernels."""

import math
from collections.abc import Callable
from typing import Any, cast

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF
from sklearn.kernel_ridge import KernelRidge

from dyntheory.kernels import Kernels, TrainedKernel, posterior, train
from tests.kernels.conftest import Problem, make_problem

pytestmark = pytest.mark.usefixtures("double")


def _flow(problem: Problem, time: float, ridge: float) -> tuple[Any, Any]:
    """Return the outputs of the linear model after gradient flow, in fifty digits, parameters and all."""
    with mpmath.workdps(50):
        features, size = mpmath.matrix(problem.features), problem.features.shape[1]
        hessian = features.T * features / len(problem.labels) + ridge * mpmath.eye(size)
        pull = features.T * mpmath.matrix(problem.labels - problem.initial) / len(problem.labels)
        block = mpmath.zeros(size + 2, size + 2)  # exp of [[-H, b], [0, 0]] holds ∫ e^{-Hs} ds b
        block[:size, :size], block[:size, size:] = -hessian, pull
        moved = mpmath.expm(block * time)[:size, size:]
        moved = np.array(moved.tolist(), dtype=float)
    return problem.initial + problem.features @ moved, problem.test_initial + problem.test_features @ moved


@pytest.mark.parametrize("ridge", [0.0, 0.05])
@pytest.mark.parametrize("kind", ["regular", "singular"])
def test_flow_agrees_with_matrix_exponentials(kind: str, ridge: float, request: pytest.FixtureRequest) -> None:
    problem: Problem = request.getfixturevalue(kind)
    run = train(problem.kernel, problem.labels, ridge=ridge, initial=problem.initial)
    for time in (0.0, 1e-3, 2.0, 300.0):
        expected, expected_test = _flow(problem, time, ridge)
        np.testing.assert_allclose(run.predict(time=time).mean, expected, atol=1e-12)
        found = run.predict(problem.cross, time=time, initial=problem.test_initial).mean
        np.testing.assert_allclose(found, expected_test, atol=1e-12)


def test_time_convention_is_the_mean_over_samples(regular: Problem) -> None:
    """Descent with tiny steps on the mean of half the squared errors is the flow; on their sum it is not."""
    weights, rate = np.zeros((9, 2)), 1e-4
    for _ in range(20_000):
        residual = regular.features @ weights - regular.labels
        weights -= rate * regular.features.T @ residual / len(regular.labels)
    outputs, run = regular.features @ weights, train(regular.kernel, regular.labels)
    assert np.abs(run.predict(time=2.0).mean - outputs).max() < 1e-4
    assert np.abs(run.predict(time=12.0).mean - outputs).max() > 0.1


def test_infinite_time_is_kernel_ridge_regression(regular: Problem) -> None:
    run = train(regular.kernel, regular.labels, ridge=0.1)
    ridge: Any = KernelRidge
    reference = ridge(alpha=0.6, kernel="precomputed").fit(regular.kernel, regular.labels)
    found = run.predict(regular.cross, time=math.inf).mean
    np.testing.assert_allclose(found, reference.predict(regular.cross), rtol=1e-11)


@pytest.mark.parametrize("time", [5.0, 1e30, math.inf])
def test_singular_kernels_have_finite_limits(singular: Problem, time: float) -> None:
    run = train(Kernels(singular.kernel, singular.kernel), singular.labels)
    both = Kernels(singular.cross, singular.cross)
    found = run.predict(both, singular.test_kernel, time=time)
    assert int(run.rank) == 4
    assert np.isfinite(found.mean).all() and np.isfinite(found.covariance).all()
    if time > 1e3:  # least squares in the four parameters; the ensemble has nothing left to be uncertain about
        weights = np.linalg.lstsq(singular.features, singular.labels, rcond=None)[0]
        np.testing.assert_allclose(found.mean, singular.test_features @ weights, atol=1e-11)
        np.testing.assert_allclose(found.covariance, 0, atol=1e-12)


@pytest.mark.parametrize("options", [{}, {"learning_rate": 0.5}, {"learning_rate": 0.2, "momentum": 0.8}])
@pytest.mark.parametrize("noise_std", [0.0, 0.4])
def test_ensemble_agrees_with_linear_networks_drawn(options: dict[str, Any], noise_std: float) -> None:
    """f = θ·(J + readout): NNGP and NTK differ; moments of the drawn ensemble stand within sampling."""
    problem, draw = make_problem(4, 6, seed=2), np.random.default_rng(3).standard_normal
    spread, num_draws, labels = 0.7, 40_000, problem.labels[:, 0]
    everything = np.concatenate([problem.features, problem.test_features])
    gram: Any = everything @ everything.T
    kernels = Kernels(spread**2 * gram, gram)
    own, cross = Kernels(*(k[:4, :4] for k in kernels)), Kernels(*(k[4:, :4] for k in kernels))
    when = {"time": 3.0} if not options else {"step": 6}
    run = train(own, labels, noise_std=noise_std, **options)
    found = run.predict(cross, kernels.nngp[4:, 4:], **when)
    variance = run.predict(cross, np.diagonal(kernels.nngp[4:, 4:]), **when).covariance
    start = everything @ (spread * draw((6, num_draws)))
    noisy = labels[:, None] + noise_std * draw((4, num_draws))
    single = train(own.ntk, noisy, initial=start[:4], **options)
    members = np.asarray(single.predict(cross.ntk, initial=start[4:], **when).mean)
    error = members.std(axis=1) / np.sqrt(num_draws)
    assert np.abs((members.mean(axis=1) - found.mean) / error).max() < 4
    drawn = np.cov(members)
    scale = np.sqrt((np.outer(np.diag(drawn), np.diag(drawn)) + drawn**2) / num_draws)
    assert np.abs((drawn - found.covariance) / scale).max() < 4
    np.testing.assert_allclose(variance, np.diagonal(found.covariance), rtol=1e-10)
    on_train = np.cov(np.asarray(single.predict(**when).mean))
    expected = np.asarray(run.predict(**when).covariance)
    scale = np.sqrt((np.outer(np.diag(expected), np.diag(expected)) + expected**2) / num_draws)
    assert np.abs((on_train - expected) / scale).max() < 4


def test_posterior_agrees_with_scikit_learn(regular: Problem) -> None:
    inputs, tests = regular.features[:, :2], regular.test_features[:, :2]
    kernel: Any = RBF(0.8)
    labels = regular.labels[:, 0]
    process: Any = GaussianProcessRegressor
    reference = process(kernel, alpha=0.09, optimizer=None).fit(inputs, labels)
    mean, covariance = cast("tuple[Any, Any]", reference.predict(tests, return_cov=True))
    found = posterior(kernel(inputs), labels, kernel(tests, inputs), kernel(tests), noise_std=0.3)
    np.testing.assert_allclose(found.mean, mean, rtol=1e-10)
    np.testing.assert_allclose(found.covariance, covariance, atol=1e-12)
    diagonal = posterior(kernel(inputs), labels, kernel(tests, inputs), np.ones(3), noise_std=np.full(6, 0.3))
    np.testing.assert_allclose(diagonal.covariance, np.diagonal(covariance), atol=1e-12)


def test_trained_readout_with_noisy_labels_is_the_posterior(regular: Problem) -> None:
    """Sample, then optimise: n λ = σ² and noise on every member's labels give the Bayesian posterior."""
    sigma, labels = 0.3, regular.labels[:, 0]
    own, cross = Kernels(regular.kernel, 5 * regular.kernel), Kernels(regular.cross, regular.cross)
    run = train(own, labels, trained="readout", ridge=sigma**2 / 6, noise_std=sigma)
    found = run.predict(cross, regular.test_kernel, time=math.inf)
    expected = posterior(own, labels, cross, regular.test_kernel, noise_std=sigma)
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-10)
    np.testing.assert_allclose(found.covariance, expected.covariance, atol=1e-12)
    without = train(own, labels, trained="readout", ridge=sigma**2 / 6).predict(
        cross, regular.test_kernel, time=math.inf
    )
    assert np.abs(without.covariance - expected.covariance).max() > 1e-3


def test_coupled_outputs_agree_with_a_flattened_problem() -> None:
    draw = np.random.default_rng(4).standard_normal
    jacobian, test = draw((4, 2, 11)), draw((3, 2, 11))
    kernel = np.einsum("iap,jbp->ijab", jacobian, jacobian)
    cross = np.einsum("iap,jbp->ijab", test, jacobian)
    labels, start, flat = draw((4, 2)), draw(11) * 0.2, jacobian.reshape(8, 11)
    run = train(kernel, labels, initial=jacobian @ start)
    problem = Problem(flat, test.reshape(6, 11), labels.reshape(8, 1), (jacobian @ start).reshape(8, 1), np.zeros(1))
    weights = np.linalg.eigh(flat.T @ flat / 4)  # four samples, eight numbers
    rates = np.maximum(weights.eigenvalues, 0)
    residual = weights.eigenvectors.T @ flat.T @ (problem.labels - problem.initial) / 4
    growth = np.where(rates > 1e-12, -np.expm1(-rates * 0.3) / np.where(rates > 1e-12, rates, 1), 0.3)
    moved = start + (weights.eigenvectors @ (growth[:, None] * residual))[:, 0]
    np.testing.assert_allclose(run.predict(time=0.3).mean, jacobian @ moved, atol=1e-11)
    np.testing.assert_allclose(run.predict(cross, initial=test @ start, time=0.3).mean, test @ moved, atol=1e-11)


def test_several_times_jit_vmap_and_grad(regular: Problem) -> None:
    run, times = train(Kernels(regular.kernel, regular.kernel), regular.labels), jnp.array([0.0, 1.0, math.inf])
    both = Kernels(regular.cross, regular.cross)
    many = run.predict(both, regular.test_kernel, time=times)
    assert many.mean.shape == (3, 3, 2) and many.covariance.shape == (3, 3, 3)
    single = jax.jit(lambda run, time: run.predict(both, regular.test_kernel, time=time))(run, 1.0)
    np.testing.assert_allclose(single.mean, many.mean[1], rtol=1e-12)
    np.testing.assert_allclose(jax.grad(lambda t: run.predict(time=t).mean[0, 0])(1.0), _slope(run), rtol=1e-6)
    batched = jax.vmap(lambda labels: train(jnp.asarray(regular.kernel), labels).predict(time=1.0).mean)
    np.testing.assert_allclose(batched(jnp.asarray(regular.labels.T))[0], run.predict(time=1.0).mean[:, 0], rtol=1e-11)


def _slope(run: TrainedKernel) -> float:
    predict = run.predict
    return float((predict(time=1.0 + 1e-5).mean - predict(time=1.0 - 1e-5).mean)[0, 0]) / 2e-5


def test_a_kernel_in_single_precision_keeps_five_digits(regular: Problem) -> None:
    with jax.enable_x64(False):
        run = train(regular.kernel.astype(np.float32), regular.labels.astype(np.float32))
        found = run.predict(time=2.0).mean
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, train(regular.kernel, regular.labels).predict(time=2.0).mean, atol=1e-5)


IDENTITY = np.eye(2)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: train(IDENTITY, np.ones(3)), ValueError, "labels"),
        (lambda: train(np.ones((2, 2, 2)), np.ones(2)), ValueError, "shape"),
        (lambda: train(IDENTITY, [1.0, np.nan]), ValueError, "finite"),
        (lambda: train(IDENTITY, np.ones(2), momentum=0.9), ValueError, "learning_rate"),
        (lambda: train(IDENTITY, np.ones(2), learning_rate=1.0, momentum=1.0), ValueError, "below 1"),
        (lambda: train(IDENTITY, np.ones(2), learning_rate=0.0), ValueError, "positive"),
        (lambda: train(IDENTITY, np.ones(2), trained="readout"), ValueError, "Kernels"),
        (lambda: train(IDENTITY, np.ones(2), trained="last"), ValueError, "Known"),
        (lambda: train(IDENTITY, np.ones(2), initial=np.ones(3)), ValueError, "initial"),
        (lambda: train(IDENTITY, np.ones(2), noise_std=np.ones(3)), ValueError, "noise_std"),
        (lambda: train(IDENTITY, np.ones(2)).predict(step=3), TypeError, "time"),
        (lambda: train(IDENTITY, np.ones(2)).predict(time=-1.0), ValueError, "zero or positive"),
        (lambda: train(IDENTITY, np.ones(2), learning_rate=1.0).predict(time=3), TypeError, "step"),
        (lambda: train(IDENTITY, np.ones(2), learning_rate=1.0).predict(step=1.5), ValueError, "whole"),
        (lambda: train(IDENTITY, np.ones(2), learning_rate=4.0).predict(step=math.inf), ValueError, "max_learning"),
        (lambda: train(IDENTITY, np.ones(2)).predict(np.ones((3, 4)), time=1.0), ValueError, "test_train"),
        (lambda: train(IDENTITY, np.ones(2)).predict(time=1.0, initial=np.ones(2)), ValueError, "test inputs"),
        (lambda: posterior(IDENTITY, np.ones(3), IDENTITY), ValueError, "labels"),
        (lambda: posterior(IDENTITY, np.ones(2), np.ones((1, 3))), ValueError, "test_train"),
        (lambda: posterior(IDENTITY, np.ones(2), IDENTITY, np.ones(3)), ValueError, "test_test"),
    ],
)
def test_bad_input_says_what_was_wrong(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()

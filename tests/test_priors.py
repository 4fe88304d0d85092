"""Priors: quantiles, moments and posterior means, each against sampling-free quadrature; teachers drawn from them."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import integrate
from scipy import stats as scipy_stats

import dyntheory as dt
from dyntheory.first_layer import rows_of_draw, starting_rows
from dyntheory.priors import BernoulliGauss, GaussianPrior, Laplace, QuantilePrior, Rademacher

pytestmark = pytest.mark.usefixtures("double")
stats: Any = scipy_stats
normal, laplace = stats.norm, stats.laplace
NOT_PRIORS: tuple[Any, Any] = ("gauss", Rademacher)
PRIORS: list[Any] = [GaussianPrior(1.7), BernoulliGauss(0.2, 1.5), Rademacher(), Laplace(0.7)]
ADAM = dt.gradient_descent(dt.MLP((2,)), optax.adam, learning_rate=0.1)


def _atoms_and_density(prior: Any) -> tuple[list[tuple[float, Any]], Any]:
    match prior:
        case GaussianPrior():
            return [], normal(0, np.sqrt(prior.variance)).pdf
        case BernoulliGauss():
            body = normal(0, np.sqrt(prior.variance)).pdf
            return [(0.0, 1 - prior.density)], lambda x: prior.density * body(x)
        case Laplace():
            return [], laplace(0, prior.scale).pdf
        case _:
            return [(-1.0, 0.5), (1.0, 0.5)], lambda x: 0.0 * x


def _expectation(prior: Any, fn: Any) -> float:
    atoms, density = _atoms_and_density(prior)
    body = sum(integrate.quad(lambda x: fn(x) * density(x), a, b, epsabs=1e-12)[0] for a, b in ((-30, 0), (0, 30)))
    return body + sum(weight * fn(value) for value, weight in atoms)


@pytest.mark.parametrize("prior", PRIORS)
def test_moments_and_posterior_means(prior: Any) -> None:
    np.testing.assert_allclose(prior.second_moment, _expectation(prior, lambda x: x**2), rtol=1e-9)
    for variance in (0.2, 1.0):
        for observed in (-2.5, 0.3, 1.0):
            likelihood = normal(observed, np.sqrt(variance)).pdf
            wanted = _expectation(prior, lambda x, p=likelihood: x * p(x)) / _expectation(prior, likelihood)
            found = prior.posterior_mean(jnp.asarray(observed), jnp.asarray(variance))
            np.testing.assert_allclose(found, wanted, rtol=1e-8)


@pytest.mark.parametrize("prior", PRIORS)
def test_quantiles_have_the_law(prior: Any) -> None:
    """The generic prior knows nothing but the quantile function."""
    generic, observed = QuantilePrior(prior.quantile), jnp.linspace(-3, 3, 7)
    np.testing.assert_allclose(generic.second_moment, prior.second_moment, rtol=1e-9)
    for variance in (0.2, 1.0):
        wanted = prior.posterior_mean(observed, jnp.asarray(variance))
        found = generic.posterior_mean(observed, jnp.asarray(variance))
        np.testing.assert_allclose(found, wanted, rtol=1e-8, atol=1e-9)
    values = np.asarray(prior.quantile(jnp.linspace(0.001, 0.999, 999)))
    assert np.all(np.diff(values) >= 0)


def test_posterior_means_far_out_are_finite() -> None:
    for prior in PRIORS:
        found = prior.posterior_mean(jnp.asarray([-1e3, 1e3]), jnp.asarray(1e-4))
        assert np.all(np.isfinite(found))


def test_starting_rows_have_the_prior_and_the_moments() -> None:
    random = np.random.default_rng(0)
    priors, size = (BernoulliGauss(0.3, 2.0), Rademacher()), 200_000
    moment = np.diag([0.6, 1.0, 1.0, 1.0])
    moment[2, 0] = moment[0, 2] = 0.4
    moment[3, 1] = moment[1, 3] = -0.5
    rows = np.asarray(starting_rows(jnp.asarray(moment), priors, jnp.asarray(random.standard_normal((size, 4)))))
    products = rows[:, :, None] * rows[:, None, :]
    score = (products.mean(axis=0) - moment) / np.maximum(products.std(axis=0) / np.sqrt(size), 1e-9)
    assert np.abs(score).max() < 4
    assert set(np.unique(rows[:, 1])) == {-1.0, 1.0}
    assert abs(np.mean(rows[:, 0] == 0) - 0.7) < 0.005


def test_nodes_of_a_draw_stand_for_all_of_its_rows() -> None:
    random = np.random.default_rng(1)
    draw = (jnp.asarray(random.standard_normal((50, 1))), jnp.asarray(random.standard_normal((50, 2))))
    normals = jnp.asarray(normal.ppf((np.arange(256) + 0.5) / 256))
    rows, weights = rows_of_draw(draw, normals)
    both = np.concatenate(draw, axis=1)
    found = np.asarray(rows).T @ np.diag(weights) @ np.asarray(rows)
    np.testing.assert_allclose(found, both.T @ both / 50, rtol=1e-12, atol=1e-14)
    _, equal = rows_of_draw(draw, normals[:20])
    np.testing.assert_allclose(equal, 1 / 20)


def test_the_law_of_the_teacher_matters_to_adam(key: jax.Array) -> None:
    """A sparse teacher with the same second moment: the prediction moves, and follows its simulation."""
    sparse = dt.TeacherStudent(2.0, "sin", 0.3, teacher_prior=BernoulliGauss(0.1, 10.0))
    start = dt.FirstLayer(teacher_overlap=[[0.5], [0.0]])
    options: dict[str, Any] = {"num_steps": 6, "first_layer": start, "key": key}
    dense, theory = (
        dt.predict(law, ADAM, num_nodes=2**12, **options) for law in (dt.TeacherStudent(2.0, "sin", 0.3), sparse)
    )
    runs = dt.simulate(sparse, ADAM, num_features=2000, num_runs=10, matrix="revealed", **options)
    assert theory.standard_error is not None
    assert runs.standard_error is not None
    bar = np.hypot(theory.standard_error.test_error, runs.standard_error.test_error)
    assert np.all(bar < 0.02 * theory.test_error)
    assert np.all(np.abs(theory.test_error - runs.test_error) < 4 * bar)
    assert abs(theory.test_error[-1] - dense.test_error[-1]) > 5 * bar[-1]


def test_adam_is_conditioned_on_a_draw(key: jax.Array) -> None:
    """The rows of the draw are the nodes: its Gram matrix is exact, its sparse teacher counts."""
    random = np.random.default_rng(0)
    teacher = 3.3 * random.standard_normal((400, 1)) * (random.random((400, 1)) < 0.1)
    weights = random.standard_normal((400, 2)) + 0.3 * teacher
    options: dict[str, Any] = {"num_steps": 6, "first_layer": dt.FirstLayer.from_weights(weights, teacher), "key": key}
    law = dt.TeacherStudent(2.0, "sin", 0.3)
    theory = dt.predict(law, ADAM, num_nodes=2**13, **options)
    runs = dt.simulate(law, ADAM, num_features=400, num_runs=40, **options)
    np.testing.assert_allclose(theory.weight_overlap[0], weights.T @ weights / 400, rtol=1e-12)
    assert dt.compare(theory, runs).verdict != "disagree"


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: BernoulliGauss(0.0), ValueError, r"`density` must be in \(0, 1\]"),
        (lambda: Laplace(-1.0), ValueError, "`scale` must be positive"),
        (lambda: dt.TeacherStudent(1.0, teacher_prior=NOT_PRIORS[0]), TypeError, "must be one of `dyntheory.priors`"),
        (lambda: dt.TeacherStudent(1.0, teacher_prior=NOT_PRIORS[1]), TypeError, "must be one of `dyntheory.priors`"),
        (
            lambda: dt.TeacherStudent(1.0, teacher_prior=Rademacher(), teacher_second_moment=1.0),
            ValueError,
            "not both",
        ),
    ],
)
def test_bad_input_is_refused(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()

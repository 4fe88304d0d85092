"""Priors: quantiles, moments and posterior means, each against sampling-free quadrature; teachers drawn from them."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import integrate, stats

import dyntheory as dt
from dyntheory.priors import GaussianMixture, QuantilePrior, bernoulli_gauss, discrete, gaussian, laplace, rademacher
from dyntheory.problem.laws.first_layer import rows_of_draw, starting_rows

pytestmark = pytest.mark.usefixtures("double")
norm: Any = stats.norm
scipy_laplace: Any = stats.laplace
NOT_PRIORS: tuple[Any, Any] = ("gauss", QuantilePrior)
PRIORS: dict[str, Any] = {
    "gaussian": gaussian(1.3, mean=0.2),
    "sparse": bernoulli_gauss(0.2, std=1.2),
    "signs": rademacher(1.2, density=0.9),
    "laplace": laplace(0.7),
}
ADAM = dt.gradient_descent(dt.MLP((2,)), optax.adam, learning_rate=0.1)
each_prior = pytest.mark.parametrize(
    "prior",
    [pytest.param(one, marks=[pytest.mark.full] * (name == "laplace"), id=name) for name, one in PRIORS.items()],
)


@each_prior
def test_posterior_against_derivatives_of_the_density(prior: Any) -> None:
    """Tweedie: E[w | y] = y + v (log p)'(y) and Var = v ∂E[w | y]."""
    y, variance = np.linspace(-3, 3, 13), 0.3
    density = jax.jit(lambda x: prior.log_density(x, variance))
    score = jax.jit(jax.vmap(jax.grad(density)))(y)
    np.testing.assert_allclose(prior.posterior_mean(y, variance), y + variance * score, rtol=1e-10, atol=1e-12)
    slope = jax.jit(jax.vmap(jax.grad(lambda x: prior.posterior_mean(x, variance))))(y)
    np.testing.assert_allclose(prior.posterior_variance(y, variance), variance * slope, rtol=1e-10, atol=1e-14)
    mass = integrate.quad(lambda x: np.exp(float(density(x))), -15, 15, limit=200)[0]
    assert abs(mass - 1) < 1e-8


@pytest.mark.parametrize(
    "prior",  # the quantiles of the Laplace law are a search among many components
    [pytest.param(one, marks=[pytest.mark.full] * (name in ("laplace", "sparse"))) for name, one in PRIORS.items()],
    ids=PRIORS,
)
def test_quantiles_have_the_law(prior: Any) -> None:
    """The generic prior knows nothing but the quantile function."""
    generic, observed = QuantilePrior(prior.quantile), jnp.linspace(-3, 3, 7)
    np.testing.assert_allclose(generic.second_moment, prior.second_moment, rtol=4e-3)
    for variance in (0.2, 1.0):
        wanted = prior.posterior_mean(observed, jnp.asarray(variance))
        found = generic.posterior_mean(observed, jnp.asarray(variance))
        np.testing.assert_allclose(found, wanted, rtol=2e-3, atol=1e-3)
    values = np.asarray(prior.quantile(jnp.linspace(0.001, 0.999, 999)))
    assert np.all(np.diff(values) >= 0)


def test_point_masses_come_out_exactly() -> None:
    levels = np.array([0.05, 0.2, 0.5, 0.89, 0.97])
    found = np.asarray(bernoulli_gauss(0.2, std=1.5).quantile(levels))
    expected = [norm.ppf(0.25) * 1.5, 0.0, 0.0, 0.0, norm.ppf((0.97 - 0.8) / 0.2) * 1.5]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert found[2] == 0.0
    np.testing.assert_array_equal(rademacher().quantile(np.array([0.3, 0.7])), [-1.0, 1.0])


def test_laplace_is_laplace() -> None:
    law, u = laplace(0.7), np.array([1e-6, 0.01, 0.3, 0.6, 0.999])
    np.testing.assert_allclose(law.quantile(u), scipy_laplace.ppf(u, scale=0.7), rtol=1e-9)
    np.testing.assert_allclose(law.second_moment, 2 * 0.7**2, rtol=1e-12)


def test_samples_have_the_law(key: jax.Array) -> None:
    drawn = np.asarray(bernoulli_gauss(0.3, std=2.0).sample(key, (20_000,)))
    assert abs(np.mean(drawn == 0) - 0.7) < 4 * np.sqrt(0.21 / drawn.size)
    assert abs(np.mean(drawn**2) - 1.2) < 4 * np.std(drawn**2) / np.sqrt(drawn.size)


def test_components_of_probability_zero_are_differentiated() -> None:
    """Beside `bernoulli_gauss(1.0)` every derivative was NaN; that along a probability of zero is the one-sided one."""

    def prior(share: Any, mean: Any) -> GaussianMixture:
        return GaussianMixture(jnp.stack([share, 1 - share]), jnp.stack([mean, 0.0 * mean]), np.array([0.1, 1.0]))

    y, variance, step = jnp.asarray([-1.5, 0.3, 2.0]), 0.5, 1e-6
    for quantity in ("log_density", "posterior_mean", "posterior_variance"):

        @jax.jit
        def value(share: Any, mean: Any, noise: Any, quantity: str = quantity) -> jax.Array:
            return getattr(prior(share, mean), quantity)(y, noise)

        at = (jnp.asarray(0.0), jnp.asarray(2.0), jnp.asarray(variance))
        np.testing.assert_allclose(value(*at), getattr(gaussian(), quantity)(y, variance), rtol=1e-14)
        slopes = jax.jit(jax.jacfwd(value, argnums=(0, 1, 2)))(*at)
        first, second = (value(one * step, *at[1:]) for one in (1, 2))
        np.testing.assert_allclose(slopes[0], (4 * first - second - 3 * value(*at)) / (2 * step), rtol=1e-5)
        np.testing.assert_array_equal(slopes[1], 0.0)
        along = (value(*at[:2], at[2] + step) - value(*at[:2], at[2] - step)) / (2 * step)
        np.testing.assert_allclose(slopes[2], along, rtol=1e-7, atol=1e-9)
    far = GaussianMixture(np.array([0.0, 1.0]), np.array([1e3, 0.0]), np.array([0.0, 1e-3]))
    np.testing.assert_allclose(far.posterior_mean(jnp.asarray(1e3), 1e-4), 1e3 * 1e-6 / (1e-6 + 1e-4), rtol=1e-12)


def test_posterior_means_far_out_are_finite() -> None:
    for prior in PRIORS.values():
        found = prior.posterior_mean(jnp.asarray([-1e3, 1e3]), jnp.asarray(1e-4))
        assert np.all(np.isfinite(found))


def test_starting_rows_have_the_prior_and_the_moments() -> None:
    random = np.random.default_rng(0)
    priors, size = (bernoulli_gauss(0.3, std=2**0.5), rademacher()), 200_000
    moment = np.diag([0.6, 1.0, 1.0, 1.0])
    moment[2, 0] = moment[0, 2] = 0.4
    moment[3, 1] = moment[1, 3] = -0.5
    rows = np.asarray(starting_rows(jnp.asarray(moment), priors, jnp.asarray(random.standard_normal((size, 4)))))
    products = rows[:, :, None] * rows[:, None, :]
    score = (products.mean(axis=0) - moment) / np.maximum(products.std(axis=0) / np.sqrt(size), 1e-9)
    assert np.abs(score).max() < 4
    assert set(np.unique(rows[:, 1])) == {-1.0, 1.0}
    assert abs(np.mean(rows[:, 0] == 0) - 0.7) < 0.005


def test_a_start_that_the_teacher_determines_has_no_rest() -> None:
    """Rounding of E w² − C² E w*² counted as a pivot of its own before: derivatives of 1e5 for 0.4, or NaN."""
    normals = jnp.asarray(np.random.default_rng(2).standard_normal((500, 2)))

    def rows(std: jax.Array) -> jax.Array:
        power, slope = 0.3 * std**2, 0.4
        moment = jnp.array([[power, slope * power], [slope * power, slope**2 * power]])
        return starting_rows(moment, (GaussianMixture([0.7, 0.3], [0.0, 0.0], jnp.array([0.0, 1.0]) * std),), normals)

    for std in np.linspace(0.5, 2.0, 7):
        found, slopes = jax.jvp(rows, (jnp.asarray(std),), (jnp.asarray(1.0),))
        np.testing.assert_allclose(found[:, 1], 0.4 * found[:, 0], rtol=1e-14)
        np.testing.assert_allclose(slopes, found / std, rtol=1e-9, atol=1e-12)


def test_nodes_of_a_draw_stand_for_all_of_its_rows() -> None:
    random = np.random.default_rng(1)
    draw = (jnp.asarray(random.standard_normal((50, 1))), jnp.asarray(random.standard_normal((50, 2))))
    normals = jnp.asarray(norm.ppf((np.arange(256) + 0.5) / 256))
    index, weights = rows_of_draw(draw, normals)
    both = np.concatenate(draw, axis=1)
    found = both[index].T @ np.diag(weights) @ both[index]
    np.testing.assert_allclose(found, both.T @ both / 50, rtol=1e-12, atol=1e-14)


def test_few_nodes_stand_for_the_many_rows_of_a_draw() -> None:
    """One row in a hundred is twenty times as large; an eigenvalue of 1000 on one of 20,000 features."""
    random, d = np.random.default_rng(1), 20_000
    rows = random.standard_normal((d, 2)) * np.where(random.random((d, 1)) < 0.01, 20.0, 1.0)
    values = np.where(np.arange(d) == 7000, 1000.0, 1.0)
    draw = (jnp.asarray(rows[:, :1]), jnp.asarray(rows[:, 1:]))
    normals = jnp.asarray(norm.ppf((np.arange(1024) + random.random(1024)) / 1024))
    for given in (None, jnp.asarray(values)):
        scale = np.ones(d) if given is None else values
        index, weights = rows_of_draw(draw, normals, given)
        for power in (scale, scale * rows[:, 0] ** 2, scale * rows[:, 1] ** 2):
            exact = power.mean()
            assert abs(np.asarray(weights) @ power[index] / exact - 1) < 0.02
            blind = power[np.minimum((np.arange(1024) + 0.5) * d / 1024, d - 1).astype(int)].mean()
        assert abs(blind / exact - 1) > 0.05, "equal weights on evenly chosen rows"


@pytest.mark.full
def test_the_law_of_the_teacher_matters_to_adam(key: jax.Array) -> None:
    """A sparse teacher with the same second moment: the prediction moves, and follows its simulation."""
    sparse = dt.TeacherStudent(2.0, "sin", 0.3, teacher_prior=bernoulli_gauss(0.1, std=10**0.5))
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


@pytest.mark.full
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
        (lambda: bernoulli_gauss(1.2), ValueError, "`density` must be at most 1"),
        (lambda: discrete([0.0, 1.0], probabilities=[0.5, 0.6]), ValueError, "must sum to 1"),
        (lambda: laplace(-1.0), ValueError, "`scale` must be positive"),
        (lambda: dt.TeacherStudent(1.0, teacher_prior=NOT_PRIORS[0]), TypeError, "must be one of `dyntheory.priors`"),
        (lambda: dt.TeacherStudent(1.0, teacher_prior=NOT_PRIORS[1]), TypeError, "must be one of `dyntheory.priors`"),
        (
            lambda: dt.TeacherStudent(1.0, teacher_prior=rademacher(), teacher_second_moment=1.0),
            ValueError,
            "not both",
        ),
    ],
)
def test_bad_input_is_refused(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()

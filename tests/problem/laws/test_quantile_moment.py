"""Second moments from quantile functions: light tails to rounding, heavy ones within their error, or refused."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.scipy.special import ndtri

import dyntheory as dt
from dyntheory.priors import QuantilePrior, bernoulli_gauss
from dyntheory.problem.laws.prior_moments import missed_moment
from dyntheory.problem.laws.quantile_moment import quantile_moment

SGD = dt.gradient_descent(dt.LinearModel(), optax.sgd, learning_rate=0.2)
ADAM = dt.gradient_descent(dt.LinearModel(), optax.adam, learning_rate=0.1)


def _lomax(shape: float) -> Callable[[Any], Any]:
    return lambda u: (1.0 - u) ** (-1.0 / shape) - 1.0


def _cauchy(u: Any) -> Any:
    return jnp.tan(jnp.pi * (u - 0.5))


def _lognormal(u: Any) -> Any:
    return jnp.exp(ndtri(u))


LIGHT: dict[str, tuple[Any, float]] = {
    "gaussian": (ndtri, 1.0),
    "uniform": (lambda u: 2 * u - 1, 1 / 3),
    "two_values": (lambda u: jnp.where(u < 0.8, 0.0, 2.0), 0.8),
    "exponential": (lambda u: -jnp.log1p(-u), 2.0),
    "lognormal": (_lognormal, math.exp(2)),
}


@pytest.mark.parametrize(("function", "exact"), LIGHT.values(), ids=LIGHT)
def test_light_tails_and_jumps_cost_nothing(function: Any, exact: float) -> None:
    found = quantile_moment(function)
    assert abs(found.value / exact - 1) < 2e-9 and not found.is_heavy
    assert abs(found.value - exact) <= 2 * found.error + 1e-12


@pytest.mark.parametrize("shape", [2.05, 2.2, 3.0])
def test_heavy_tails_are_within_their_error(shape: float) -> None:
    """A rule that stops at levels of 1e-16 misses 4.5 % at a tail of 2.2, and its halves do not show it."""
    exact = 2.0 / ((shape - 1) * (shape - 2))
    found = quantile_moment(_lomax(shape))
    assert found.is_heavy and found.error < 2e-6 * exact
    assert abs(found.value - exact) <= 2 * found.error
    z = np.linspace(-8.2, 8.2, 4096)
    weights = np.exp(-(z**2) / 2) / np.exp(-(z**2) / 2).sum()
    with jax.enable_x64(True):
        plain = weights @ np.asarray(_lomax(shape)(jax.scipy.special.ndtr(jnp.asarray(z)).clip(0, 1 - 2**-53))) ** 2
    assert abs(plain - exact) > 100 * found.error


def test_tails_that_nobody_can_integrate_have_a_wide_error() -> None:
    exact = math.exp(18)
    found = quantile_moment(lambda u: jnp.exp(3 * ndtri(u)))
    assert abs(found.value - exact) < found.error < 0.5 * exact


@pytest.mark.parametrize("function", [_cauchy, _lomax(2.0), _lomax(1.5)])
def test_infinite_moments_are_refused(function: Any, key: jax.Array) -> None:
    prior = QuantilePrior(function)
    law = dt.TeacherStudent(2.0, teacher_prior=prior)
    with pytest.raises(ValueError, match="`teacher_prior` must have a finite second moment"):
        dt.predict(law, SGD, num_steps=1, key=key)
    with pytest.raises(ValueError, match="`teacher_prior` must have a finite second moment"):
        dt.simulate(law, SGD, num_steps=1, num_features=20, num_runs=2, key=key)
    with pytest.raises(ValueError, match="`teacher_prior` must have a finite second moment"):
        dt.applicability(law, SGD, num_steps=1, num_samples=40, num_features=20)
    with pytest.raises(ValueError, match="`prior` must have a finite second moment"):
        dt.generalized_amp("gaussian", prior)


def test_quantiles_that_are_not_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="finite for every u inside"):
        quantile_moment(lambda u: jnp.log(u - 0.5))


@pytest.mark.parametrize("method", [SGD, ADAM], ids=["frame", "nodes"])
def test_a_heavy_teacher_is_predicted_with_its_moment_and_told(method: Any, key: jax.Array) -> None:
    """E z² + E h² = 2/(1.2 · 0.2) + 1 at the start, whoever holds the features; no share of it is lost in silence."""
    law = dt.TeacherStudent(2.0, teacher_prior=QuantilePrior(_lomax(2.2)))
    with pytest.warns(dt.DyntheoryWarning, match=r"45.4% of E w\*²"):
        theory = dt.predict(law, method, num_steps=0, key=key)
    assert theory.status.code == "heavy_tail"
    assert theory.assumptions is not None and theory.assumptions.level == "heuristic"
    assert theory.standard_error is not None
    exact, bar = 2 / (1.2 * 0.2) + 1, theory.standard_error.test_error[0]
    assert 1e-8 < bar < 0.1 and abs(theory.test_error[0] - exact) < 2 * bar
    assert "teacher" in [check.name for check in _checks(law, method)]


def _checks(law: dt.TeacherStudent, method: Any) -> Any:
    return dt.applicability(law, method, num_steps=1, num_samples=2000, num_features=1000).checks


def test_the_error_of_a_moment_is_in_the_bars(key: jax.Array) -> None:
    """A third of e^18 is in doubt: so is a third of the error at the start."""
    law = dt.TeacherStudent(2.0, teacher_prior=QuantilePrior(lambda u: jnp.exp(3 * ndtri(u))))
    with pytest.warns(dt.DyntheoryWarning, match="heavy_tail"):
        theory = dt.predict(law, SGD, num_steps=0, key=key)
    assert theory.standard_error is not None
    assert abs(theory.test_error[0] - math.exp(18)) < theory.standard_error.test_error[0] < 0.5 * math.exp(18)


def test_light_priors_are_not_called_heavy() -> None:
    for prior in (bernoulli_gauss(0.01), QuantilePrior(LIGHT["exponential"][0]), QuantilePrior(_lomax(8.0))):
        assert missed_moment(prior, 2**14) < 0.01
    assert missed_moment(QuantilePrior(_lomax(2.2)), 2**14) > 0.4


def test_moments_of_traced_quantiles_are_differentiable() -> None:
    with jax.enable_x64(True):
        slope = float(jax.grad(lambda a: QuantilePrior(lambda u: a * (2 * u - 1)).second_moment)(1.5))
    assert abs(slope - 1.0) < 1e-6

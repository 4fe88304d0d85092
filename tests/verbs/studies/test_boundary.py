"""A boundary is where a predicted quantity changes its sign; that of one step of least squares is known exactly.

With η = learning rate, α = n/d, noise σ: the test error after one step is
f(η) = 2 ((1 − η)² + η²/α) + η² σ²/α + σ², a parabola in η.
"""

from typing import Any

import jax
import numpy as np
import optax
import pytest
from scipy.optimize import brentq

import dyntheory as dt

NOISE = 0.5
LAW = dt.TeacherStudent(2.0, noise_std=NOISE)
METHOD = dt.gradient_descent(dt.LinearModel(), optax.sgd, learning_rate=0.3)
ALPHAS = np.array([0.5, 1.0, 3.0])
OPTIONS: dict[str, Any] = {"key": jax.random.key(0), "num_nodes": 2**9, "num_steps": 1}


def back_at_the_start(found: Any) -> Any:
    return found.test_error.isel(step=-1) - found.test_error.isel(step=0)


def test_the_critical_rate_of_one_step() -> None:
    found = dt.boundary(
        LAW,
        METHOD,
        along="learning_rate",
        between=(0.2, 4.0),
        over={"samples_per_feature": ALPHAS},
        quantity=back_at_the_start,
        tolerance=1e-10,
        **OPTIONS,
    )
    # f(η) = f(0) at η = 4/(2 + (2 + σ²)/α), where the slope is 4: half way up the other side of the parabola
    np.testing.assert_allclose(found.learning_rate, 4 / (2 + (2 + NOISE**2) / ALPHAS), rtol=1e-8)
    np.testing.assert_allclose(found.slope, 4.0, rtol=1e-6)
    assert list(found.status.values) == ["ok"] * 3
    assert found.learning_rate.dims == ("samples_per_feature",)


def test_another_quantity_has_another_boundary() -> None:
    found = dt.boundary(
        LAW,
        METHOD,
        along="noise_std",
        between=(0.0, 9.0),
        over=[{"samples_per_feature": 2.0, "learning_rate": 0.5}],
        quantity=lambda found: found.test_error.isel(step=-1) - 3.0,
        tolerance=1e-10,
        **OPTIONS,
    )
    # 2 (1/4 + 1/8) + σ² (1 + 1/8) = 3
    np.testing.assert_allclose(found.noise_std, [2.0**0.5], rtol=1e-8)
    assert found.noise_std.dims == ("point",)


def test_errors_of_curves_become_errors_of_roots() -> None:
    found = dt.boundary(
        dt.TeacherStudent(2.0, link="sin", noise_std=0.3),
        dt.gradient_descent(dt.MLP((2,), "tanh"), optax.sgd, learning_rate=0.5),
        along="noise_std",
        between=(0.0, 2.0),
        over={"learning_rate": [0.5, 1.0]},
        quantity=lambda found: found.test_error.isel(step=-1) - 1.5,
        key=jax.random.key(1),
        num_nodes=2**10,
        num_steps=2,
    )
    assert list(found.status.values) == ["ok", "ok"]
    assert (found.noise_std_standard_error > 0).all()
    assert (found.noise_std_standard_error < 0.1).all()


def test_no_change_of_sign_is_told() -> None:
    found = dt.boundary(
        LAW,
        METHOD,
        along="learning_rate",
        between=(0.01, 0.02),
        over={"samples_per_feature": [1.0, 2.0]},
        **OPTIONS,
    )
    assert list(found.status.values) == ["unresolved"] * 2
    assert np.isnan(found.learning_rate).all()
    assert np.isnan(found.learning_rate_standard_error).all()


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"between": (1.0, 0.5)}, ValueError, "lower and a higher"),
        ({"between": (1.0,)}, ValueError, "two values"),
        ({"over": {"learning_rate": [0.1]}}, ValueError, "leave it out"),
        ({"along": "learning_rte"}, ValueError, "Did you mean 'learning_rate'"),
        ({"quantity": lambda found: found.test_error}, TypeError, "one number for each"),
        ({"checkpoint": "here"}, TypeError, "no checkpoint"),
        ({"tolerance": 0.0}, ValueError, "tolerance"),
    ],
)
def test_what_makes_no_sense_is_refused(change: dict[str, Any], error: type[Exception], words: str) -> None:
    given: dict[str, Any] = {"along": "learning_rate", "between": (0.2, 4.0), "over": {"noise_std": [0.1]}}
    with pytest.raises(error, match=words):
        dt.boundary(LAW, METHOD, **{**given, **OPTIONS, **change})


@pytest.mark.full
def test_where_message_passing_recovers_a_sparse_teacher() -> None:
    """The critical n/d of LASSO-AMP without noise, beside the scalar recursion of Donoho, Maleki and Montanari."""
    ratio, density, num_steps, share = 1.4, 0.1, 20, 1e-3
    prior = dt.priors.bernoulli_gauss(density)

    def recovered(alpha: float) -> float:
        options: dict[str, Any] = {"threshold_ratio": ratio, "prior": prior, "num_steps": num_steps}
        errors = dt.closed_forms.lasso_state_evolution(alpha, **options).excess_error
        return float(np.log(errors[-1] / errors[0] / share))

    found = dt.boundary(
        dt.TeacherStudent(1.0, noise_std=0.0, teacher_prior=prior),
        dt.lasso_amp(ratio),
        along="samples_per_feature",
        between=(0.2, 0.9),
        over=[{"threshold": ratio}],
        quantity=lambda one: np.log(one.test_error.isel(step=-1) / one.test_error.isel(step=0) / share),
        num_steps=num_steps,
        num_nodes=2**14,
        key=jax.random.key(0),
    )
    error = float(found.samples_per_feature_standard_error[0])
    assert error < 0.01
    exact: Any = brentq(recovered, 0.2, 0.9)
    assert abs(float(found.samples_per_feature[0]) - exact) < 4 * error

"""Starts stray as those of d features do, and the growth of their difference shows where runs separate."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import dyntheory as dt
from dyntheory.ground.precision import double_precision
from dyntheory.verbs.prediction.magnification import MAGNIFIED, NUM_STARTS, STRAY, magnification, strayed
from dyntheory.verbs.prediction.pieces import LimitProblem

KEY = jax.random.key(0)
LINEAR = dt.gradient_descent(dt.LinearModel(), optax.sgd, learning_rate=0.3)
NETWORK = dt.MLP((5, 2, 7, 3, 4), "tanh", use_bias=True)
MIXED = np.array([[1.5, 0.4, 0.9], [0.4, 0.8, 0.1], [0.9, 0.1, 2.0]])


def _trained(learning_rate: float) -> Any:
    return dt.gradient_descent(NETWORK, optax.sgd, learning_rate=learning_rate)


def _problem(moment: Any, draw: Any = None, **law: Any) -> LimitProblem:
    return LimitProblem(dt.TeacherStudent(2.0, **law), LINEAR, (), jnp.asarray(moment), draw=draw)


def _moved(problem: LimitProblem, count: int = 600) -> np.ndarray:
    """Return (G' − G)/STRAY over seeds."""
    start = np.asarray(problem.joint_second_moment)
    found = np.stack([np.asarray(strayed(problem, seed, STRAY).joint_second_moment) for seed in range(count)])
    return (found - start) / STRAY


def test_the_gram_matrix_strays_as_that_of_gaussian_rows() -> None:
    """√d (G_d − G) has covariance G_ac G_bd + G_ad G_bc (Wishart), for moments of any rank."""
    with double_precision():
        moved = _moved(_problem(MIXED))
        covariance = np.einsum("nab,ncd->abcd", moved, moved) / len(moved)
        expected = np.einsum("ac,bd->abcd", MIXED, MIXED) + np.einsum("ad,bc->abcd", MIXED, MIXED)
        assert np.abs(covariance - expected).max() < 0.25 * expected.max()
        assert np.abs(np.einsum("aaaa->a", covariance) / np.einsum("aaaa->a", expected) - 1).max() < 0.25
        zero = np.diag([1.0, 0.0])
        assert np.abs(_moved(_problem(zero), 20)[:, 1]).max() == 0.0
        together = np.ones((2, 2))  # w⁰ = w*: it stays so
        assert np.ptp(np.asarray(strayed(_problem(together), 3, STRAY).joint_second_moment)) < 1e-12


def test_rows_of_a_draw_stray_with_their_gram_matrix_and_a_prior_keeps_its_rows() -> None:
    with double_precision():
        rows = np.random.default_rng(0).normal(size=(50, 3))
        draw = (jnp.asarray(rows[:, :1]), jnp.asarray(rows[:, 1:]))
        problem = strayed(_problem(rows.T @ rows / 50, draw), 1, STRAY)
        moved = np.concatenate([np.asarray(part) for part in problem.draw or ()], axis=1)
        np.testing.assert_allclose(moved.T @ moved / 50, problem.joint_second_moment, atol=1e-12)
        prior = _moved(_problem(np.eye(2), teacher_prior=dt.priors.rademacher()), 20)
        assert np.abs(prior[:, 0, 0]).max() < 1e-12 and np.abs(prior[:, 0, 1]).max() > 0.1


def test_at_the_start_it_is_what_the_gram_matrix_says() -> None:
    """A linear model has test error G_ww + G_** − 2 G_w* + σ², which has no second order."""
    theory = dt.predict(dt.TeacherStudent(2.0, noise_std=0.5), LINEAR, num_steps=0, key=KEY, num_nodes=2**13)
    with double_precision():
        moved = _moved(_problem(np.eye(2)), NUM_STARTS)
    change = moved[:, 0, 0] + moved[:, 1, 1] - 2 * moved[:, 0, 1]
    assert theory.magnification is not None
    expected = np.sqrt(np.mean(change**2)) / (2 + 0.25)
    assert theory.magnification["test_error"][0] == pytest.approx(expected, rel=1e-4)


def test_the_second_order_sees_what_a_slope_cannot() -> None:
    """cosh has no slope at its minimum: M² = b there, m² + b beside it, and infinite where a value is lost."""
    places = np.array([[0.0, 1.0, 1.0], [0.0, 1.0, np.nan]])
    curves: Any = [
        tuple(dict.fromkeys(MAGNIFIED, np.cosh(row + move)) for move in (0.0, STRAY, -STRAY)) for row in places
    ]
    found = magnification(curves)["train_error"]
    np.testing.assert_allclose(found, [np.sqrt(0.5), np.sqrt(np.tanh(1.0) ** 2 + 0.5), np.inf], rtol=1e-4)


def test_runs_that_separate_are_told_from_those_that_do_not() -> None:
    """Biases of a deep network with odd labels become unstable above a learning rate, by symmetry unseen in m."""
    law = dt.TeacherStudent(2.0, link="tanh", noise_std=0.3)
    unstable, calm = (dt.predict(law, _trained(rate), num_steps=7, key=KEY, num_nodes=2**13) for rate in (0.7, 0.07))
    growth, usual = ((one.magnification or {})["train_error"] for one in (unstable, calm))
    assert growth[7] > 12 > 4 * growth[1] and usual.max() < 3
    sizes: dict[str, Any] = {"num_steps": 7, "num_samples": 800, "num_features": 400}
    for rate, prediction, level in ((0.7, unstable, "outside"), (0.07, calm, "covered")):
        checks = dt.applicability(law, _trained(rate), **sizes, prediction=prediction).checks
        assert {check.name: check.level for check in checks}["separation"] == level
    with pytest.raises(ValueError, match="`prediction` must be what `predict` returned"):
        dt.applicability(law, _trained(0.7), **sizes, prediction=dt.Trajectory(np.arange(2)))

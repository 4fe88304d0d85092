"""The oracles agree with one another where they overlap, and fail when tampered with.

Tolerances are stated beside what was measured when they were set.
"""

from fractions import Fraction
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.special import erf

from . import deep_linear, erf_committee, linear_curves, two_time
from .cases import (
    ALPHAS,
    DEEP,
    DEEP_HEAD,
    PLAIN,
    SLOPE,
    TWO_LAYERS,
    correlated_moments,
    distance,
    linear_head,
    linear_link,
    solved,
    tanh_head,
)
from .gaussian import Array, gaussian_nodes, population_error, semidefinite_cholesky


def closed_curves(alpha: float, *, num_steps: int) -> linear_curves.LinearCurves:
    """Return the closed form at η = 0.3, σ = ½, v₀ = 0.7, m₀ = 0.2."""
    return linear_curves.curves(
        num_steps,
        alpha=alpha,
        learning_rate=0.3,
        noise_std=0.5,
        initial_second_moment=0.7,
        initial_teacher_overlap=0.2,
    )


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("momentum", [0.0, 0.6])
def test_revealed_frame_matches_spectrum(alpha: float, momentum: float) -> None:
    """Revelation and Marchenko–Pastur modes give one limit; measured 2e-13."""
    arguments = {"alpha": alpha, "num_steps": 40, "momentum": momentum, **DEEP}
    frame = deep_linear.solve(DEEP_HEAD, SLOPE, **arguments)
    spectral = deep_linear.solve_spectral(DEEP_HEAD, SLOPE, **arguments)
    assert distance(frame, spectral) < 1e-11
    for ours, theirs in zip(frame.heads[-1], spectral.heads[-1], strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-11)


def test_revealed_frame_needs_memory() -> None:
    """Negative control: without Onsager terms the frame is wrong by 0.25."""
    arguments = {"alpha": 2.0, "num_steps": 12, **DEEP}
    spectral = deep_linear.solve_spectral(DEEP_HEAD, SLOPE, **arguments)
    assert distance(deep_linear.solve(DEEP_HEAD, SLOPE, memory=False, **arguments), spectral) > 0.05


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("use_dirac", [False, True])
def test_two_time_matches_deep_linear(alpha: float, use_dirac: bool) -> None:
    """Moment-matched nodes make the two-time form exact; measured 5e-10.

    The covariance of u is singular here, and a pivot below 1e-13 of the variance is
    dropped, so 1e-7 is the accuracy to expect.
    """
    arguments = {"alpha": alpha, "num_steps": 10, **DEEP}
    exact = deep_linear.solve(DEEP_HEAD, SLOPE, **arguments)
    solution = two_time.solve(linear_head, DEEP_HEAD, linear_link, num_nodes=1024, use_dirac=use_dirac, **arguments)
    assert distance(solution, exact) < 1e-7


def test_two_time_needs_memory() -> None:
    """Negative control: A = 0 on the sample side moves a linear network by 0.06."""
    arguments = {"alpha": 2.0, "num_steps": 10, **DEEP}
    exact = deep_linear.solve(DEEP_HEAD, SLOPE, **arguments)
    solution = two_time.solve(linear_head, DEEP_HEAD, linear_link, num_nodes=1024, memory=False, **arguments)
    assert distance(solution, exact) > 0.02


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0])
def test_depth_one_matches_linear_curves(alpha: float) -> None:
    """One linear unit against closed_forms.md §3, w⁰ correlated with w*; measured 9e-14."""
    frame = deep_linear.solve(
        [],
        np.ones(1),
        alpha=alpha,
        learning_rate=0.3,
        noise_std=0.5,
        num_steps=30,
        second_moment=np.array([[0.7]]),
        teacher_overlap=np.array([[0.2]]),
        teacher_second_moment=np.eye(1),
    )
    closed = closed_curves(alpha, num_steps=30)
    np.testing.assert_allclose(frame.train_error, closed.train_error, rtol=1e-11)
    np.testing.assert_allclose(frame.test_error, closed.test_error, rtol=1e-11)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0])
def test_linear_curves_match_rationals(alpha: float) -> None:
    """Quadrature against exact rational arithmetic; measured 5e-16."""
    closed = closed_curves(alpha, num_steps=12)
    for step in (0, 1, 2, 7, 12):
        exact = linear_curves.exact_errors(
            step,
            alpha=Fraction(alpha),
            learning_rate=Fraction(3, 10),
            noise_variance=Fraction(1, 4),
            initial_second_moment=Fraction(7, 10),
            initial_teacher_overlap=Fraction(1, 5),
        )
        assert closed.train_error[step] == pytest.approx(float(exact.train_error), rel=1e-13)
        assert closed.test_error[step] == pytest.approx(float(exact.test_error), rel=1e-13)


@pytest.mark.parametrize("alpha", [0.5, 2.0])
def test_linear_curves_reach_double_descent(alpha: float) -> None:
    """At t = 3000 the curves sit on the ridgeless limits; measured 1e-15."""
    closed = closed_curves(alpha, num_steps=3000)
    late = linear_curves.late_errors(alpha=alpha, noise_std=0.5, initial_second_moment=0.7, initial_teacher_overlap=0.2)
    assert closed.train_error[-1] == pytest.approx(late.train_error, abs=1e-12)
    assert closed.test_error[-1] == pytest.approx(late.test_error, rel=1e-12)


def _identity(solution: two_time.TwoTime, moments: dict[str, Any], rate: float) -> float:
    """Return the relative defect of the slides' identity at α = 2."""
    left, right = two_time.slides_identity(solution, alpha=2.0, learning_rate=rate, **moments)
    return float(np.abs(left - right).max() / np.abs(left).max())


def test_slides_identity() -> None:
    """Cov(U^t, U^s) = Σ ρ Σ ρᵀ; measured 7e-15.

    It is an identity in B, true for wrong responses too: it cannot see Trap 1.
    """
    assert _identity(solved(kink=False, use_dirac=False), PLAIN, 0.5) < 1e-12
    assert _identity(solved(kink=True, use_dirac=True), PLAIN, 0.5) < 1e-12


def test_slides_identity_with_correlated_start() -> None:
    """The same with E[w⁰ w*ᵀ] ≠ 0 and two teacher directions; transposing B breaks it (2e-2)."""
    moments = correlated_moments(3, 2, seed=1)
    solution = two_time.solve(
        tanh_head,
        TWO_LAYERS,
        linear_link,
        alpha=2.0,
        learning_rate=0.5,
        noise_std=0.3,
        num_steps=5,
        num_nodes=1024,
        **moments,
    )
    assert _identity(solution, moments, 0.5) < 1e-11
    transposed = solution._replace(B=solution.B.transpose(0, 1, 3, 2))
    assert _identity(transposed, moments, 0.5) > 1e-4


def test_rho_is_rescaled_response() -> None:
    """The dictionary A_ts = −(η/α) ρ_{t,s+1}; measured 6e-17."""
    solution = solved(kink=False, use_dirac=False)
    rho = two_time.slides_rho(solution.B, 0.25)
    np.testing.assert_allclose(solution.A, -0.25 * rho[:, 1:], atol=1e-14)


@pytest.mark.parametrize("scale", [erf_committee.SAAD_SOLLA_SCALE, 1.0])
def test_arcsin_errors_match_nodes(scale: float) -> None:
    """Exact erf errors against Sobol nodes; measured 6e-5."""
    moments = correlated_moments(3, 2, seed=4)
    moment = np.block(
        [
            [moments["teacher_second_moment"], moments["teacher_overlap"].T],
            [moments["teacher_overlap"], moments["second_moment"]],
        ]
    )
    teacher = np.array([0.8, -1.1])
    nodes = gaussian_nodes(2**15, 5, seed=0)

    def student(head: Array, h: Any) -> Any:
        return erf(scale * h) @ head

    def erf_teacher(z: Any) -> Any:
        return erf(scale * z) @ teacher

    def linear_teacher(z: Any) -> Any:
        return z @ jnp.asarray(teacher)

    links = {
        erf_teacher: erf_committee.erf_teacher_error,
        linear_teacher: erf_committee.linear_teacher_error,
    }
    for link, exact in links.items():
        by_nodes = population_error(student, TWO_LAYERS, link, moment, nodes, num_teacher=2, noise_std=0.3)
        by_arcsin = exact(moment, TWO_LAYERS, teacher, noise_std=0.3, scale=scale)
        assert by_nodes == pytest.approx(by_arcsin, rel=5e-4)


def test_nodes_have_exact_moments() -> None:
    """Moment matching is exact and changes Sobol points little."""
    nodes = gaussian_nodes(1024, 20, seed=3)
    raw = gaussian_nodes(1024, 20, seed=3, moment_match=False)
    np.testing.assert_allclose(nodes.mean(axis=0), 0, atol=1e-14)
    np.testing.assert_allclose(nodes.T @ nodes / 1024, np.eye(20), atol=1e-13)
    assert np.sqrt(np.mean((nodes - raw) ** 2)) < 0.1


def test_cholesky_survives_lost_rank() -> None:
    """Zero and repeated directions get zero columns."""
    draws = np.random.default_rng(2).normal(size=(5, 2))
    draws[1] = 0.0
    moment = draws @ draws.T
    factor = semidefinite_cholesky(moment)
    np.testing.assert_allclose(factor @ factor.T, moment, atol=1e-13)
    assert np.count_nonzero(np.diag(factor)) == 2


@pytest.mark.parametrize("ratio", [0.5, 1.0, 2.0])
def test_quadrature_has_full_mass(ratio: float) -> None:
    """Continuous part and atom have mass 1; at c = 1 this needs the end point."""
    _, weights = linear_curves.marchenko_pastur(ratio)
    assert weights.sum() + max(0.0, 1 - 1 / ratio) == pytest.approx(1, abs=1e-12)
    if ratio == 1:
        assert abs(weights[:-1].sum() - 1) > 1e-3

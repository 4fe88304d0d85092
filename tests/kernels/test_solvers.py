"""Solvers against scikit-learn and each other; singular kernels; preconditioning; what is refused."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import kernel_ridge

from dyntheory.kernels import solve
from dyntheory.kernels.solvers import eigensystem, low_rank_preconditioner, pivoted_cholesky
from tests.kernels.conftest import Problem

pytestmark = pytest.mark.usefixtures("double")
RIDGE = 0.07
KernelRidge: Any = kernel_ridge.KernelRidge


@pytest.mark.parametrize("method", ["cholesky", "eigh", "cg", "auto"])
def test_ridge_agrees_with_scikit_learn(method: str, regular: Problem) -> None:
    reference = KernelRidge(alpha=RIDGE * 6, kernel="precomputed").fit(regular.kernel, regular.labels)
    solution = solve(regular.kernel, regular.labels, ridge=RIDGE, method=method)
    np.testing.assert_allclose(solution.coefficients, reference.dual_coef_, rtol=1e-8)
    assert float(np.max(solution.residual)) < 1e-9


def test_a_forgotten_factor_n_would_be_noticed(regular: Problem) -> None:
    wrong = KernelRidge(alpha=RIDGE, kernel="precomputed").fit(regular.kernel, regular.labels)
    solution = solve(regular.kernel, regular.labels, ridge=RIDGE)
    assert np.abs(solution.coefficients - wrong.dual_coef_).max() > 0.1


def test_a_function_is_solved_without_a_matrix(regular: Problem) -> None:
    kernel = jnp.asarray(regular.kernel)
    solution = solve(lambda block: kernel @ block, regular.labels[:, 0], ridge=RIDGE)
    expected = np.linalg.solve(regular.kernel + 6 * RIDGE * np.eye(6), regular.labels[:, 0])
    np.testing.assert_allclose(solution.coefficients, expected, rtol=1e-8)
    assert 0 < int(solution.num_iterations) <= 7


def test_singular_kernel_gives_the_least_norm_solution(singular: Problem) -> None:
    labels = singular.features @ np.arange(8.0).reshape(4, 2)
    solution = solve(singular.kernel, labels)
    np.testing.assert_allclose(solution.coefficients, np.linalg.pinv(singular.kernel) @ labels, atol=1e-10)
    np.testing.assert_allclose(singular.kernel @ solution.coefficients, labels, atol=1e-11)


def test_rank_is_the_number_of_parameters(singular: Problem) -> None:
    system = eigensystem(jnp.asarray(singular.kernel))
    assert int(system.rank) == 4
    assert 0 < float(system.removed) < 1e-14
    rebuilt = (system.vectors * system.values[None]) @ system.vectors.T
    np.testing.assert_allclose(rebuilt, singular.kernel, atol=1e-13)


def _ill_conditioned(size: int) -> np.ndarray:
    points = np.linspace(0, 1, size)
    return np.exp(-50 * (points[:, None] - points[None, :]) ** 2)


def test_preconditioner_saves_iterations() -> None:
    matrix, right = _ill_conditioned(120), np.random.default_rng(0).standard_normal(120)
    options = {"ridge": 1e-6, "method": "cg", "tolerance": 1e-8, "max_iterations": 400}
    plain, helped = solve(matrix, right, rank=0, **options), solve(matrix, right, rank=30, **options)
    assert float(helped.residual) < 2e-8
    assert int(helped.num_iterations) * 5 < int(plain.num_iterations)


def test_exhausted_iterations_are_visible() -> None:
    solution = solve(_ill_conditioned(60), np.ones(60), method="cg", rank=0, max_iterations=3, tolerance=1e-14)
    assert int(solution.num_iterations) == 3 and float(solution.residual) > 1e-14


def test_pivoted_cholesky_of_full_rank_is_exact(regular: Problem) -> None:
    factor, left = pivoted_cholesky(jnp.asarray(regular.kernel), 6)
    np.testing.assert_allclose(factor @ factor.T, regular.kernel, atol=1e-13)
    np.testing.assert_allclose(left, 0, atol=1e-13)
    inverse = low_rank_preconditioner(jnp.asarray(regular.kernel), 0.5, 6)
    np.testing.assert_allclose(inverse(jnp.eye(6)), np.linalg.inv(regular.kernel + 0.5 * np.eye(6)), atol=1e-12)


def test_solve_works_under_jit_and_grad(regular: Problem) -> None:
    def loss(ridge: jax.Array) -> jax.Array:
        return jnp.sum(solve(jnp.asarray(regular.kernel), regular.labels, ridge=ridge, method="cholesky")[0] ** 2)

    step = 1e-6
    numeric = (loss(jnp.asarray(0.1 + step)) - loss(jnp.asarray(0.1 - step))) / (2 * step)
    np.testing.assert_allclose(jax.jit(jax.grad(loss))(0.1), numeric, rtol=1e-7)


@pytest.mark.parametrize(
    ("kernel", "labels", "options", "message"),
    [
        (np.ones((2, 3)), np.ones(2), {}, "square"),
        (np.eye(2), np.ones(3), {}, "2 rows"),
        (np.array([[1.0, 2.0], [0.0, 1.0]]), np.ones(2), {}, "symmetric"),
        (-np.eye(2), np.ones(2), {}, "positive semidefinite"),
        (np.array([[np.nan]]), np.ones(1), {}, "finite"),
        (np.eye(2), np.ones(2), {"ridge": -1.0}, "ridge"),
        (np.eye(2), np.ones(2), {"method": "choleski"}, "cholesky"),
        (np.eye(2), np.ones((2, 1, 1)), {}, "targets"),
        (lambda v: v, np.ones(2), {"method": "eigh"}, "cg"),
        (np.eye(2), np.ones(2), {"method": "cg", "tolerance": 0.0}, "tolerance"),
    ],
)
def test_bad_input_says_what_was_wrong(kernel: object, labels: object, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        solve(kernel, labels, **options)  # pyright: ignore[reportArgumentType]

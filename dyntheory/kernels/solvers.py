"""Solve (Θ + n λ) c = r for a kernel Θ: Cholesky, eigendecomposition, or preconditioned conjugate gradients.

Cholesky is the fastest while the matrix is regular. The eigendecomposition gives the least-norm solution when it is
not: without a ridge, eigenvalues that rounding cannot tell from zero count as zero. Conjugate gradients need only
products Θ v, so that the kernel need not be stored; a pivoted Cholesky factor of low rank preconditions them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from dyntheory.ground.arrays import Array, ArrayLike, Number
from dyntheory.ground.checks import (
    check_count,
    check_nonnegative,
    check_positive,
    check_scalar,
    is_concrete,
)
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.names import check_name
from dyntheory.ground.status import DyntheoryWarning
from dyntheory.kernels.eigensystem import check_kernel, eigensystem, inverse, lost_share, warn_lost
from dyntheory.kernels.precision import in_double, real_array, rounding_of

SOLVERS = ("auto", "cholesky", "eigh", "cg")
PRECONDITIONER_RANK = 100

Operator = Callable[[Array], Array]


class Solution(NamedTuple):
    """Coefficients c (n,) or (n, o), the relative residual ‖r − (Θ + nλ) c‖/‖r‖ of every column, and iterations."""

    coefficients: Any
    residual: Any
    num_iterations: Any


@in_double
def solve(
    kernel: ArrayLike | Operator,
    targets: ArrayLike,
    *,
    ridge: Number = 0.0,
    method: str = "auto",
    tolerance: float | None = None,
    max_iterations: int = 1000,
    rank: int = PRECONDITIONER_RANK,
) -> Solution:
    """Return the coefficients c of kernel regression, (Θ + n λ) c = targets; f(x) = Θ(x, X) c.

    They minimise (1/2n) Σ (f(x_i) − y_i)² + (λ/2) ‖f‖², the limit t → ∞ of gradient flow from zero. Computed in
    float64, whatever JAX's flag says; a warning says which part of the targets a nearly singular kernel loses.

    Args:
        kernel: Θ, shape (n, n); or a function v (n, o) -> Θ v, for which only conjugate gradients work.
        targets: shape (n,) or (n, o).
        ridge: λ, zero or positive; scikit-learn's `alpha` is n λ.
        method: "cholesky"; "eigh", least-norm when singular; "cg"; "auto" is Cholesky when n λ is above the rounding
            of the kernel, "eigh" when it is not, "cg" for a function.
        tolerance: relative residual at which conjugate gradients stop; default 1e-10, and 1e-5 for a function that
            returns float32.
        max_iterations: of conjugate gradients.
        rank: of the preconditioner, 0 for none; not used for a function.

    Returns:
        Coefficients with the residual that was reached; look at it when conjugate gradients were used.

    Raises:
        TypeError: not real numbers.
        ValueError: shapes, numbers or names that do not fit, NaN or infinity, or a kernel that is singular and
            method="cholesky".

    Example:
        >>> import jax.numpy as jnp
        >>> solve(jnp.diag(jnp.array([2.0, 4.0])), jnp.array([2.0, 2.0])).coefficients.tolist()
        [1.0, 0.5]
    """
    check_arguments(solve, locals())
    check_nonnegative("ridge", ridge)
    check_scalar("ridge", ridge)
    check_name("method", method, SOLVERS)
    max_iterations, rank = check_count("max_iterations", max_iterations), check_count("rank", rank, minimum=0)
    if tolerance is not None:
        check_positive("tolerance", tolerance)
    right = real_array("targets", targets)
    if right.ndim not in (1, 2):
        raise ValueError(f"`targets` must have shape (n,) or (n, o), got {right.shape}.")
    columns = right[:, None] if right.ndim == 1 else right
    shift = ridge * right.shape[0]
    if callable(kernel):
        if method not in ("auto", "cg"):
            raise ValueError(f"A function v -> Θ v can only be solved by method='cg', got {method!r}.")
        operator, precondition, kind = _shifted(kernel, shift), None, jax.eval_shape(kernel, columns).dtype
    else:
        matrix = check_kernel("kernel", kernel)
        if matrix.shape[0] != right.shape[0]:
            raise ValueError(f"`kernel` has {matrix.shape[0]} rows and `targets` {right.shape[0]}: they must agree.")
        operator, kind = _shifted(lambda block: matrix @ block, shift), matrix.dtype
        if method != "cg":
            found = _direct(method, matrix, columns, shift, rounding_of(kernel))
            return _solution(operator, found, columns, jnp.zeros((), int), right.ndim)
        precondition = low_rank_preconditioner(matrix, shift, min(rank, len(matrix))) if rank > 0 else None
    tolerance = (1e-10 if kind == jnp.float64 else 1e-5) if tolerance is None else tolerance
    found, steps = conjugate_gradients(operator, columns, precondition, tolerance, max_iterations)
    return _solution(operator, found, columns, steps, right.ndim)


def _solution(operator: Operator, found: Array, columns: Array, steps: Array, ndim: int) -> Solution:
    residual = _norm(columns - operator(found)) / jnp.maximum(_norm(columns), jnp.finfo(columns.dtype).tiny)
    return Solution(found[:, 0], residual[0], steps) if ndim == 1 else Solution(found, residual, steps)


def _norm(columns: Array) -> Array:
    return jnp.sqrt(jnp.sum(columns**2, axis=0))


def _shifted(apply: Operator, shift: Number) -> Operator:
    return lambda block: jnp.asarray(apply(block), block.dtype) + shift * block


def _direct(method: str, matrix: Array, columns: Array, shift: Number, rounding: float) -> Array:
    if method == "cholesky" or (method == "auto" and _is_regular(matrix, shift, rounding)):
        factor = jnp.linalg.cholesky(matrix + shift * jnp.eye(len(matrix), dtype=matrix.dtype))
        _check_factor(factor, rounding)
        return jax.scipy.linalg.cho_solve((factor, True), columns)
    system = eigensystem(matrix, rounding, shift)
    warn_lost(lost_share(system, columns), system)
    return system.vectors @ (inverse(system, shift)[:, None] * (system.vectors.T @ columns))


def _is_regular(matrix: Array, shift: Number, rounding: float) -> bool:
    """Return whether the shift is above all that rounding does to the eigenvalues; they are below the trace."""
    if not (is_concrete(shift) and is_concrete(matrix)):
        return is_concrete(shift) and float(np.asarray(shift)) > 0
    return float(np.asarray(shift)) > len(matrix) * rounding * float(np.trace(np.asarray(matrix)))


def _check_factor(factor: Array, rounding: float) -> None:
    """Refuse a factor that is not finite, and warn of one whose smallest pivot is rounding."""
    if not is_concrete(factor):
        return
    pivots = np.square(np.diagonal(np.asarray(factor)))
    if not np.isfinite(pivots).all():
        raise ValueError("The kernel, ridge added, is singular to rounding: take method='eigh' or a larger `ridge`.")
    if pivots.min() < len(pivots) * rounding * pivots.max():
        warnings.warn(
            f"The kernel, ridge added, is nearly singular: pivots of Cholesky from {pivots.max():.1e} to "
            f"{pivots.min():.1e}. Take method='eigh', or a larger `ridge`.",
            DyntheoryWarning,
            stacklevel=4,
        )


def conjugate_gradients(
    apply: Operator,
    columns: Float[Array, "n o"],
    precondition: Operator | None,
    tolerance: float,
    max_iterations: int,
) -> tuple[Float[Array, "n o"], Int[Array, ""]]:
    """Return the solution of apply(c) = columns, every column with its own step lengths, and the iterations."""
    smooth = precondition or (lambda block: block)
    target, tiny = tolerance * _norm(columns), jnp.finfo(columns.dtype).tiny

    def ratio(above: Array, below: Array) -> Array:
        return jnp.where(below > 0, above / jnp.maximum(below, tiny), 0.0)

    def unfinished(state: tuple[Array, ...]) -> Array:
        *_, residual, count = state
        return jnp.any(_norm(residual) > target) & (count < max_iterations)

    def advance(state: tuple[Array, ...]) -> tuple[Array, ...]:
        found, direction, size, residual, count = state
        image = apply(direction)
        step = ratio(size, jnp.sum(direction * image, axis=0))[None, :]
        found, residual = found + step * direction, residual - step * image
        image = smooth(residual)
        new_size = jnp.sum(residual * image, axis=0)
        return found, image + ratio(new_size, size)[None, :] * direction, new_size, residual, count + 1

    first = smooth(columns)
    state = (jnp.zeros_like(columns), first, jnp.sum(columns * first, axis=0), columns, jnp.zeros((), int))
    found, direction, size, residual, count = state
    found, direction, size, residual, count = jax.lax.while_loop(
        lambda s: unfinished(s), advance, (found, direction, size, residual, count)
    )
    return found, count


def low_rank_preconditioner(matrix: Float[Array, "n n"], shift: Number, rank: int) -> Operator:
    """Return v -> (L Lᵀ + δ)⁻¹ v, L the pivoted Cholesky factor of that rank, δ the shift or what L leaves out.

    Reference: `harbrecht2012low` for the factor.
    """
    factor, left = pivoted_cholesky(matrix, rank)
    floor = jnp.finfo(matrix.dtype).eps * jnp.max(jnp.diagonal(matrix))
    delta = jnp.maximum(jnp.maximum(shift, jnp.mean(left)), floor)
    vectors, values, _ = jnp.linalg.svd(factor, full_matrices=False)
    change = (1.0 / (values**2 + delta) - 1.0 / delta)[:, None]
    return lambda block: block / delta + vectors @ (change * (vectors.T @ block))


def pivoted_cholesky(matrix: Float[Array, "n n"], rank: int) -> tuple[Float[Array, "n r"], Float[Array, "n"]]:
    """Return L (n, rank) with the largest remaining diagonal entry as pivot each time, and the diagonal left over."""

    def add_column(index: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        factor, left = state
        pivot = jnp.argmax(left)
        column = matrix[:, pivot] - factor @ factor[pivot]
        size = jnp.maximum(left[pivot], jnp.finfo(matrix.dtype).tiny)
        column = jnp.where(left[pivot] > 0, column / jnp.sqrt(size), 0.0)
        return factor.at[:, index].set(column), jnp.maximum(left - column**2, 0.0).at[pivot].set(0.0)

    start = jnp.zeros((len(matrix), rank), matrix.dtype), jnp.diagonal(matrix)
    return jax.lax.fori_loop(0, rank, add_column, start)

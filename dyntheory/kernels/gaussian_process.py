"""Bayesian prediction of an infinitely wide network: Gaussian process regression with the NNGP kernel.

With labels y = f(X) + σ ξ and f ~ GP(0, K):  E f(x) = K(x, X) (K + σ²)⁻¹ y,  Cov f = K − K(·, X) (K + σ²)⁻¹ K(X, ·).

Reference: `lee2018deep`, eqs. 8-9; `rasmussen2006gaussian`, eqs. 2.23-2.24.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from dyntheory.ground.arrays import Array, ArrayLike
from dyntheory.ground.checks import check_nonnegative, is_concrete
from dyntheory.ground.kinds import check_arguments
from dyntheory.kernels.kernel_pair import Kernels
from dyntheory.kernels.solvers import check_kernel, eigensystem
from dyntheory.kernels.trained import Prediction


def posterior(
    train_train: Kernels | ArrayLike,
    labels: ArrayLike,
    test_train: Kernels | ArrayLike,
    test_test: Kernels | ArrayLike | None = None,
    *,
    noise_std: ArrayLike = 0.0,
) -> Prediction:
    """Return the posterior mean and covariance of f on the test inputs.

    A kernel that is singular, with σ = 0, is inverted on its range: labels off the range cannot be fitted.

    Args:
        train_train: kernels of the training inputs, (n, n); of `Kernels` the NNGP kernel.
        labels: y, (n,) or (n, o).
        test_train: kernels between test and training inputs, (m, n).
        test_test: kernels of the test inputs, (m, m), or their diagonal, (m,), for variances only; None for a mean.
        noise_std: σ of the labels, a number or (n,).

    Returns:
        Mean (m,) or (m, o) and covariance (m, m) or (m,), of the function: add σ² for a fresh noisy label.

    Raises:
        ValueError: shapes or numbers that do not fit.

    Example:
        >>> import jax.numpy as jnp
        >>> posterior(jnp.eye(2), jnp.array([2.0, 4.0]), jnp.eye(2), noise_std=1.0).mean.tolist()
        [1.0, 2.0]

    Reference: `rasmussen2006gaussian`, eqs. 2.23-2.24.
    """
    check_arguments(posterior, locals())
    check_nonnegative("noise_std", noise_std)
    matrix = check_kernel("train_train", _nngp(train_train))
    targets, cross = jnp.asarray(labels, matrix.dtype), jnp.asarray(_nngp(test_train), matrix.dtype)
    if targets.ndim not in (1, 2) or targets.shape[0] != len(matrix):
        raise ValueError(f"`labels` must have shape (n,) or (n, o) with n = {len(matrix)}, got {targets.shape}.")
    if cross.ndim != 2 or cross.shape[1] != len(matrix):
        raise ValueError(f"`test_train` must have shape (m, n) with n = {len(matrix)}, got {cross.shape}.")
    noise = jnp.asarray(noise_std, matrix.dtype)
    if noise.shape not in ((), (len(matrix),)):
        raise ValueError(f"`noise_std` must be a number or have shape ({len(matrix)},), got {noise.shape}.")
    weights = cross @ _inverse(matrix, noise)
    if test_test is None:
        return Prediction(weights @ targets, None)
    prior = jnp.asarray(_nngp(test_test), matrix.dtype)
    if prior.shape not in ((len(cross),), (len(cross),) * 2):
        raise ValueError(f"`test_test` must have shape (m, m) or (m,), m = {len(cross)}, got {prior.shape}.")
    explained = jnp.sum(weights * cross, axis=1) if prior.ndim == 1 else weights @ cross.T
    return Prediction(weights @ targets, prior - explained)


def _nngp(kernels: Kernels | ArrayLike) -> ArrayLike:
    return kernels.nngp if isinstance(kernels, Kernels) else kernels


def _inverse(matrix: Array, noise: Array) -> Array:
    """Return (K + σ²)⁻¹, on the range of K + σ² when that is singular."""
    if is_concrete(noise) and not np.any(np.asarray(noise)):
        shifted = matrix
    else:
        shifted = matrix + jnp.diag(jnp.broadcast_to(noise**2, matrix.shape[:1]))
    values, vectors, *_ = eigensystem(shifted)
    inverse = jnp.where(values > 0, 1.0 / jnp.where(values > 0, values, 1.0), 0.0)
    return (vectors * inverse[None]) @ vectors.T

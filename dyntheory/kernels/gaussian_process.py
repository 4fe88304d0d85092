"""Bayesian prediction of an infinitely wide network: Gaussian process regression with the NNGP kernel.

With labels y = f(X) + σ ξ and f ~ GP(0, K):  E f(x) = K(x, X) (K + σ²)⁻¹ y,  Cov f = K − K(·, X) (K + σ²)⁻¹ K(X, ·).

Reference: `lee2018deep`, eqs. 8-9; `rasmussen2006gaussian`, eqs. 2.23-2.24.
"""

from __future__ import annotations

import jax.numpy as jnp

from dyntheory.ground.arrays import ArrayLike
from dyntheory.ground.checks import check_nonnegative
from dyntheory.ground.kinds import check_arguments
from dyntheory.kernels.eigensystem import check_kernel, eigensystem, inverse, lost_share, warn_lost
from dyntheory.kernels.kernel_pair import Kernels
from dyntheory.kernels.precision import in_double, real_array, rounding_of
from dyntheory.kernels.trained import Prediction, check_variances


@in_double
def posterior(
    train_train: Kernels | ArrayLike,
    labels: ArrayLike,
    test_train: Kernels | ArrayLike,
    test_test: Kernels | ArrayLike | None = None,
    *,
    noise_std: ArrayLike = 0.0,
) -> Prediction:
    """Return the posterior mean and covariance of f on the test inputs.

    A kernel that is singular, with σ = 0, is inverted on its range: labels off the range cannot be fitted. Computed in
    float64, whatever JAX's flag says; a warning says which part of the labels a nearly singular kernel loses.

    Args:
        train_train: kernels of the training inputs, (n, n); of `Kernels` the NNGP kernel.
        labels: y, (n,) or (n, o).
        test_train: kernels between test and training inputs, (m, n).
        test_test: kernels of the test inputs, (m, m), or their diagonal, (m,), for variances only; None for a mean.
        noise_std: σ of the labels, a number or (n,).

    Returns:
        Mean (m,) or (m, o) and covariance (m, m) or (m,), of the function: add σ² for a fresh noisy label.

    Raises:
        TypeError: not real numbers.
        ValueError: shapes or numbers that do not fit, NaN or infinity.

    Example:
        >>> import jax.numpy as jnp
        >>> posterior(jnp.eye(2), jnp.array([2.0, 4.0]), jnp.eye(2), noise_std=1.0).mean.tolist()
        [1.0, 2.0]

    Reference: `rasmussen2006gaussian`, eqs. 2.23-2.24.
    """
    check_arguments(posterior, locals())
    check_nonnegative("noise_std", noise_std)
    matrix = check_kernel("train_train", _nngp(train_train))
    targets, cross = real_array("labels", labels), real_array("test_train", _nngp(test_train))
    if targets.ndim not in (1, 2) or targets.shape[0] != len(matrix):
        raise ValueError(f"`labels` must have shape (n,) or (n, o) with n = {len(matrix)}, got {targets.shape}.")
    if cross.ndim != 2 or cross.shape[1] != len(matrix):
        raise ValueError(f"`test_train` must have shape (m, n) with n = {len(matrix)}, got {cross.shape}.")
    noise = real_array("noise_std", noise_std) ** 2
    if noise.shape not in ((), (len(matrix),)):
        raise ValueError(f"`noise_std` must be a number or have shape ({len(matrix)},), got {noise.shape}.")
    shifted = matrix + jnp.diag(jnp.broadcast_to(noise, matrix.shape[:1]))
    system = eigensystem(shifted, rounding_of(_nngp(train_train)), jnp.min(noise))
    warn_lost(lost_share(system, targets.reshape(len(matrix), -1)), system)
    weights, along = inverse(system), cross @ system.vectors
    mean = along @ ((weights * (system.vectors.T @ targets).T).T)
    if test_test is None:
        return Prediction(mean, None)
    prior = real_array("test_test", _nngp(test_test))
    if prior.shape not in ((len(cross),), (len(cross),) * 2):
        raise ValueError(f"`test_test` must have shape (m, m) or (m,), m = {len(cross)}, got {prior.shape}.")
    halves = along * jnp.sqrt(weights)[None]  # its square is what was explained, whatever the rounding
    explained = jnp.sum(halves**2, axis=1) if prior.ndim == 1 else halves @ halves.T
    check_variances(prior - explained, prior, rounding_of(_nngp(train_train), _nngp(test_train), _nngp(test_test)))
    return Prediction(mean, prior - explained)


def _nngp(kernels: Kernels | ArrayLike) -> ArrayLike:
    return kernels.nngp if isinstance(kernels, Kernels) else kernels

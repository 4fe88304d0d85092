"""Ridge regression for any covariance and target, by deterministic equivalents; a user's data in that form.

Features have covariance eigenvalues s_i, the target the coefficients b_i along them, labels noise of variance σ²; n
samples, (1/n)‖y − Xb‖² + λ‖b‖². With κ the root of κ = λ + κ df₁/n and df_q = Σ (s_i/(s_i + κ))^q,

    bias = κ² Σ s_i b_i²/(s_i + κ)² / (1 − df₂/n),    variance = σ² (df₂/n)/(1 − df₂/n),
    train error = (λ/κ)² · test error,

where n − df₂ = nλ/κ + Σ s_i κ/(s_i + κ)² is a sum of positive terms and is computed as one.

Reference: `hastie2022surprises`; `canatar2021spectral`; `simon2023eigenlearning` (their δ is our n λ).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.closed_forms.effective_ridge import effective_ridge
from dyntheory.closed_forms.evaluation import evaluate, over_leading_axes, ratio_or
from dyntheory.closed_forms.least_squares import risk_of
from dyntheory.ground.arrays import Array, ArrayLike
from dyntheory.ground.checks import check_finite, check_nonnegative, check_positive, is_concrete


class SpectralRisk(NamedTuple):
    """Errors of ridge regression on given features; arrays of one shape. The first five as in `Risk`.

    Args:
        bias: excess error without noise.
        variance: what the noise adds to it.
        excess_error: bias + variance.
        test_error: excess error plus σ².
        train_error: (1/n)‖y − Xb‖².
        kappa: κ, the effective penalty.
        df1: degrees of freedom Σ s/(s + κ), the trace of the smoother.
        df2: Σ (s/(s + κ))².
        gcv: what generalised cross-validation reads, train error/(1 − df₁/n)²; its limit where both are zero.
    """

    bias: Any
    variance: Any
    excess_error: Any
    test_error: Any
    train_error: Any
    kappa: Any
    df1: Any
    df2: Any
    gcv: Any


class DataSpectrum(NamedTuple):
    """What `ridge_general` needs to know of a data set; pass it on as `ridge_general(n, λ, **data._asdict())`.

    Args:
        eigenvalues: s_i of the covariance, (p,), in decreasing order.
        target_coefficients: b_i of the least-squares fit along the eigenvectors, (p,).
        noise_std: σ, standard deviation of what no linear function explains.
    """

    eigenvalues: np.ndarray
    target_coefficients: np.ndarray
    noise_std: np.ndarray


def ridge_general(
    num_samples: ArrayLike,
    penalty: ArrayLike,
    *,
    eigenvalues: ArrayLike,
    target_coefficients: ArrayLike,
    noise_std: ArrayLike = 0.0,
) -> SpectralRisk:
    """Return the risk of ridge regression from the spectrum of the features and the target along it.

    Scaling:
        Accurate when n and the effective dimension are large; corrections are O(1/n). The labels of a mode have the
        variance s_i b_i².

    Args:
        num_samples: n, positive.
        penalty: λ, zero or positive. At λ = 0 and n equal to the rank the test error is infinite unless σ = 0.
        eigenvalues: s_i, (..., p), zero or positive, one of them positive.
        target_coefficients: b_i, (..., p).
        noise_std: σ.

    Returns:
        The risk, in the shape to which n, λ, σ and the leading axes of the others broadcast.

    Raises:
        ValueError: numbers outside their ranges, or lengths that differ.

    Example:
        >>> import numpy as np
        >>> from dyntheory import closed_forms
        >>> values, target = np.ones(100), np.full(100, 0.1)
        >>> risk = closed_forms.ridge_general([50, 200], 0.0, eigenvalues=values, target_coefficients=target)
        >>> risk.test_error.round(12).tolist(), risk.kappa.round(12).tolist()
        ([0.5, 0.0], [1.0, 0.0])

    Reference: `hastie2022surprises`; `canatar2021spectral`; `simon2023eigenlearning`, section 4.
    """
    check_positive("num_samples", num_samples)
    check_nonnegative("penalty", penalty)
    check_nonnegative("noise_std", noise_std)
    check_spectrum(eigenvalues, target_coefficients)
    return evaluate(_ridge_general, num_samples, penalty, eigenvalues, target_coefficients, noise_std, broadcast=False)


def check_spectrum(eigenvalues: ArrayLike, target_coefficients: ArrayLike) -> None:
    """Require eigenvalues that are not all zero, and one coefficient for each of them."""
    check_nonnegative("eigenvalues", eigenvalues)
    check_finite("target_coefficients", target_coefficients)
    shapes = np.shape(eigenvalues), np.shape(target_coefficients)
    if min(map(len, shapes)) == 0 or shapes[0][-1] != shapes[1][-1]:
        raise ValueError(f"`eigenvalues` and `target_coefficients` must end in one axis of modes, got shapes {shapes}.")
    if is_concrete(eigenvalues) and not np.all(np.max(np.asarray(eigenvalues), axis=-1) > 0):
        raise ValueError("`eigenvalues` must hold a positive one.")


@jax.jit
def _ridge_general(*arrays: Array) -> SpectralRisk:
    formula = over_leading_axes(_ridge_of_one, "(),(),(p),(p),()->" + ",".join(["()"] * len(SpectralRisk._fields)))
    return SpectralRisk(*formula(*arrays))


def _ridge_of_one(count: Array, penalty: Array, values: Array, target: Array, sigma: Array) -> SpectralRisk:
    kappa = effective_ridge(values, count, count * penalty)
    positive, noise = values > 0, sigma**2
    divisor = jnp.where(positive, values + kappa, 1.0)
    learned, left = jnp.where(positive, values / divisor, 0.0), jnp.where(positive, kappa / divisor, 0.0)
    df1, df2 = jnp.sum(learned), jnp.sum(learned**2)
    rank = jnp.sum(positive)
    rho = ratio_or(penalty, kappa, jnp.maximum((count - rank) / count, 0.0))  # λ/κ = 1 − df₁/n
    free = rho + jnp.sum(learned * left) / count  # 1 − df₂/n
    bias = ratio_or(jnp.sum(values * (left * target) ** 2), free, 0.0)
    variance = ratio_or(noise * df2 / count, free, jnp.where(noise > 0, jnp.inf, 0.0))
    train = rho**2 * (bias + jnp.where(rho > 0, variance, 0.0) + noise)
    risk = risk_of(bias, variance, noise, train)
    gcv = ratio_or(train, rho**2, risk.test_error)
    return SpectralRisk(*risk, kappa=kappa, df1=df1, df2=df2, gcv=gcv)


def from_data(inputs: ArrayLike, labels: ArrayLike, *, center: bool = True) -> DataSpectrum:
    """Return spectrum, linear target and noise of a data set: the learning curve of ridge regression on parts of it.

    The rows stand for the population. s_i are the eigenvalues of their covariance, b the coefficients of least
    squares on all of them, σ² = ‖residual‖²/(N − number of fitted coefficients). What a linear function of the inputs
    does not explain counts as noise, whether it is noise or not.

    Scaling:
        Use it for n well below N. The prediction treats the inputs as if their whitened entries were independent.

    Args:
        inputs: X, (N, p), with more rows than columns.
        labels: y, (N,).
        center: subtract the means of columns and labels, as regression with an intercept does.

    Returns:
        Spectrum, coefficients and noise, for `ridge_general`.

    Raises:
        ValueError: shapes that do not fit, numbers that are not finite, too few rows to tell noise from target.

    Example:
        >>> import numpy as np
        >>> from dyntheory import closed_forms
        >>> rows = np.random.default_rng(0).normal(size=(1000, 5))
        >>> data = closed_forms.from_data(rows, rows @ np.arange(5.0))
        >>> bool(data.noise_std < 1e-12), round(float((data.target_coefficients**2).sum()), 9)
        (True, 30.0)
        >>> curve = closed_forms.ridge_general([20, 50], 0.1, **data._asdict())
    """
    rows, targets = _data("inputs", inputs, 2), _data("labels", labels, 1)
    if len(rows) != len(targets):
        raise ValueError(f"`inputs` and `labels` must have one length, got {len(rows)} and {len(targets)}.")
    if center:
        rows, targets = rows - rows.mean(axis=0), targets - targets.mean()
    left, singular, _ = np.linalg.svd(rows, full_matrices=False)
    kept = singular > max(rows.shape) * np.finfo(float).eps * singular.max(initial=0.0)
    num_free = len(rows) - int(kept.sum()) - int(center)
    if not kept.any() or num_free < 1:
        raise ValueError(
            f"`inputs` must vary and have more rows than independent columns, got {len(rows)} rows of rank "
            f"{int(kept.sum())}: noise and target cannot be told apart."
        )
    along = left.T @ targets
    residual = targets - left[:, kept] @ along[kept]
    coefficients = np.where(kept, along / np.where(kept, singular, 1.0), 0.0)
    values = np.where(kept, singular**2 / len(rows), 0.0)
    return DataSpectrum(values, coefficients, np.sqrt(residual @ residual / num_free))


def _data(name: str, value: ArrayLike, num_axes: int) -> np.ndarray:
    check_finite(name, value)
    array = np.asarray(value, dtype=float)
    if array.ndim != num_axes:
        raise ValueError(f"`{name}` must have {num_axes} axes, got shape {array.shape}.")
    return array

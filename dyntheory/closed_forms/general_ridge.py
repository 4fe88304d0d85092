"""Ridge regression for any covariance and target, by deterministic equivalents.

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

from dyntheory.closed_forms.effective_ridge import effective_ridge
from dyntheory.closed_forms.evaluation import evaluate, over_leading_axes, ratio_or
from dyntheory.closed_forms.least_squares import risk_of
from dyntheory.closed_forms.spectra import check_spectrum
from dyntheory.ground.arrays import Array, ArrayLike
from dyntheory.ground.checks import check_nonnegative, check_positive
from dyntheory.ground.kinds import check_arguments


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
    check_arguments(ridge_general, locals())
    check_positive("num_samples", num_samples)
    check_nonnegative("penalty", penalty)
    check_nonnegative("noise_std", noise_std)
    check_spectrum(eigenvalues, target_coefficients)
    return evaluate(_ridge_general, num_samples, penalty, eigenvalues, target_coefficients, noise_std, broadcast=False)


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

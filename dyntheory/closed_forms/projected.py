"""Ridge regression on random projections of correlated inputs: one error for every width, sample size and penalty.

The features are F x, with N rows of independent entries of variance 1/N and x of covariance eigenvalues s_i; the target
has the coefficients b_i along them. With df_q = Σ (s_i/(s_i + κ))^q and κ the root of

    λ = κ (1 − df₁/n)(1 − df₁/N)

few features act as few samples do. For n → ∞ and λ = 0 the test error is Σ s_i b_i² κ/(s_i + κ) with df₁ = N: what N
directions drawn at random leave of the target.

Reference: `simon2024more`, the eigenframework of random features; `atanasov2024scaling`.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from dyntheory.closed_forms.effective_ridge import effective_ridge, unused_count
from dyntheory.closed_forms.evaluation import evaluate, over_leading_axes, ratio_or
from dyntheory.closed_forms.general_ridge import SpectralRisk
from dyntheory.closed_forms.least_squares import risk_of
from dyntheory.closed_forms.spectra import check_spectrum
from dyntheory.ground.arrays import Array, ArrayLike
from dyntheory.ground.checks import check_nonnegative, check_positive
from dyntheory.ground.kinds import check_arguments


def projected_features(
    num_features: ArrayLike,
    num_samples: ArrayLike,
    penalty: ArrayLike,
    *,
    eigenvalues: ArrayLike,
    target_coefficients: ArrayLike,
    noise_std: ArrayLike = 0.0,
) -> SpectralRisk:
    """Return the risk of ridge regression on N random projections of inputs with a given spectrum.

    Minimises (1/n) ‖y − X Fᵀ a‖² + λ ‖a‖². More features than N → ∞ give `ridge_general`.

    Scaling:
        Accurate when n, N and the effective dimension are large; means over F, X and noise. Entries of F have variance
        1/N, so that E FᵀF is the identity.

    Args:
        num_features: N, positive.
        num_samples: n, positive.
        penalty: λ, zero or positive. At λ = 0 errors are infinite at n = N below the rank.
        eigenvalues: s_i, (..., p), zero or positive, one of them positive.
        target_coefficients: b_i, (..., p).
        noise_std: σ.

    Returns:
        The risk as of `ridge_general`, in the shape to which the arguments broadcast.

    Raises:
        ValueError: numbers outside their ranges, or lengths that differ.

    Example:
        >>> import numpy as np
        >>> from dyntheory import closed_forms
        >>> values, target = np.ones(100), np.full(100, 0.1)
        >>> few = closed_forms.projected_features(50, 1e9, 0.0, eigenvalues=values, target_coefficients=target)
        >>> round(float(few.test_error), 6)
        0.5

    Reference: `simon2024more`, section 4.
    """
    check_arguments(projected_features, locals())
    check_positive("num_features", num_features)
    check_positive("num_samples", num_samples)
    check_nonnegative("penalty", penalty)
    check_nonnegative("noise_std", noise_std)
    check_spectrum(eigenvalues, target_coefficients)
    arguments = num_features, num_samples, penalty, eigenvalues, target_coefficients, noise_std
    return evaluate(_projected, *arguments, broadcast=False)


@jax.jit
def _projected(*arrays: Array) -> SpectralRisk:
    outputs = ",".join(["()"] * len(SpectralRisk._fields))
    return SpectralRisk(*over_leading_axes(_risk, f"(),(),(),(p),(p),()->{outputs}")(*arrays))


def _risk(width: Array, count: Array, penalty: Array, values: Array, target: Array, sigma: Array) -> SpectralRisk:
    smaller, larger = jnp.minimum(width, count), jnp.maximum(width, count)
    kappa = effective_ridge(values, smaller, smaller * penalty, larger_count=larger)
    positive, noise, rank = values > 0, sigma**2, jnp.sum(values > 0)
    divisor = jnp.where(positive, values + kappa, 1.0)
    learned, left = jnp.where(positive, values / divisor, 0.0), jnp.where(positive, kappa / divisor, 0.0)
    df1, df2, mixed = jnp.sum(learned), jnp.sum(learned**2), jnp.sum(learned * left)
    ridge = ratio_or(smaller * penalty, kappa, 0.0)
    unused = jnp.where(kappa > 0, unused_count(ridge, smaller, larger), jnp.maximum(smaller - rank, 0.0))
    others = larger - smaller + unused
    rho = jnp.where(count <= width, unused, others) / count  # 1 − df₁/n
    idle = jnp.where(width < count, unused, others)  # N − df₁
    share = ratio_or(mixed, mixed + idle, 0.0)
    free = rho + idle * share / count
    bias = ratio_or(jnp.sum(values * target**2 * left * (left + learned * share)), free, 0.0)
    variance = ratio_or(noise * (mixed * share + df2) / count, free, jnp.where(noise > 0, jnp.inf, 0.0))
    train = rho**2 * (bias + jnp.where(rho > 0, variance, 0.0) + noise)
    risk = risk_of(bias, variance, noise, train)
    return SpectralRisk(*risk, kappa=kappa, df1=df1, df2=df2, gcv=ratio_or(train, rho**2, risk.test_error))

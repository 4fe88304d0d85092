"""Ridge regression on power laws: exponents and constants of the learning curve, and the best penalty.

s_i = i^{−α} with the capacity α > 1 and s_i b_i² = i^{−(1 + 2αr)} with the source r, infinitely many modes. With
C = (π/α)/sin(π/α) the ridgeless effective penalty is κ₀ = (C/n)^α. With a penalty λ, u = df₁/n solves
1 = u + (λ/κ₀)u^α, and

    κ = κ₀ u^{−α},    df₂/n = (1 − 1/α)u,    bias = A κ^{2r′}/(1 − df₂/n),    variance = σ²(df₂/n)/(1 − df₂/n),

where for r < 1 r′ = r, A = Γ(2 − 2r)Γ(2r)/α, and for r > 1 the bias saturates: r′ = 1, A = ζ(1 + 2α(r − 1)).
The best penalty balances both; with noise the excess error then falls as n^{−2αr′/(1 + 2αr′)}.

Reference: `cui2021generalization` for the exponents; the constants follow from the integrals of `ridge_general`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.closed_forms.evaluation import evaluate
from dyntheory.closed_forms.least_squares import risk_of
from dyntheory.ground.arrays import Array, ArrayLike
from dyntheory.ground.checks import check_nonnegative, check_positive, is_concrete
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.root_finding import find_root

PRECISION = {"num_bisections": 64, "num_polishes": 3}
SMALLEST_LOG = -300.0
BERNOULLI = (1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160, -691 / 1307674368000)  # B_{2j}/(2j)!
NUM_SUMMED = 20


class PowerLawRisk(NamedTuple):
    """Leading asymptotics at large n; arrays of one shape. The first nine as in `SpectralRisk`.

    Args:
        bias: excess error without noise.
        variance: what the noise adds to it.
        excess_error: bias + variance.
        test_error: excess error plus σ².
        train_error: (1/n)‖y − Xb‖².
        kappa: κ, the effective penalty.
        df1: Σ s/(s + κ).
        df2: Σ (s/(s + κ))².
        gcv: generalised cross-validation.
        penalty: λ, given or best.
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
    penalty: Any


def power_law(
    num_samples: ArrayLike,
    penalty: ArrayLike | None = None,
    *,
    capacity: ArrayLike,
    source: ArrayLike,
    noise_std: ArrayLike = 0.0,
) -> PowerLawRisk:
    """Return what ridge regression on a power law tends to at many samples.

    Scaling:
        Relative corrections vanish as n grows: as 1/n in κ, as n^{−2α(1 − r)} (for r below 1) or n^{−2α(r − 1)}
        (above) in the bias, so slowly beside r = 1.

    Args:
        num_samples: n, positive.
        penalty: λ, zero or positive; None is the best one, zero where no positive penalty helps.
        capacity: α > 1, decay of the eigenvalues.
        source: r > 0, smoothness of the target; not 1, where the bias has a logarithm.
        noise_std: σ.

    Returns:
        The risk with κ, degrees of freedom and λ, in the shape to which the arguments broadcast.

    Raises:
        ValueError: a number outside its range.

    Example:
        >>> from dyntheory import closed_forms
        >>> law = closed_forms.power_law([100, 1000], 0.0, capacity=2.0, source=0.5, noise_std=0.1)
        >>> law.variance.round(12).tolist()
        [0.01, 0.01]
        >>> best = closed_forms.power_law([1e8, 1e12], capacity=2.0, source=0.5, noise_std=0.1)
        >>> round(float(best.excess_error[0] / best.excess_error[1]), 1)  # n^(-2/3)
        464.2

    Reference: `cui2021generalization`.
    """
    check_arguments(power_law, locals())
    check_positive("num_samples", num_samples)
    check_nonnegative("noise_std", noise_std)
    check_positive("source", source)
    check_positive("capacity", capacity)
    if is_concrete(capacity) and not np.all(np.asarray(capacity) > 1):
        raise ValueError(f"`capacity` must be above 1, or the trace is infinite, got {capacity!r}.")
    if is_concrete(source) and np.any(np.asarray(source) == 1):
        raise ValueError(f"`source` must not be 1, where the bias has a logarithm, got {source!r}.")
    if penalty is None:
        return evaluate(_at_best_penalty, num_samples, capacity, source, noise_std)
    check_nonnegative("penalty", penalty)
    return evaluate(_at_penalty, num_samples, penalty, capacity, source, noise_std)


@jax.jit
def _at_penalty(count: Array, penalty: Array, alpha: Array, source: Array, sigma: Array) -> PowerLawRisk:
    bare = _ridgeless_kappa(count, alpha)
    relative = penalty / bare
    has_penalty = relative > 0
    held = jnp.where(has_penalty, relative, 1.0)
    upper = jnp.minimum(0.0, -jnp.log(held) / alpha)
    lower = jnp.minimum(-jnp.log(2.0), -jnp.log(2 * held) / alpha)

    def excess(logarithm: Array) -> Array:
        return jnp.exp(logarithm) + held * jnp.exp(alpha * logarithm) - 1

    root = find_root(excess, (lower, upper), **PRECISION)
    fraction = jnp.where(has_penalty, jnp.exp(root), 1.0)
    return _risk(count, fraction, relative * fraction**alpha, penalty, alpha, source, sigma)


@jax.jit
def _at_best_penalty(count: Array, alpha: Array, source: Array, sigma: Array) -> PowerLawRisk:
    bare = _ridgeless_kappa(count, alpha)
    order = jnp.minimum(source, 1.0)
    noise = (1 - 1 / alpha) * sigma**2 / (_amplitude(alpha, source) * bare ** (2 * order))

    def slope(logarithm: Array) -> Array:  # of log(test error) in log u, up to positive factors
        u, decay = jnp.exp(logarithm), 2 * alpha * order
        return noise * jnp.exp((1 + decay) * logarithm) - decay * (1 - u) - u * (2 * order - 1 + 1 / alpha)

    zero = jnp.zeros_like(count)
    is_inside = slope(zero) > 0
    root = jnp.where(is_inside, find_root(slope, (zero + SMALLEST_LOG, zero), **PRECISION), 0.0)
    fraction = jnp.exp(root)
    rho = -jnp.expm1(root)
    penalty = rho * bare * fraction**-alpha
    return _risk(count, fraction, rho, penalty, alpha, source, sigma)


def _risk(
    count: Array, fraction: Array, rho: Array, penalty: Array, alpha: Array, source: Array, sigma: Array
) -> PowerLawRisk:
    """Return all errors from u = df₁/n and ρ = λ/κ = 1 − u."""
    kappa, noise = _ridgeless_kappa(count, alpha) * fraction**-alpha, sigma**2
    free, taught = rho + fraction / alpha, (1 - 1 / alpha) * fraction
    bias = _amplitude(alpha, source) * kappa ** (2 * jnp.minimum(source, 1.0)) / free
    risk = risk_of(bias, noise * taught / free, noise, rho**2 * (bias + noise / free))
    return PowerLawRisk(*risk, kappa, count * fraction, count * taught, risk.test_error, penalty)


def _ridgeless_kappa(count: Array, alpha: Array) -> Array:
    """Return κ₀ = (C/n)^α, C = ∫ dx/(1 + x^α)."""
    sine = jnp.where(alpha < 2, jnp.sin(jnp.pi * (alpha - 1) / alpha), jnp.sin(jnp.pi / alpha))
    return (jnp.pi / (alpha * sine * count)) ** alpha


def _amplitude(alpha: Array, source: Array) -> Array:
    """Return A, so that κ² Σ s b²/(s + κ)² ≈ A κ^{2r′}; Γ(2 − 2r)Γ(2r) = πw/sin(πw) with w = 2r − 1."""
    rough = jnp.where(source < 1, source, 0.5)
    offset = 2 * rough - 1
    nearest = jnp.where(rough < 0.5, 2 * rough, 2 - 2 * rough)
    is_near = jnp.abs(offset) < 0.5
    safe = jnp.where(is_near, 0.5, nearest)
    gamma = jnp.where(
        is_near, 1 / jnp.sinc(jnp.where(is_near, offset, 0.0)), jnp.pi * jnp.abs(offset) / jnp.sin(jnp.pi * safe)
    )
    smooth = jnp.where(source > 1, 2 * alpha * (source - 1), 1.0)
    return jnp.where(source < 1, gamma / alpha, _zeta_above_one(smooth))


def _zeta_above_one(excess: Array) -> Array:
    """Return Riemann's ζ(1 + x) for x > 0 by the formula of Euler and Maclaurin; JAX's has no derivative."""
    order, last = 1 + excess, float(NUM_SUMMED)
    total = sum((float(k) ** -order for k in range(1, NUM_SUMMED)), jnp.zeros_like(excess))
    total = total + last**-excess / excess + last**-order / 2
    rising = order
    for j, coefficient in enumerate(BERNOULLI):
        total = total + coefficient * rising * last ** (-order - 2 * j - 1)
        rising = rising * (order + 2 * j + 1) * (order + 2 * j + 2)
    return total

"""LASSO in the proportional limit, and the state evolution of the soft thresholding that computes it.

The estimate is η(w + τZ; θ) in law, where w is a weight of the teacher and

    τ² = (σ² + E (η − w)²)/α,        θ = (λ + θ P(η ≠ 0))/α.

Both right sides are sums of positive terms; the condition number below is that of this fixed point.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory._checks import check_count, check_nonnegative, check_positive, is_concrete
from dyntheory._typing import Array, ArrayLike
from dyntheory.closed_forms.grid import over_grid
from dyntheory.closed_forms.soft_threshold import threshold_moments, upper_moments
from dyntheory.priors import GaussianMixture

NUM_BISECTIONS = 60
NUM_POLISHES = 4


class LassoRisk(NamedTuple):
    """Squared errors of LASSO and the scalar problem it is equivalent to.

    `effective_noise` is τ, `threshold` θ, `active_fraction` P(ŵ ≠ 0). `condition` is ‖(I − J)⁻¹‖ in the maximum norm,
    J the Jacobian of the fixed-point map in (log τ, log θ): relative errors of the map come out that much larger.
    """

    excess_error: Array
    test_error: Array
    train_error: Array
    effective_noise: Array
    threshold: Array
    active_fraction: Array
    condition: Array


class ThresholdingPath(NamedTuple):
    """State evolution along the last axis, t = 0 … T: τ_t and the squared error of the iterate x^t, x⁰ = 0."""

    effective_noise: Array
    excess_error: Array


def lasso(
    samples_per_feature: ArrayLike, *, penalty: ArrayLike, prior: GaussianMixture, noise_std: ArrayLike = 0.0
) -> LassoRisk:
    """Return the errors of LASSO on Gaussian features.

    Scaling:
        Minimises ½ |y − Xw/√d|² + λ Σ_j |w_j| with y = Xw*/√d + σξ, entries of X and w* of order one. scikit-learn's
        `Lasso(alpha=λ/n)` on X/√d is the same problem.

    Args:
        samples_per_feature: α = n/d, positive.
        penalty: λ, positive.
        prior: law of an entry of w*.
        noise_std: σ, zero or positive.

    Returns:
        Arrays of the broadcast shape.

    Raises:
        ValueError: a number outside its range.
        ArithmeticError: the fixed point was not found (NaN where traced).

    Example:
        >>> from dyntheory.priors import bernoulli_gauss
        >>> risk = lasso(0.5, penalty=0.2, prior=bernoulli_gauss(0.1), noise_std=0.1)
        >>> bool(risk.train_error < risk.test_error)
        True

    Reference: `bayati2012lasso`; their δ is our α, their λ our λ/α, their σ our σ/√α.
    """
    check_positive("samples_per_feature", samples_per_feature, "it is n/d")
    check_positive("penalty", penalty)
    check_nonnegative("noise_std", noise_std)
    _check_prior(prior)

    risk = over_grid(_risk, samples_per_feature, penalty, noise_std, held=(prior,))
    if is_concrete(risk.condition) and not np.all(np.isfinite(risk.condition)):
        raise ArithmeticError(
            "The fixed point was not found for some parameters: move `penalty` or `noise_std` a little."
        )
    return risk


def lasso_state_evolution(
    samples_per_feature: ArrayLike,
    *,
    threshold_ratio: ArrayLike,
    prior: GaussianMixture,
    noise_std: ArrayLike = 0.0,
    num_steps: int,
) -> ThresholdingPath:
    """Return the errors of approximate message passing with thresholds θ_t = ratio · τ_t, step by step.

    τ²_{t+1} = (σ² + E (η(w + τ_t Z; θ_t) − w)²)/α, from τ₀² = (σ² + E w²)/α.

    Scaling:
        That of `lasso`.

    Raises:
        ValueError: a number outside its range.

    Reference: `bayati2011dynamics`, `donoho2009message`; τ is theirs, their δ is our α, their σ our σ/√α.
    """
    check_positive("samples_per_feature", samples_per_feature, "it is n/d")
    check_positive("threshold_ratio", threshold_ratio)
    check_nonnegative("noise_std", noise_std)
    check_count("num_steps", num_steps)
    _check_prior(prior)

    return over_grid(_path(num_steps), samples_per_feature, threshold_ratio, noise_std, held=(prior,))


@functools.lru_cache(maxsize=32)
def _path(num_steps: int) -> Callable[..., ThresholdingPath]:
    def path(alpha: Array, ratio: Array, noise: Array, prior: GaussianMixture) -> ThresholdingPath:
        def step(error: Array, _: None) -> tuple[Array, tuple[Array, Array]]:
            tau = jnp.sqrt((noise**2 + error) / alpha)
            return threshold_moments(prior, tau, ratio * tau)[0], (tau, error)

        start = jnp.asarray(prior.second_moment, alpha.dtype)
        return ThresholdingPath(*jax.lax.scan(step, start, length=num_steps + 1)[1])

    return path


def _check_prior(prior: GaussianMixture) -> None:
    if not isinstance(prior, GaussianMixture):
        raise TypeError(
            f"`prior` must be a mixture of Gaussians, such as dyntheory.priors.bernoulli_gauss(0.1), got {prior!r}."
        )


def _map(point: Array, alpha: Array, penalty: Array, noise: Array, prior: GaussianMixture) -> Array:
    """Return the logarithm of the right sides at (log τ, log θ)."""
    tau, theta = jnp.exp(point[0]), jnp.exp(point[1])
    error, active = threshold_moments(prior, tau, theta)
    return jnp.stack([jnp.log((noise**2 + error) / alpha) / 2, jnp.log((penalty + theta * active) / alpha)])


def _bisect(is_above: Callable[[Array], Array], low: Array, high: Array) -> Array:
    def halve(_: int, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        middle = (ends[0] + ends[1]) / 2
        above = is_above(middle)
        return jnp.where(above, ends[0], middle), jnp.where(above, middle, ends[1])

    ends = jax.lax.fori_loop(0, NUM_BISECTIONS, halve, (low, high))
    return (ends[0] + ends[1]) / 2


def _calibrated(alpha: Array, penalty: Array, noise: Array, prior: GaussianMixture) -> Array:
    """Return (log τ, log θ) by nested bisection: λ grows with a = θ/τ > a_min, where E(|Z| − a_min)₊² = α.

    For given a, τ² lies between σ²/(α − M) and (σ² + E w²)/(α − M), M = E(|Z| − a)₊², and below λ/(1000 aα) it does
    not matter. The upper end diverges as a → a_min.
    """
    moment = jnp.asarray(prior.second_moment, alpha.dtype)

    def excess(a: Array) -> Array:
        return 2 * upper_moments(a)[2]

    edge = jnp.where(alpha < 1, _bisect(lambda a: excess(a) < alpha, jnp.zeros_like(alpha), 40 + 0 * alpha), 0.0)

    def log_tau(a: Array) -> Array:
        spare = jnp.maximum(alpha - excess(a), jnp.finfo(alpha.dtype).eps * alpha)
        high = jnp.log((noise**2 + moment) / spare) / 2 + 0.1
        low = jnp.log(jnp.maximum(noise / jnp.sqrt(alpha), 1e-3 * penalty / (a * alpha)))

        def too_large(x: Array) -> Array:
            tau = jnp.exp(x)
            return alpha * tau**2 > noise**2 + threshold_moments(prior, tau, a * tau)[0]

        return _bisect(too_large, jnp.minimum(low, high), high)

    def ratio_too_large(x: Array) -> Array:
        a = edge + jnp.exp(x)
        tau = jnp.exp(log_tau(a))
        return a * tau * (alpha - threshold_moments(prior, tau, a * tau)[1]) > penalty

    size = jnp.log(penalty / jnp.sqrt(alpha * (noise**2 + moment)))
    x = _bisect(ratio_too_large, jnp.minimum(size, 0.0) - 40, jnp.maximum(size, 0.0) + 7)
    a = edge + jnp.exp(x)
    tau = log_tau(a)
    return jnp.stack([tau, tau + jnp.log(a)])


def _risk(alpha: Array, penalty: Array, noise: Array, prior: GaussianMixture) -> LassoRisk:
    fixed = (alpha, penalty, noise, prior)
    start = jax.lax.stop_gradient(_calibrated(*jax.lax.stop_gradient(fixed)))
    point = start
    for _ in range(NUM_POLISHES):
        defect = jnp.eye(2) - jax.jacfwd(_map)(point, *fixed)
        point = point + jnp.linalg.solve(defect, _map(point, *fixed) - point)
    tau, theta = jnp.exp(point[0]), jnp.exp(point[1])
    error, active = threshold_moments(prior, tau, theta)
    inverse = jnp.linalg.inv(jnp.eye(2) - jax.jacfwd(_map)(point, *fixed))
    test = error + noise**2
    train = test * (penalty / (alpha * theta)) ** 2
    return LassoRisk(error, test, train, tau, theta, active, jnp.max(jnp.sum(jnp.abs(inverse), axis=1)))

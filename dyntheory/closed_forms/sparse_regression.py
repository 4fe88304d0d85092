"""LASSO in the proportional limit, and the state evolution of the soft thresholding that computes it.

The estimate is η(w + τZ; θ) in law, where w is a weight of the teacher and

    τ² = (σ² + E (η − w)²)/α,        θ = (λ + θ P(η ≠ 0))/α.

Both right sides are sums of positive terms; the condition number below is that of this fixed point.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.closed_forms.evaluation import evaluate, over_leading_axes
from dyntheory.closed_forms.soft_threshold import threshold_moments
from dyntheory.ground.arrays import Array, ArrayLike
from dyntheory.ground.checks import check_count, check_nonnegative, check_positive, is_concrete
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.root_finding import bisect
from dyntheory.problem.laws.priors import GaussianMixture

NUM_BISECTIONS = 64
NUM_POLISHES = 4
LARGEST_RESIDUAL = 1e-9  # of the logarithms of the equations, where Newton's method has to end


class LassoRisk(NamedTuple):
    """Squared errors of LASSO and the scalar problem it is equivalent to.

    `effective_noise` is τ, `threshold` θ, `active_fraction` P(ŵ ≠ 0). `condition` is ‖(I − J)⁻¹‖ in the maximum norm,
    J the Jacobian of the fixed-point map in (log τ, log θ): relative errors of the map come out that much larger.
    """

    excess_error: Any
    test_error: Any
    train_error: Any
    effective_noise: Any
    threshold: Any
    active_fraction: Any
    condition: Any


class StateEvolution(NamedTuple):
    """Message passing along the last axis, t = 0 … T: τ_t and the squared error of the iterate x^t, x⁰ = 0."""

    effective_noise: Any
    excess_error: Any


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
        prior: law of an entry of w*; leading axes of its arrays broadcast with the other arguments.
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
    check_arguments(lasso, locals())
    check_positive("samples_per_feature", samples_per_feature, "it is n/d")
    check_positive("penalty", penalty)
    check_nonnegative("noise_std", noise_std)
    check_mixture(prior)

    law = prior.probabilities, prior.means, prior.stds
    risk = LassoRisk(*evaluate(_risks, samples_per_feature, penalty, noise_std, *law, broadcast=False))
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
) -> StateEvolution:
    """Return the errors of approximate message passing with thresholds θ_t = ratio · τ_t, step by step.

    τ²_{t+1} = (σ² + E (η(w + τ_t Z; θ_t) − w)²)/α, from τ₀² = (σ² + E w²)/α.

    Scaling:
        That of `lasso`.

    Raises:
        ValueError: a number outside its range.

    Reference: `bayati2011dynamics`, `donoho2009message`; τ is theirs, their δ is our α, their σ our σ/√α.
    """
    check_arguments(lasso_state_evolution, locals())
    check_positive("samples_per_feature", samples_per_feature, "it is n/d")
    check_positive("threshold_ratio", threshold_ratio)
    check_nonnegative("noise_std", noise_std)
    num_steps = check_count("num_steps", num_steps)
    check_mixture(prior)

    law = prior.probabilities, prior.means, prior.stds
    formula = functools.partial(_paths, num_steps=num_steps)
    return evaluate(formula, samples_per_feature, threshold_ratio, noise_std, *law, broadcast=False)


@functools.partial(jax.jit, static_argnames="num_steps")
def _paths(*arrays: Array, num_steps: int) -> StateEvolution:
    def path(alpha: Array, ratio: Array, noise: Array, *law: Array) -> tuple[Array, Array]:
        prior = GaussianMixture(*law)

        def step(error: Array, _: None) -> tuple[Array, tuple[Array, Array]]:
            tau = jnp.sqrt((noise**2 + error) / alpha)
            return threshold_moments(prior, tau, ratio * tau)[0], (tau, error)

        return jax.lax.scan(step, jnp.asarray(prior.second_moment, alpha.dtype), length=num_steps + 1)[1]

    return StateEvolution(*over_leading_axes(path, "(),(),(),(k),(k),(k)->(t),(t)")(*arrays))


def check_mixture(prior: object) -> None:
    """Require a mixture of Gaussians."""
    if not isinstance(prior, GaussianMixture):
        raise TypeError(
            f"`prior` must be a mixture of Gaussians, such as dyntheory.priors.bernoulli_gauss(0.1), got {prior!r}."
        )


class _Linearised(NamedTuple):
    """The fixed-point map at a point (log τ, log θ), its Jacobian taken from I, and the two moments in it."""

    value: Array
    defect: Array
    error: Array
    active: Array


def _linearise(point: Array, alpha: Array, penalty: Array, noise: Array, prior: GaussianMixture) -> _Linearised:
    def right_sides(point: Array) -> tuple[Array, tuple[Array, Array, Array]]:
        tau, theta = jnp.exp(point[0]), jnp.exp(point[1])
        error, active = threshold_moments(prior, tau, theta)
        value = jnp.stack([jnp.log((noise**2 + error) / alpha) / 2, jnp.log((penalty + theta * active) / alpha)])
        return value, (value, error, active)

    jacobian, (value, error, active) = jax.jacfwd(right_sides, has_aux=True)(point)
    return _Linearised(value, jnp.eye(2) - jacobian, error, active)


def _saddle(alpha: Array, penalty: Array, noise: Array, prior: GaussianMixture) -> Array:
    """Return (log τ, log θ) by nested bisection of the convex–concave problem whose saddle the fixed point is.

    min_τ max_β  β(σ²/τ + ατ)/2 − β²/2 + E min_u [β(u − w)²/(2τ) − βZ(u − w) + λ|u|],      θ = λτ/β.

    Its slope in β is (σ² + E (η − w)²)/(2τ) + ατ/2 − τP(η ≠ 0) − β, that in τ has the sign of ατ² − σ² − E (η − w)².
    In the other order, τ at a given ratio θ/τ, point masses leave nothing to bisect: there E (η − w)²/τ² is constant
    up to e^{−1/τ²}.
    """
    scale = jnp.sqrt(noise**2 + jnp.asarray(prior.second_moment, alpha.dtype))
    farthest = jnp.max(jnp.abs(jnp.asarray(prior.means)) + 40 * jnp.asarray(prior.stds))

    def log_threshold(x: Array) -> Array:
        tau = jnp.exp(x)

        def beta_too_small(y: Array) -> Array:
            theta = jnp.exp(y)
            error, active = threshold_moments(prior, tau, theta)
            return (noise**2 + error) / (2 * tau) + alpha * tau / 2 - tau * active > penalty * tau / theta

        largest_beta = (noise**2 + 2 * scale**2) / (2 * tau) + (1 + alpha / 2) * tau
        low = jnp.log(penalty) + x - jnp.log(largest_beta)
        high = jnp.log(jnp.maximum(farthest + 40 * tau, 2 * penalty / alpha))
        return bisect(beta_too_small, (low - 0.1, high + 0.1), num_steps=NUM_BISECTIONS)

    def tau_too_large(x: Array) -> Array:
        tau = jnp.exp(x)
        error, _ = threshold_moments(prior, tau, jnp.exp(log_threshold(x)))
        return alpha * tau**2 > noise**2 + error

    smallest = jnp.minimum(1e-9 * penalty / alpha, 1e-3 * scale / jnp.sqrt(alpha))
    smallest = jnp.maximum(smallest, 0.9 * noise / jnp.sqrt(alpha))
    ends = jnp.log(smallest), jnp.log(scale / jnp.sqrt(alpha)) + 35
    x = bisect(tau_too_large, ends, num_steps=NUM_BISECTIONS)
    return jnp.stack([x, log_threshold(x)])


def _risk(alpha: Array, penalty: Array, noise: Array, *law: Array) -> tuple[Array, ...]:
    fixed = (alpha, penalty, noise, GaussianMixture(*law))

    def polish(point: Array, _: None) -> tuple[Array, None]:
        here = _linearise(point, *fixed)
        return point + jnp.linalg.solve(here.defect, here.value - point), None

    start = jax.lax.stop_gradient(_saddle(*jax.lax.stop_gradient(fixed)))
    point = jax.lax.scan(polish, start, length=NUM_POLISHES)[0]
    here = _linearise(point, *fixed)
    is_solution = jnp.max(jnp.abs(jax.lax.stop_gradient(here.value - point))) < LARGEST_RESIDUAL
    tau, theta = jnp.exp(point[0]), jnp.exp(point[1])
    condition = jnp.max(jnp.sum(jnp.abs(jnp.linalg.inv(here.defect)), axis=1))
    test = here.error + noise**2
    train = test * (penalty / (alpha * theta)) ** 2
    fields = here.error, test, train, tau, theta, here.active, condition
    return tuple(jnp.where(is_solution, field, jnp.nan) for field in fields)


_risks = jax.jit(over_leading_axes(_risk, "(),(),(),(k),(k),(k)->(),(),(),(),(),(),()"))

"""State evolution of Bayes-optimal message passing, and the smallest squared error it is made of.

mmse(v) = E Var(w | w + √v ξ) is integrated over the law of the observation, a mixture of Gaussians with the standard
deviations S_k = √(s_k² + v), by Gauss–Legendre panels. Their ends stand at fixed multiples of every S_k around m_k and
around the point where two neighbouring components are equally likely, at fixed multiples of S_j S_k/|m_j − m_k|, the
width over which one posterior hands over to the next.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp

from dyntheory.closed_forms.evaluation import evaluate, over_leading_axes
from dyntheory.closed_forms.panel_rules import mirrored, panel_rule
from dyntheory.closed_forms.sparse_regression import StateEvolution, check_mixture
from dyntheory.ground.arrays import Array, ArrayLike
from dyntheory.ground.checks import check_count, check_nonnegative, check_positive
from dyntheory.ground.kinds import check_arguments
from dyntheory.problem.laws.priors import GaussianMixture

AROUND = mirrored((0.4, 0.8, 1.2, 1.6, 2, 2.5, 3, 3.5, 4, 4.5, 5, 5.75, 6.5, 7.25, 8, 9, 10, 11.5, 13))
BETWEEN = mirrored((0.7, 1.4, 2.1, 2.8, 4, 6, 8, 12, 16, 24, 36))
SMALLEST = 1e-200  # a noise variance below which the error is zero in double precision


def bayes_state_evolution(
    samples_per_feature: ArrayLike, *, prior: GaussianMixture, noise_std: ArrayLike = 0.0, num_steps: int
) -> StateEvolution:
    """Return the errors of Bayes-optimal approximate message passing, step by step.

    τ²_{t+1} = (σ² + mmse(τ_t²))/α from τ₀² = (σ² + E w²)/α, where mmse(v) = E Var(w | w + √v ξ).

    Scaling:
        y = Xw*/√d + σξ with entries of X and w* of order one; `dyntheory.bayes_amp(prior)` is the algorithm.

    Args:
        samples_per_feature: α = n/d, positive.
        prior: law of an entry of w*; leading axes of its arrays broadcast with the other arguments.
        noise_std: σ, zero or positive.
        num_steps: T.

    Returns:
        τ_t and the squared error of the t-th estimate, t = 0 … T, along the last axis.

    Raises:
        TypeError: `prior` is no mixture of Gaussians.
        ValueError: a number outside its range.

    Example:
        >>> from dyntheory.priors import gaussian
        >>> path = bayes_state_evolution(2.0, prior=gaussian(), noise_std=1.0, num_steps=60)
        >>> round(float(path.excess_error[-1]), 12)  # the root of e = v/(1 + v), v = (1 + e)/2
        0.414213562373

    Reference: `donoho2010message`; `bayati2011dynamics`; their δ is our α, their σ our σ/√α.
    """
    check_arguments(bayes_state_evolution, locals())
    check_positive("samples_per_feature", samples_per_feature, "it is n/d")
    check_nonnegative("noise_std", noise_std)
    count = check_count("num_steps", num_steps, minimum=0)
    check_mixture(prior)

    law = prior.probabilities, prior.means, prior.stds
    formula = functools.partial(_paths, num_steps=count)
    return evaluate(formula, samples_per_feature, noise_std, *law, broadcast=False)


@functools.partial(jax.jit, static_argnames="num_steps")
def _paths(*arrays: Array, num_steps: int) -> StateEvolution:
    def path(alpha: Array, noise: Array, *law: Array) -> tuple[Array, Array]:
        mixture = GaussianMixture(*law)

        def step(error: Array, _: None) -> tuple[Array, tuple[Array, Array]]:
            variance = (noise**2 + error) / alpha
            return smallest_error(mixture, variance), (jnp.sqrt(variance), error)

        return jax.lax.scan(step, jnp.asarray(mixture.second_moment, alpha.dtype), length=num_steps + 1)[1]

    return StateEvolution(*over_leading_axes(path, "(),(),(k),(k),(k)->(t),(t)")(*arrays))


def smallest_error(prior: GaussianMixture, noise_variance: Array) -> Array:
    """Return E Var(w | w + √noise_variance · ξ), to rounding where it is above 1e-20 E w²."""
    is_seen = noise_variance > SMALLEST
    variance = jnp.where(is_seen, noise_variance, 1.0)
    y, weights = panel_rule(*jax.lax.stop_gradient(_panels(prior, variance)))
    density = jnp.exp(prior.log_density(y, variance))
    total = jnp.sum(weights * density * prior.posterior_variance(y, variance))
    return jnp.where(is_seen, total, 0.0)


def _panels(prior: GaussianMixture, variance: Array) -> tuple[Array, Array, Array]:
    """Return where the panels end, and the ends of all."""
    order = jnp.argsort(jnp.asarray(prior.means))
    m, s = jnp.asarray(prior.means)[order], jnp.asarray(prior.stds)[order]
    weight = jnp.log(jnp.asarray(prior.probabilities)[order])
    spread = jnp.sqrt(s**2 + variance)
    ends = [m[:, None] + spread[:, None] * jnp.asarray(AROUND, spread.dtype)[None]]
    if len(m) > 1:
        gap = m[1:] - m[:-1]
        apart = jnp.where(gap > 0, gap, 1.0)
        product = spread[1:] * spread[:-1]
        odds = jnp.clip(weight[1:] - weight[:-1], -700.0, 700.0)
        middle = (m[1:] * spread[:-1] + m[:-1] * spread[1:]) / (spread[1:] + spread[:-1]) - product * odds / apart
        width = jnp.where(gap > 0, product / apart, 0.0)
        between = jnp.asarray(BETWEEN, spread.dtype)
        handover = middle[:, None] + width[:, None] * between[None]
        ends.append(jnp.where(gap[:, None] > 0, handover, m[:-1, None]))
    everything = jnp.concatenate([part.reshape(-1) for part in ends])
    low, high = jnp.min(m - AROUND[-1] * spread), jnp.max(m + AROUND[-1] * spread)
    return everything, low, high

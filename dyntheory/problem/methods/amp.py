"""Approximate message passing for linear observations y = X w*/√d + σ ξ: LASSO-AMP and Bayes-AMP.

    r^t = y − h^t + b_t r^{t−1}        w^{t+1} = η(w^t + p^t/α, τ̂_t),  p^t = Xᵀ r^t/√d

with τ̂_t² = mean_i (r_i^t)²/α and the Onsager coefficient b_{t+1} = (1/α) mean_j η'(w_j^t + p_j^t/α). Both numbers are
means over rows that the method takes itself, in a simulation as in the limit, where w^t + p^t/α is the teacher's entry
plus τ_t times a standard normal. The estimate starts at zero.

Reference: `donoho2009message`; `bayati2011dynamics`.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from dyntheory.ground.arrays import Array, Number, PyTree
from dyntheory.ground.checks import check_positive, check_scalar
from dyntheory.ground.kinds import check_arguments
from dyntheory.problem.laws.priors import Prior
from dyntheory.problem.methods.amp_template import known_numbers, message_passing
from dyntheory.problem.methods.method import GeneralFirstOrderMethod
from dyntheory.problem.networks.losses import LOSSES

Denoiser = Callable[[Array, Array, PyTree], Array]


def lasso_amp(threshold: Number) -> GeneralFirstOrderMethod:
    """Estimate a sparse signal by AMP with the soft threshold η(x, τ) = sign(x) (|x| − κ τ)₊.

    Its fixed point is the LASSO: with θ = κ τ and b the Onsager coefficient there, w minimises
    (1/2n) ‖y − X w/√d‖² + (λ/d) ‖w‖₁ at λ = θ (1 − b). In scikit-learn's `Lasso(alpha)` on X, alpha = λ/√d.

    Args:
        threshold: κ, positive, in units of the effective noise τ̂; data.

    Raises:
        TypeError: not a number.
        ValueError: not positive.

    Example:
        >>> import jax, dyntheory as dt
        >>> law = dt.TeacherStudent(0.5, teacher_prior=dt.priors.bernoulli_gauss(0.1))
        >>> theory = dt.predict(law, dt.lasso_amp(1.5), num_steps=8, key=jax.random.key(0))
        >>> bool(theory.test_error[-1] < 0.03)
        True

    Reference: `bayati2012lasso`, Theorem 1.5; `donoho2009message`.
    """
    check_arguments(lasso_amp, locals())
    check_scalar("threshold", threshold)
    check_positive("threshold", threshold)
    return _with_numbers(_soft_threshold, "LASSO-AMP", {"threshold": threshold})


def bayes_amp(prior: Prior) -> GeneralFirstOrderMethod:
    """Estimate a signal by AMP with the posterior mean of its prior, η(x, τ) = E[X | X + τ Z = x].

    Args:
        prior: of the teacher's entries, one of `dyntheory.priors`; its numbers are data. The law has a
            `teacher_prior` of its own: where they differ the estimate is mismatched.

    Raises:
        TypeError: not a prior.

    Reference: `donoho2010message`.
    """
    check_arguments(bayes_amp, locals())
    if isinstance(prior, type) or not isinstance(prior, Prior):
        raise TypeError(f"`prior` must be one of `dyntheory.priors`, such as rademacher(), got {prior!r}.")
    return _with_numbers(_posterior_mean, f"Bayes-AMP with {type(prior).__name__}", {"prior": prior})


def _soft_threshold(x: Array, tau: Array, numbers: PyTree) -> Array:
    threshold = numbers["threshold"] * tau
    return jnp.where(x > threshold, x - threshold, jnp.where(x < -threshold, x + threshold, 0.0))


def _posterior_mean(x: Array, tau: Array, numbers: PyTree) -> Array:
    # Without noise the posterior mean is the observation itself; the floor keeps its quotients finite.
    variance = jnp.maximum(jnp.square(tau), jnp.finfo(x.dtype).tiny ** 0.25)
    return numbers["prior"].posterior_mean(x, variance)


@dataclasses.dataclass(frozen=True)
class _Maps:
    """The row-wise maps for one denoiser (x, τ, numbers) -> value."""

    denoiser: Denoiser

    def init_shared(self, head: PyTree, samples_per_feature: Array, hyperparameters: PyTree) -> PyTree:
        """Return α, the numbers, and no memory yet."""
        del head
        known = known_numbers(samples_per_feature, hyperparameters)
        return {**known, "onsager": jnp.zeros(()), "tau": jnp.zeros(())}

    def sample_map(
        self, state: PyTree, h: Array, label: Array, shared: PyTree, u: Array
    ) -> tuple[PyTree, Array, PyTree]:
        """Return r = y − h + b r⁻ and r²."""
        del u
        residual = label - h[0] + shared["onsager"] * state
        return residual, residual[None], {"square": jnp.square(residual)}

    def after_samples(self, shared: PyTree, mean_stats: PyTree) -> PyTree:
        """Estimate the effective noise τ̂."""
        return {**shared, "tau": jnp.sqrt(mean_stats["square"] / shared["samples_per_feature"])}

    def feature_map(self, state: PyTree, p: Array, shared: PyTree, u: Array) -> tuple[PyTree, Array, PyTree]:
        """Return η(w + p/α, τ̂) and its slope."""
        del u
        observed = state[0] + p[0] / shared["samples_per_feature"]
        value, slope = jax.value_and_grad(self.denoiser)(observed, shared["tau"], shared["numbers"])
        return value[None], value[None], {"slope": slope}

    def after_features(self, shared: PyTree, mean_stats: PyTree) -> PyTree:
        """Set the Onsager coefficient for the next residual."""
        return {**shared, "onsager": mean_stats["slope"] / shared["samples_per_feature"]}


def _with_numbers(denoiser: Denoiser, name: str, numbers: dict[str, Any]) -> GeneralFirstOrderMethod:
    return dataclasses.replace(_template(denoiser, name), hyperparameters=numbers)


@functools.cache
def _template(denoiser: Denoiser, name: str) -> GeneralFirstOrderMethod:
    # The mean slope of a soft threshold counts the entries beyond it: nodes cross it, and a derivative misses that.
    is_kinked = denoiser is _soft_threshold
    return message_passing(_Maps(denoiser), name, LOSSES["squared"], smooth=True, has_kink=is_kinked)

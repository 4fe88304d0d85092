"""Laws of the entries of a teacher or a signal: quantiles, second moments, posterior means in Gaussian noise.

Linear algorithms see second moments only. Thresholds, signs and Bayes-optimal denoisers see the law itself, so feature
nodes and simulations draw their teachers from it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr, ndtri

from dyntheory._checks import check_nonnegative, check_positive, check_scalar, is_concrete
from dyntheory._typing import Array, Number

GRID = np.linspace(-8.2, 8.2, 4096)  # normal coordinates of a trapezoidal rule; 1 − Φ(8.2) is still above rounding
GRID_WEIGHTS = np.exp(-0.5 * GRID**2) / np.exp(-0.5 * GRID**2).sum()


@runtime_checkable
class Prior(Protocol):
    """The law of one entry."""

    @property
    def second_moment(self) -> Array:
        """E X²."""
        ...

    def quantile(self, u: Array) -> Array:
        """Return the value below which a part u of the entries lies, entry by entry."""
        ...

    def posterior_mean(self, observed: Array, noise_variance: Array) -> Array:
        """Return E[X | X + √v Z = observed] for noise variances v > 0, entry by entry."""
        ...


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class GaussianPrior:
    """Entries N(0, variance).

    Args:
        variance: zero or positive.
    """

    variance: Number = 1.0

    def __post_init__(self) -> None:
        check_scalar("variance", self.variance)
        check_nonnegative("variance", self.variance)

    @property
    def second_moment(self) -> Array:
        """E X²."""
        return jnp.asarray(self.variance, float)

    def quantile(self, u: Array) -> Array:
        """Return √variance Φ⁻¹(u)."""
        return jnp.sqrt(self.second_moment) * ndtri(u)

    def posterior_mean(self, observed: Array, noise_variance: Array) -> Array:
        """Return the observed value times variance/(variance + v)."""
        return observed * self.second_moment / (self.second_moment + noise_variance)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class BernoulliGauss:
    """Entries that are zero but for a part `density`, which is N(0, variance): a sparse signal.

    Args:
        density: ε in (0, 1].
        variance: of the entries that are not zero, positive.

    Raises:
        ValueError: a number outside its range.

    Example:
        >>> round(float(BernoulliGauss(density=0.2, variance=2.0).second_moment), 6)
        0.4

    Reference: `donoho2009message`, as a sparse signal.
    """

    density: Number
    variance: Number = 1.0

    def __post_init__(self) -> None:
        check_scalar("density", self.density)
        check_scalar("variance", self.variance)
        check_positive("variance", self.variance)
        if is_concrete(self.density) and not 0 < float(self.density) <= 1:
            raise ValueError(f"`density` must be in (0, 1], it is a part of the entries, got {self.density}.")

    @property
    def second_moment(self) -> Array:
        """E X² = ε variance."""
        return jnp.asarray(self.density, float) * self.variance

    def quantile(self, u: Array) -> Array:
        """Return the Gaussian quantile of the part below zero or above it, zero between."""
        low, high = 0.5 * self.density, 1.0 - 0.5 * self.density
        inner = jnp.where(u < low, u, jnp.where(u > high, u - (1.0 - self.density), low)) / self.density
        return jnp.where((u < low) | (u > high), jnp.sqrt(jnp.asarray(self.variance, float)) * ndtri(inner), 0.0)

    def posterior_mean(self, observed: Array, noise_variance: Array) -> Array:
        """Return π(r) r variance/(variance + v), π(r) the posterior probability that the entry is not zero."""
        total = self.variance + noise_variance
        log_odds = (
            jnp.log(self.density)
            - jnp.log1p(-self.density)
            + 0.5 * jnp.log(noise_variance / total)
            + 0.5 * jnp.square(observed) * (1.0 / noise_variance - 1.0 / total)
        )
        return jax.nn.sigmoid(log_odds) * observed * self.variance / total


@dataclasses.dataclass(frozen=True)
class Rademacher:
    """Entries ±1 with equal probability."""

    @property
    def second_moment(self) -> Array:
        """E X² = 1."""
        return jnp.ones(())

    def quantile(self, u: Array) -> Array:
        """Return the sign of u − ½."""
        return jnp.where(u < 0.5, -1.0, 1.0)

    def posterior_mean(self, observed: Array, noise_variance: Array) -> Array:
        """Return tanh(r/v)."""
        return jnp.tanh(observed / noise_variance)


jax.tree_util.register_static(Rademacher)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Laplace:
    """Entries with density exp(−|x|/scale)/(2 scale).

    Args:
        scale: positive; E X² = 2 scale².
    """

    scale: Number = 1.0

    def __post_init__(self) -> None:
        check_scalar("scale", self.scale)
        check_positive("scale", self.scale)

    @property
    def second_moment(self) -> Array:
        """E X² = 2 scale²."""
        return 2.0 * jnp.square(jnp.asarray(self.scale, float))

    def quantile(self, u: Array) -> Array:
        """Return ∓ scale log(2 min(u, 1 − u))."""
        tail = -self.scale * jnp.log(2.0 * jnp.minimum(u, 1.0 - u))
        return jnp.where(u < 0.5, -tail, tail)

    def posterior_mean(self, observed: Array, noise_variance: Array) -> Array:
        """Return r − v/scale · (the posterior probability that X > 0 minus that of X < 0)."""
        noise = jnp.sqrt(noise_variance)
        shift = noise_variance / self.scale
        # log of e^{∓ r/scale} Φ((±r − shift)/noise), the weights of X > 0 and X < 0 but for a common factor.
        above = -observed / self.scale + jax.scipy.special.log_ndtr((observed - shift) / noise)
        below = observed / self.scale + jax.scipy.special.log_ndtr((-observed - shift) / noise)
        both = jnp.logaddexp(above, below)
        pdf = jnp.exp(-0.5 * jnp.square((observed - shift) / noise) - observed / self.scale - both)
        other = jnp.exp(-0.5 * jnp.square((observed + shift) / noise) + observed / self.scale - both)
        edge = noise * (pdf - other) / jnp.sqrt(2.0 * jnp.pi)
        return jnp.exp(above - both) * (observed - shift) + jnp.exp(below - both) * (observed + shift) + edge


@dataclasses.dataclass(frozen=True)
class QuantilePrior:
    """Any law, given by its quantile function; moments and posterior means by quadrature over 4096 of them.

    Args:
        function: JAX function u -> value, applied entry by entry, non-decreasing.

    Example:
        >>> import jax.numpy as jnp
        >>> round(float(QuantilePrior(lambda u: jnp.where(u < 0.75, 0.0, 2.0)).second_moment), 6)
        1.0
    """

    function: Callable[[Array], Array]

    def _support(self) -> Array:
        return self.function(standard_uniforms(jnp.asarray(GRID)))

    @property
    def second_moment(self) -> Array:
        """E X², by quadrature."""
        return jnp.asarray(GRID_WEIGHTS) @ jnp.square(self._support())

    def quantile(self, u: Array) -> Array:
        """Return the function's value."""
        return self.function(u)

    def posterior_mean(self, observed: Array, noise_variance: Array) -> Array:
        """Return the mean over the quantiles, weighted by their likelihoods."""
        support = self._support()

        def one(value: Array, variance: Array) -> Array:
            log_likelihood = -0.5 * jnp.square(value - support) / variance
            return jax.nn.softmax(jnp.log(GRID_WEIGHTS) + log_likelihood) @ support

        return jnp.vectorize(one)(observed, noise_variance)


jax.tree_util.register_static(QuantilePrior)


def standard_uniforms(normals: Array) -> Array:
    """Return Φ(z), kept inside (0, 1) so that every quantile is finite."""
    tiny = jnp.finfo(normals.dtype).eps / 2
    return jnp.clip(ndtr(normals), tiny, 1.0 - tiny)

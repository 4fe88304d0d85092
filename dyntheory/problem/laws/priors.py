"""Laws of one weight of a teacher or a signal: quantiles, second moments, posterior means in Gaussian noise.

Linear algorithms see second moments only. Thresholds, signs and Bayes-optimal denoisers see the law itself, so feature
nodes and simulations draw their teachers from it. Finite mixtures of Gaussians cover sparse, discrete and Gaussian laws
exactly; the Laplace law is a continuous mixture over variances, discretised by the double exponential rule to rounding.
`QuantilePrior` is any other law.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Annotated, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr

from dyntheory.ground.arrays import Array, ArrayLike, Key, Number
from dyntheory.ground.checks import check_finite, check_nonnegative, check_positive, is_concrete
from dyntheory.ground.elementwise import check_elementwise
from dyntheory.ground.identity.factory import known_by_arguments
from dyntheory.ground.kinds import check_arguments, check_fields
from dyntheory.ground.pytrees import register_data
from dyntheory.ground.storage.marks import Axes, storable
from dyntheory.problem.laws.mixture_nodes import mass_ratio, mixture_cdf, mixture_quantile
from dyntheory.problem.laws.quantile_moment import QuantileMoment, quantile_moment

LAPLACE_STEP, LAPLACE_RANGE = 0.1, (-4.6, 4.2)
GRID = np.linspace(-8.2, 8.2, 4096)  # normal coordinates of a trapezoidal rule; 1 − Φ(8.2) is still above rounding
GRID_WEIGHTS = np.exp(-0.5 * GRID**2) / np.exp(-0.5 * GRID**2).sum()


@runtime_checkable
class Prior(Protocol):
    """The law of one weight w."""

    @property
    def second_moment(self) -> Array:
        """E w²."""
        ...

    def quantile(self, u: ArrayLike) -> Array:
        """Return the smallest w with P(≤ w) ≥ u, entry by entry, for u inside (0, 1)."""
        ...

    def posterior_mean(self, y: ArrayLike, noise_variance: Number) -> Array:
        """Return E[w | w + √noise_variance · ξ = y], entry by entry."""
        ...


@storable
@register_data
@dataclasses.dataclass(frozen=True)
class GaussianMixture:
    """The law Σ_k p_k N(m_k, s_k²); s_k = 0 is a point mass.

    Gaussian noise turns such a mixture into another one, so posterior means and every expectation that message passing
    needs are sums over its components.

    Args:
        probabilities: p_k, positive, with sum 1, shape (K,).
        means: m_k.
        stds: s_k, zero or positive.

    Raises:
        ValueError: a number outside its range, different shapes, probabilities that do not sum to one.

    Example:
        >>> float(bernoulli_gauss(0.25, std=2.0).second_moment)
        1.0
    """

    probabilities: Annotated[ArrayLike, Axes("component")]
    means: Annotated[ArrayLike, Axes("component")]
    stds: Annotated[ArrayLike, Axes("component")]

    def __post_init__(self) -> None:
        check_fields(self)
        fields = (self.probabilities, self.means, self.stds)
        if not all(map(is_concrete, fields)):
            return
        check_nonnegative("probabilities", self.probabilities)
        check_finite("means", self.means)
        check_nonnegative("stds", self.stds)
        if len({np.shape(field) for field in fields}) > 1 or np.ndim(self.means) == 0:
            raise ValueError(
                "`probabilities`, `means` and `stds` must be three arrays of one shape (K,), got "
                f"{[np.shape(f) for f in fields]}."
            )
        total = np.sum(np.asarray(self.probabilities), axis=-1)
        if np.any(np.abs(total - 1) > 1e-6):
            raise ValueError(f"`probabilities` must sum to 1, got a sum of {total}.")

    def _components(self) -> tuple[Array, Array, Array]:
        return jnp.asarray(self.probabilities), jnp.asarray(self.means), jnp.asarray(self.stds)

    @property
    def second_moment(self) -> Array:
        """E w², a scalar."""
        p, m, s = self._components()
        return jnp.sum(p * (m**2 + s**2))

    def cdf(self, value: Array) -> Array:
        """Return P(w ≤ value)."""
        return mixture_cdf(*self._components(), jnp.asarray(value))

    def quantile(self, u: ArrayLike) -> Array:
        """Return the smallest w with P(≤ w) ≥ u, for u inside (0, 1); values of point masses come out exactly."""
        return mixture_quantile(*self._components(), jnp.asarray(u))

    def on_nodes(self, u: ArrayLike) -> tuple[Array, Array]:
        """Return quantiles, and what a node's weight is multiplied with: one, with derivatives in the probabilities."""
        p, m, s = self._components()
        values = mixture_quantile(jax.lax.stop_gradient(p), m, s, jnp.asarray(u))
        return values, mass_ratio(p, m, s, values)

    def sample(self, key: Key, shape: tuple[int, ...]) -> Array:
        """Draw independent weights."""
        p, m, s = self._components()
        which, noise = jax.random.split(key)
        component = jax.random.choice(which, len(m), shape, p=p)
        return m[component] + s[component] * jax.random.normal(noise, shape, m.dtype)

    def _posterior(self, y: ArrayLike, noise_variance: Number) -> tuple[Array, Array, Array]:
        """Return log density of y and, per component on the last axis, its weight and posterior mean.

        No logarithm of a probability: components of probability zero are legal, and so are derivatives beside them.
        """
        observed = jnp.asarray(y)[..., None]
        p, m, s = (field.reshape((1,) * (observed.ndim - 1) + (-1,)) for field in self._components())
        spread = s**2 + noise_variance
        given = -((observed - m) ** 2) / (2 * spread) - jnp.log(2 * jnp.pi * spread) / 2
        top = jax.lax.stop_gradient(jnp.max(jnp.where(p > 0, given, -jnp.inf), axis=-1, keepdims=True))
        largest = np.log(float(jnp.finfo(given.dtype).max)) - 1  # only what has probability zero can be above it
        parts = p * jnp.exp(jnp.minimum(given - top, largest))
        total = jnp.sum(parts, axis=-1, keepdims=True)
        density = (top + jnp.log(total))[..., 0]
        return density, parts / total, (m * noise_variance + s**2 * observed) / spread

    def log_density(self, y: ArrayLike, noise_variance: Number) -> Array:
        """Return the log density of y = w + √noise_variance · ξ."""
        return self._posterior(y, noise_variance)[0]

    def posterior_mean(self, y: ArrayLike, noise_variance: Number) -> Array:
        """Return E[w | w + √noise_variance · ξ = y]."""
        _, weight, mean = self._posterior(y, noise_variance)
        return jnp.sum(weight * mean, axis=-1)

    def posterior_variance(self, y: ArrayLike, noise_variance: Number) -> Array:
        """Return Var(w | w + √noise_variance · ξ = y), a sum of positive terms."""
        _, weight, mean = self._posterior(y, noise_variance)
        s = self._components()[2].reshape((1,) * (mean.ndim - 1) + (-1,))
        centre = jnp.sum(weight * mean, axis=-1, keepdims=True)
        within = s**2 * noise_variance / (s**2 + noise_variance)
        return jnp.sum(weight * (within + (mean - centre) ** 2), axis=-1)


def gaussian(std: float = 1.0, *, mean: float = 0.0) -> GaussianMixture:
    """Return N(mean, std²)."""
    check_arguments(gaussian, locals())
    check_positive("std", std)
    check_finite("mean", mean)
    return GaussianMixture(np.ones(1), np.array([mean]), np.array([std]))


def bernoulli_gauss(density: float, *, std: float = 1.0) -> GaussianMixture:
    """Return zero with probability 1 − density, else N(0, std²); 0 < density ≤ 1."""
    check_arguments(bernoulli_gauss, locals())
    _check_density(density)
    check_positive("std", std)
    return GaussianMixture(np.array([1 - density, density]), np.zeros(2), np.array([0.0, std]))


def rademacher(scale: float = 1.0, *, density: float = 1.0) -> GaussianMixture:
    """Return ±scale with probability density/2 each, else zero."""
    check_arguments(rademacher, locals())
    _check_density(density)
    check_positive("scale", scale)
    return discrete([-scale, 0.0, scale], probabilities=[density / 2, 1 - density, density / 2])


def discrete(values: ArrayLike, *, probabilities: ArrayLike) -> GaussianMixture:
    """Return a law on finitely many values."""
    check_arguments(discrete, locals())
    check_finite("values", values)
    points = np.asarray(values, dtype=float)
    if points.ndim != 1:
        raise ValueError(f"`values` must have shape (K,), got {points.shape}.")
    return GaussianMixture(np.asarray(probabilities, dtype=float), points, np.zeros_like(points))


@known_by_arguments
def laplace(scale: float = 1.0) -> GaussianMixture:
    """Return the density e^{−|w|/scale}/(2 scale), as a mixture over variances 2 scale² E with E exponential.

    Probabilities are normalised to sum to one; what the rule leaves out is below 1e-13.
    """
    check_arguments(laplace, locals())
    check_positive("scale", scale)
    x = np.arange(*LAPLACE_RANGE, LAPLACE_STEP)
    level = np.exp(x - np.exp(-x))
    weight = LAPLACE_STEP * np.exp(-level) * level * (1 + np.exp(-x))
    kept = weight > 1e-25
    stds = scale * np.sqrt(2 * level[kept])
    return GaussianMixture(weight[kept] / weight[kept].sum(), np.zeros_like(stds), stds)


def _check_density(density: float) -> None:
    check_positive("density", density)
    if not density <= 1:
        raise ValueError(f"`density` must be at most 1 (it is a probability), got {density}.")


@dataclasses.dataclass(frozen=True)
class QuantilePrior:
    """Any law, given by its quantile function.

    Its second moment is that of `quantile_moment`, heavy tails included; posterior means are quadratures over 4096
    quantiles, of which a jump of the function costs a relative error of about 1e-3: write discrete laws with
    `discrete`.

    Args:
        function: JAX function u -> value, applied entry by entry, non-decreasing, finite for u inside (0, 1).

    Raises:
        TypeError: a function that is not written in JAX.
        ValueError: its value at an entry depends on other entries.

    Example:
        >>> round(float(QuantilePrior(lambda u: (2 * u) ** 0.5).second_moment), 6)
        1.0
    """

    function: Callable[[Array], Array]

    def __post_init__(self) -> None:
        check_fields(self)
        check_elementwise("function", self.function, between=(0.0, 1.0))

    def _support(self) -> Array:
        return self.function(standard_uniforms(jnp.asarray(GRID)))

    @property
    def moment(self) -> QuantileMoment | None:
        """E X² with its error and its tails; None where the function depends on numbers that are being traced."""
        try:
            return quantile_moment(self.function)
        except jax.errors.TracerArrayConversionError:
            return None

    @property
    def second_moment(self) -> Array:
        """E X², infinite where the tails say so."""
        known = self.moment
        return jnp.asarray(GRID_WEIGHTS) @ jnp.square(self._support()) if known is None else jnp.asarray(known.value)

    def quantile(self, u: ArrayLike) -> Array:
        """Return the function's value."""
        return self.function(jnp.asarray(u))

    def posterior_mean(self, y: ArrayLike, noise_variance: Number) -> Array:
        """Return the mean over the quantiles, weighted by their likelihoods."""
        support = self._support()

        def one(value: Array, variance: Array) -> Array:
            log_likelihood = -0.5 * jnp.square(value - support) / variance
            return jax.nn.softmax(jnp.log(GRID_WEIGHTS) + log_likelihood) @ support

        return jnp.vectorize(one)(jnp.asarray(y), jnp.asarray(noise_variance))


jax.tree_util.register_static(QuantilePrior)


def standard_uniforms(normals: Array) -> Array:
    """Return Φ(z), kept inside (0, 1) so that every quantile is finite."""
    tiny = jnp.finfo(normals.dtype).eps / 2
    return jnp.clip(ndtr(normals), tiny, 1.0 - tiny)

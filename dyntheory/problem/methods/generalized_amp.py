"""Generalized approximate message passing: labels through any channel P(y | z), entries from any prior.

    ω^t = h^t − V_t g^{t−1}          g^t = ∂_ω log Z(y, ω^t, V_t),   Z = E[P(y | ω + √V ζ)], ζ standard normal
    A_t = −α mean_i ∂_ω g_i^t        w^{t+1} = E[X | X + ζ/√A_t = w^t + p^t/A_t],   V_{t+1} = mean_j Var[X | …]

Reference: `rangan2011generalized`.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import log_ndtr, logsumexp
from jax.scipy.stats import norm

from dyntheory.ground.arrays import Array, Number, PyTree
from dyntheory.ground.checks import check_nonnegative, check_scalar
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.names import check_name
from dyntheory.problem.laws.prior_moments import finite_second_moment
from dyntheory.problem.laws.priors import Prior, gaussian
from dyntheory.problem.methods.amp_template import known_numbers, message_passing
from dyntheory.problem.methods.method import GeneralFirstOrderMethod
from dyntheory.problem.networks.losses import LOSSES, Loss

Channel = Callable[[Array, Array, Array, Array], Array]
HERMITE_NODES, HERMITE_WEIGHTS = np.polynomial.hermite_e.hermegauss(80)
LOG_WEIGHTS = np.log(HERMITE_WEIGHTS / HERMITE_WEIGHTS.sum())


def generalized_amp(
    channel: str | Channel, prior: Prior | None = None, *, noise_std: Number = 0.0, loss: Loss | None = None
) -> GeneralFirstOrderMethod:
    """Estimate the teacher of a generalized linear model by AMP.

    Args:
        channel: "gaussian" (y = z + σ ξ), "probit" (y = sign(z + σ ξ)), "logistic" (y = ±1 with P(+1) = 1/(1 + e^{−z}))
            or "phase_retrieval" (y = |z| + σ ξ); or a JAX function (y, ω, V, σ) -> log Z for scalar arguments.
        prior: of the teacher's entries; default standard normal.
        noise_std: σ of the channel, zero or positive; data.
        loss: what is reported; default squared error of y for "gaussian", of |z| for "phase_retrieval", logistic loss
            and misclassification for the others.

    Raises:
        TypeError: not a prior or not a number.
        ValueError: an unknown channel, a prior without a second moment.

    Reference: `rangan2011generalized`; `barbier2019optimal` for its limit.
    """
    check_arguments(generalized_amp, locals())
    check_scalar("noise_std", noise_std)
    check_nonnegative("noise_std", noise_std)
    prior = gaussian() if prior is None else prior
    if isinstance(prior, type) or not isinstance(prior, Prior):
        raise TypeError(f"`prior` must be one of `dyntheory.priors`, such as rademacher(), got {prior!r}.")
    finite_second_moment("prior", prior)  # the variance it starts from
    if isinstance(channel, str):
        name = check_name("channel", channel, CHANNELS)
        log_partition, usual = CHANNELS[name]
    else:
        name, log_partition, usual = getattr(channel, "__name__", "own"), channel, LOSSES["squared"]
    template = _template(log_partition, f"AMP, {name} channel, {type(prior).__name__}", loss or usual)
    return dataclasses.replace(template, hyperparameters={"prior": prior, "noise_std": noise_std})


def _gaussian(label: Array, mean: Array, variance: Array, noise_std: Array) -> Array:
    return norm.logpdf(label, mean, jnp.sqrt(variance + jnp.square(noise_std)))


def _probit(label: Array, mean: Array, variance: Array, noise_std: Array) -> Array:
    return log_ndtr(label * mean / jnp.sqrt(variance + jnp.square(noise_std)))


def _logistic(label: Array, mean: Array, variance: Array, noise_std: Array) -> Array:
    del noise_std
    z = mean + jnp.sqrt(variance) * jnp.asarray(HERMITE_NODES)
    return logsumexp(jnp.asarray(LOG_WEIGHTS) + jax.nn.log_sigmoid(label * z))


def _phase_retrieval(label: Array, mean: Array, variance: Array, noise_std: Array) -> Array:
    # Both signs of z; given one, z is Gaussian with this mean and scale, cut at zero.
    noise = jnp.maximum(jnp.square(noise_std), 1e-12)
    total, scale = variance + noise, jnp.sqrt(variance * noise / (variance + noise))

    def branch(signed: Array) -> Array:
        inside = (signed * noise + label * variance) / (total * scale)
        return norm.logpdf(label, signed, jnp.sqrt(total)) + log_ndtr(inside)

    return jnp.logaddexp(branch(mean), branch(-mean))


def _squared_of_size(prediction: Array, label: Array) -> Array:
    return jnp.square(jnp.abs(prediction) - label)


def _half_squared_of_size(prediction: Array, label: Array) -> Array:
    return 0.5 * _squared_of_size(prediction, label)


SIZE_LOSS = Loss("squared, of |z|", _half_squared_of_size, _squared_of_size, (0.5, 1.0), smooth=False)
CHANNELS: dict[str, tuple[Channel, Loss]] = {
    "gaussian": (_gaussian, LOSSES["squared"]),
    "probit": (_probit, LOSSES["logistic"]),
    "logistic": (_logistic, LOSSES["logistic"]),
    "phase_retrieval": (_phase_retrieval, SIZE_LOSS),
}


@dataclasses.dataclass(frozen=True)
class _Maps:
    """The row-wise maps for one channel."""

    channel: Channel

    def init_shared(self, head: PyTree, samples_per_feature: Array, hyperparameters: PyTree) -> PyTree:
        """Return α, prior and noise; nothing is known but the prior."""
        del head
        known = known_numbers(samples_per_feature, hyperparameters)
        return {
            **known,
            "variance": jnp.asarray(known["numbers"]["prior"].second_moment, float),
            "precision": jnp.ones(()),
        }

    def sample_map(
        self, state: PyTree, h: Array, label: Array, shared: PyTree, u: Array
    ) -> tuple[PyTree, Array, PyTree]:
        """Return g = ∂ log Z and ∂g, both in ω = h − V g⁻."""
        del u
        variance, noise_std = shared["variance"], shared["numbers"]["noise_std"]

        def slope_of_channel(mean: Array) -> Array:
            return jax.grad(self.channel, argnums=1)(label, mean, variance, noise_std)

        g, slope = jax.value_and_grad(slope_of_channel)(h[0] - variance * state)
        return g, g[None], {"slope": slope}

    def after_samples(self, shared: PyTree, mean_stats: PyTree) -> PyTree:
        """Set the precision A of the effective observation."""
        return {**shared, "precision": -shared["samples_per_feature"] * mean_stats["slope"]}

    def feature_map(self, state: PyTree, p: Array, shared: PyTree, u: Array) -> tuple[PyTree, Array, PyTree]:
        """Return the posterior mean and variance of an entry."""
        del u
        noise = 1.0 / shared["precision"]
        denoise = shared["numbers"]["prior"].posterior_mean
        value, slope = jax.value_and_grad(denoise)(state[0] + p[0] * noise, noise)
        return value[None], value[None], {"variance": noise * slope}

    def after_features(self, shared: PyTree, mean_stats: PyTree) -> PyTree:
        """Set the variance V that is left."""
        return {**shared, "variance": mean_stats["variance"]}


@functools.cache
def _template(channel: Channel, name: str, loss: Loss) -> GeneralFirstOrderMethod:
    return message_passing(_Maps(channel), name, loss, smooth=loss.smooth, has_kink=loss.is_kinked)

"""Second moments of priors: refused where there is none, with their errors, and how much of them nodes can see."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from dyntheory.ground.arrays import Array
from dyntheory.ground.checks import is_concrete
from dyntheory.problem.laws.priors import GaussianMixture, Prior, QuantilePrior

TOO_UNCERTAIN = 0.5


def finite_second_moment(name: str, prior: Prior) -> Array:
    """Return E w² of a prior; `name` is the argument it was given as.

    Raises:
        ValueError: it is not finite, or the tails are too heavy to tell.
    """
    moment = prior.second_moment
    if not is_concrete(moment):
        return moment
    value, error, kind = float(moment), moment_error(prior), type(prior).__name__
    if not np.isfinite(value):
        raise ValueError(
            f"`{name}` must have a finite second moment E w², got {kind} with {value}: preactivations of such a "
            "teacher have no variance. Take a law with lighter tails, or cut them off."
        )
    if error > TOO_UNCERTAIN * value:
        raise ValueError(
            f"`{name}` must have a second moment E w² that can be computed, got {kind} with {value:.3g} ± "
            f"{error:.3g}: it lies in tails beyond double precision. Take a law with lighter tails, or cut them off."
        )
    return moment


def moment_error(prior: Prior) -> float:
    """Return the error of E w² as a prior knows it, zero where it does not say."""
    known = prior.moment if isinstance(prior, QuantilePrior) else None
    return 0.0 if known is None else known.error


def is_heavy(prior: Prior) -> bool:
    """Return whether a prior is known to have no fourth moment: a few entries then carry the second."""
    known = prior.moment if isinstance(prior, QuantilePrior) else None
    return known is not None and known.is_heavy


def missed_moment(prior: Prior, num_nodes: int) -> float:
    """Return which part of E w² is missed by the quantiles at the middles of N equal parts.

    Mixtures of Gaussians have light tails: zero, without looking.
    """
    if isinstance(prior, GaussianMixture):
        return 0.0
    levels = jnp.asarray((np.arange(num_nodes) + 0.5) / num_nodes)
    second, seen = float(prior.second_moment), float(jnp.mean(jnp.square(prior.quantile(levels))))
    return abs(second - seen) / second if second > 0 else 0.0

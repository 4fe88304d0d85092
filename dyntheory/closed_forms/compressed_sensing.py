"""The phase transition of noiseless recovery by the smallest ℓ₁ norm."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.closed_forms.evaluation import evaluate
from dyntheory.ground.arrays import Array, ArrayLike
from dyntheory.ground.checks import check_positive, is_concrete
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.root_finding import bisect, newton_step

NUM_BISECTIONS = 100
NUM_POLISHES = 2
POINTS, HEIGHTS = np.polynomial.legendre.leggauss(60)


class RecoveryThreshold(NamedTuple):
    """Where recovery stops: nonzeros per sample ρ, nonzeros per feature ρδ, and the threshold z of message passing."""

    nonzeros_per_sample: Any
    density: Any
    threshold: Any


def compressed_sensing_threshold(delta: ArrayLike) -> RecoveryThreshold:
    """Return the largest sparsity at which the smallest ℓ₁ norm recovers a vector from δd random measurements.

    With z the root of z erf(z/√2)/(2φ(z)) = (1 − δ)/δ, ρ(δ) = 1 − z Φ(−z)/φ(z) = ∫₀^∞ u e^{−u²/2 − zu} du.

    Args:
        delta: δ = n/d, samples per feature, inside (0, 1).

    Raises:
        ValueError: δ outside (0, 1); with δ ≥ 1 every vector is recovered.

    Example:
        >>> round(float(compressed_sensing_threshold(0.5).nonzeros_per_sample), 6)
        0.38569

    Reference: `donoho2009message`; their ρ is `nonzeros_per_sample`.
    """
    check_arguments(compressed_sensing_threshold, locals())
    check_positive("delta", delta, "it is n/d")
    if is_concrete(delta) and np.any(np.asarray(delta) >= 1):
        raise ValueError(f"`delta` must be below 1 (with n ≥ d everything is recovered), got {delta!r}.")
    return evaluate(_threshold, delta)


@jax.jit
def _threshold(delta: Array) -> RecoveryThreshold:
    target = jnp.log1p(-delta) - jnp.log(delta)

    def excess(z: Array) -> Array:
        return (
            jnp.log(z)
            + jnp.log(jax.lax.erf(z / math.sqrt(2)))
            + z**2 / 2
            - math.log(2 / math.sqrt(2 * math.pi))
            - target
        )

    ends = jnp.full_like(delta, -40.0), jnp.full_like(delta, 4.0)
    logarithm = bisect(lambda x: excess(jnp.exp(x)) > 0, ends, num_steps=NUM_BISECTIONS)
    z = jax.lax.stop_gradient(jnp.exp(logarithm))
    for _ in range(NUM_POLISHES):
        z = newton_step(excess, z)
    reach = 40 / (z + 4)

    def integrand(unit: Array) -> Array:
        u = reach * unit
        return reach * u * jnp.exp(-(u**2) / 2 - z * u)

    points, heights = jnp.asarray((POINTS + 1) / 2, z.dtype), jnp.asarray(HEIGHTS / 2, z.dtype)
    rho = jnp.tensordot(heights, jax.vmap(integrand)(points), axes=1)
    return RecoveryThreshold(rho, rho * delta, z)

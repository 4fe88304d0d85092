"""The root of one equation that many learning curves share: what a ridge is worth in the presence of random samples.

n = Σ_i s_i/(s_i + κ) + n λ/κ has one positive root κ, the ridge that n samples of a spectrum s with a ridge λ act with.

Reference: `simon2023eigenlearning`, section 4.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Float

from dyntheory.ground.arrays import Array, Number
from dyntheory.ground.root_finding import find_root

NUM_BISECTIONS, NUM_POLISHES = 100, 3


def unused_count(ridge: Array, smaller: Array, larger: Array | float) -> Array:
    """Return m − z where (m − z)(M − z)/M = ridge, z < m ≤ M: what of m degrees of freedom a ridge takes."""
    spare = jnp.where(jnp.isinf(larger), 1.0, 1.0 - smaller / larger)
    inside = spare**2 + 4.0 * ridge / larger
    root = jnp.sqrt(jnp.where(inside > 0, inside, 1.0))
    return jnp.where(ridge > 0, 2.0 * ridge / (spare + root), 0.0)


def effective_ridge(
    eigenvalues: Float[Array, "p"], count: Array, total_ridge: Number, *, larger_count: Array | float = jnp.inf
) -> Array:
    """Return κ, the positive root of n = Σ s/(s + κ) + (n λ + tail)/κ; zero if n λ = 0 and n is at least the rank.

    With a finite `larger_count` M ≥ n the last term is x with x (1 − n/M + x/M) = n λ/κ, as for n samples of M random
    features or M samples of n.

    Bisection in log κ, then Newton steps that carry the derivatives. Of a mode with s > κ the sum takes
    1 − κ/(s + κ), whose 1 is counted exactly: nothing cancels beside the interpolation threshold, and κ has all its
    digits for every n, λ and spectrum.
    """
    positive = eigenvalues > 0
    safe = jnp.where(positive, eigenvalues, 1.0)
    rank, smallest = jnp.sum(positive), jnp.min(jnp.where(positive, eigenvalues, jnp.inf))
    exists = (total_ridge > 0) | (rank > count)
    spare = jnp.maximum((rank - count) / count, jnp.finfo(eigenvalues.dtype).tiny)
    below = jnp.maximum(total_ridge / count, jnp.where(rank > count, smallest * spare, 0.0))
    above = jnp.where(jnp.isinf(larger_count), 1.0, 4.0) * (jnp.sum(eigenvalues) + total_ridge) / count
    ends = jnp.log(jnp.where(exists, below, 1.0)), jnp.log(jnp.where(exists, above, 2.0))

    def unused(logarithm: Array) -> Array:
        kappa = jnp.exp(logarithm)
        is_large = positive & (safe > kappa)
        small_parts = jnp.where(is_large, -kappa / (safe + kappa), jnp.where(positive, safe / (safe + kappa), 0.0))
        ridge = unused_count(jnp.asarray(total_ridge) / kappa, count, larger_count)
        return jnp.where(exists, (count - jnp.sum(is_large)) - (jnp.sum(small_parts) + ridge), 0.0)

    root = find_root(unused, ends, num_bisections=NUM_BISECTIONS, num_polishes=NUM_POLISHES)
    return jnp.where(exists, jnp.exp(root), 0.0)

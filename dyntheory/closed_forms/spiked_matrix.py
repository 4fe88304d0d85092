"""A rank-one signal in a symmetric noise matrix: the transition of the top eigenvector, and the Bayes-optimal overlap.

Y = (λ/N) x xᵀ + W with x_i = ±1 and W symmetric Gaussian of variance 1/N off the diagonal. With
T(γ) = E tanh(γ + √γ Z), Z standard normal, the Bayes overlap q is the positive solution of q = T(λ²q), λ > 1.

Reference: `peche2006largest`, `benaych2011eigenvalues` for eigenvalue and eigenvector; `deshpande2016asymptotic`,
`lesieur2017constrained` for the rest.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from dyntheory.closed_forms.binary_channel import known_part, shortfall, unknown_part
from dyntheory.closed_forms.evaluation import evaluate
from dyntheory.ground.arrays import Array, ArrayLike
from dyntheory.ground.checks import check_count, check_nonnegative, check_positive
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.root_finding import find_root

NUM_BISECTIONS, NUM_POLISHES = 64, 3


class SpikedWigner(NamedTuple):
    """Limits for N → ∞; arrays of one shape.

    Args:
        top_eigenvalue: λ + 1/λ, or 2 where λ ≤ 1.
        eigenvector_overlap: squared overlap of the top eigenvector with x/√N, 1 − 1/λ² or 0.
        bayes_overlap: q, overlap of the posterior mean with x, which is also its mean square.
        matrix_mmse: 1 − q², smallest mean squared error per entry of x xᵀ.
    """

    top_eigenvalue: Any
    eigenvector_overlap: Any
    bayes_overlap: Any
    matrix_mmse: Any


def spiked_wigner(signal_strength: ArrayLike) -> SpikedWigner:
    """Return what can be learned of a ±1 vector from a noisy rank-one matrix.

    Scaling:
        λ = O(1); both the eigenvector and the Bayes estimate know x above λ = 1 only, up to a sign.

    Args:
        signal_strength: λ, positive.

    Returns:
        The limits, in the shape of λ.

    Raises:
        ValueError: λ outside its range.

    Example:
        >>> from dyntheory import closed_forms
        >>> limits = closed_forms.spiked_wigner([0.5, 2.0])
        >>> limits.top_eigenvalue.tolist(), limits.eigenvector_overlap.tolist()
        ([2.0, 2.5], [0.0, 0.75])

    Reference: `peche2006largest`; `benaych2011eigenvalues`; `deshpande2016asymptotic`; `lesieur2017constrained`.
    """
    check_arguments(spiked_wigner, locals())
    check_positive("signal_strength", signal_strength)
    return evaluate(_spiked_wigner, signal_strength)


def spiked_wigner_amp(signal_strength: ArrayLike, side_information: ArrayLike, *, num_steps: int) -> Array:
    """Return the overlaps of Bayes-optimal message passing, q_0 = T(γ₀), q_{t+1} = T(λ²q_t).

    Scaling:
        The first estimate is tanh(γ₀x + √γ₀ g) with an independent Gaussian g.

    Args:
        signal_strength: λ, positive.
        side_information: γ₀, zero or positive; from zero the iteration never leaves zero.
        num_steps: T.

    Returns:
        q_0, …, q_T on a new last axis.

    Raises:
        ValueError: a number outside its range.

    Example:
        >>> from dyntheory import closed_forms
        >>> path = closed_forms.spiked_wigner_amp(2.0, 0.1, num_steps=40)
        >>> bool(abs(path[-1] - closed_forms.spiked_wigner(2.0).bayes_overlap) < 1e-12)
        True

    Reference: `deshpande2016asymptotic`; `lesieur2017constrained`.
    """
    check_arguments(spiked_wigner_amp, locals())
    check_positive("signal_strength", signal_strength)
    check_nonnegative("side_information", side_information)
    count = check_count("num_steps", num_steps, minimum=0)

    def path(strength: Array, start: Array) -> Array:
        def advance(overlap: Array, _: None) -> tuple[Array, Array]:
            following = known_part(jnp.square(strength) * overlap)
            return following, following

        first = known_part(start)
        _, later = jax.lax.scan(advance, first, None, length=count)
        return jnp.moveaxis(jnp.concatenate([first[None], later]), 0, -1)

    return evaluate(path, signal_strength, side_information)


@jax.jit
def _spiked_wigner(strength: Array) -> SpikedWigner:
    is_seen = strength > 1
    held = jnp.where(is_seen, strength, 2.0)
    seen = (held - 1) * (held + 1) / jnp.square(held)
    snr = _fixed_point(held, seen)
    missing = unknown_part(snr)
    overlap = jnp.where(snr < 1, snr / jnp.square(held), 1 - missing)
    loss = jnp.where(snr < 1, 1 - overlap, missing)
    return SpikedWigner(
        jnp.where(is_seen, held + 1 / held, 2.0),
        jnp.where(is_seen, seen, 0.0),
        jnp.where(is_seen, overlap, 0.0),
        jnp.where(is_seen, loss * (1 + overlap), 1.0),
    )


def _fixed_point(strength: Array, seen: Array) -> Array:
    """Return γ = λ²q: the root of (γ − T)/γ = 1 − 1/λ²."""
    target = 1 / jnp.square(strength)

    def excess(logarithm: Array) -> Array:
        snr = jnp.exp(logarithm)
        return jnp.where(snr < 1, shortfall(snr) / snr - seen, target - (1 - unknown_part(snr)) / snr)

    ends = jnp.log(seen) - 0.1, 2 * jnp.log(strength) + 0.1  # (γ − T)/γ ≤ γ and T ≤ 1
    return jnp.exp(find_root(excess, ends, num_bisections=NUM_BISECTIONS, num_polishes=NUM_POLISHES))

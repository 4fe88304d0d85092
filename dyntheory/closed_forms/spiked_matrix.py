"""A rank-one signal in a symmetric noise matrix: the transition of the top eigenvector, and the Bayes-optimal overlap.

Y = (λ/N) x xᵀ + W with x_i = ±1 and W symmetric Gaussian of variance 1/N off the diagonal. With
T(γ) = E tanh(γ + √γ Z), Z standard normal, the Bayes overlap q is the positive solution of q = T(λ²q), λ > 1. Two
forms of T do not cancel, g = √γ Z:

    γ − T = e^{−γ/2} E[tanh(g)(g cosh g − sinh g)]    for small γ,      1 − T = e^{−γ/2} E[1/cosh g]    for large.

Reference: `peche2006largest`, `benaych2011eigenvalues` for eigenvalue and eigenvector; `deshpande2016asymptotic`,
`lesieur2017constrained` for the rest; `trefethen2014exponentially` for the trapezoid rule.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.closed_forms.evaluation import evaluate
from dyntheory.ground.arrays import Array, ArrayLike
from dyntheory.ground.checks import check_count, check_nonnegative, check_positive
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.root_finding import find_root

NUM_NODES = 1041
RANGE, LONGEST = 13.0, 45.0  # in standard deviations of Z; in g, where 1/cosh ends
NUM_BISECTIONS, NUM_POLISHES = 64, 3
NUM_TERMS = 12


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
            following = _overlap(jnp.square(strength) * overlap)
            return following, following

        first = _overlap(start)
        _, later = jax.lax.scan(advance, first, None, length=count)
        return jnp.moveaxis(jnp.concatenate([first[None], later]), 0, -1)

    return evaluate(path, signal_strength, side_information)


@jax.jit
def _spiked_wigner(strength: Array) -> SpikedWigner:
    is_seen = strength > 1
    held = jnp.where(is_seen, strength, 2.0)
    seen = (held - 1) * (held + 1) / jnp.square(held)
    snr = _fixed_point(held, seen)
    missing = _missing(snr)
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
        return jnp.where(snr < 1, _shortfall(snr) / snr - seen, target - (1 - _missing(snr)) / snr)

    ends = jnp.log(seen) - 0.1, 2 * jnp.log(strength) + 0.1  # (γ − T)/γ ≤ γ and T ≤ 1
    return jnp.exp(find_root(excess, ends, num_bisections=NUM_BISECTIONS, num_polishes=NUM_POLISHES))


def _overlap(snr: Array) -> Array:
    """Return T(γ)."""
    small = jnp.minimum(snr, 1.0)
    return jnp.where(snr < 1, small - _shortfall(small), 1 - _missing(jnp.maximum(snr, 1.0)))


def _shortfall(snr: Array) -> Array:
    """Return γ − T(γ) for γ up to 1 or so; elsewhere the value is not used."""
    nodes = np.linspace(-RANGE, RANGE, NUM_NODES)
    weights = np.exp(-0.5 * nodes**2) * (2 * RANGE / (NUM_NODES - 1)) / math.sqrt(2 * math.pi)
    held = jnp.minimum(snr, 2.0)
    scaled = _on_last_axis(jnp.sqrt(jnp.where(held > 0, held, 1.0))) * jnp.asarray(nodes).reshape(_row(snr))
    small = jnp.where(jnp.abs(scaled) < 1, scaled, 0.0)
    term = small**3 / 3  # g cosh g − sinh g = Σ 2k g^{2k+1}/(2k+1)!
    series = term
    for k in range(2, NUM_TERMS):
        term = term * jnp.square(small) / ((2 * k - 2) * (2 * k + 1))
        series = series + term
    direct = scaled * jnp.cosh(scaled) - jnp.sinh(scaled)
    inner = jnp.where(jnp.abs(scaled) < 1, series, direct)
    value = jnp.exp(-held / 2) * jnp.sum(jnp.asarray(weights).reshape(_row(snr)) * jnp.tanh(scaled) * inner, axis=-1)
    return jnp.where(held > 0, value, 0.0)


def _missing(snr: Array) -> Array:
    """Return 1 − T(γ) for γ not below 1 or so; elsewhere the value is not used."""
    held = jnp.maximum(snr, 0.5)
    length = jnp.minimum(RANGE * jnp.sqrt(held), LONGEST)
    points = _on_last_axis(length) * jnp.asarray(np.linspace(-1, 1, NUM_NODES)).reshape(_row(snr))
    density = jnp.exp(-jnp.square(points) / (2 * _on_last_axis(held))) / jnp.cosh(points)
    spacing = 2 * length / (NUM_NODES - 1)
    return jnp.exp(-held / 2) * jnp.sum(density, axis=-1) * spacing / jnp.sqrt(2 * jnp.pi * held)


def _on_last_axis(value: Array) -> Array:
    return value[..., None]


def _row(value: Array) -> tuple[int, ...]:
    """Return the shape of a row that stands beside `value[..., None]`."""
    return (1,) * value.ndim + (-1,)

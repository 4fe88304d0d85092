"""Memories of higher order: energies −Σ_μ (ξ^μ·s)^n, which hold N^{n−1} patterns, and exponential ones.

Without temperature and for n ≥ 3 a spin in a state of overlap m feels the signal n m^{n−1} and, from all other
patterns, a Gaussian of variance n² (2n − 3)!! P/N^{n−1} without any reaction, so that

    m = erf(m^{n−1}/√(2λ)),     λ = (2n − 3)!! P/N^{n−1} = erf(y)^{2n−2}/(2y²).

Reference: `gardner1987multiconnected`; `krotov2016dense`; `demircigil2017model`.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.closed_forms.evaluation import evaluate
from dyntheory.ground.arrays import Array, ArrayLike
from dyntheory.ground.checks import check_count, check_nonnegative, check_positive, is_concrete
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.root_finding import find_root

LEAST_ORDER, MOST_ORDER = 3, 150
ENDS = 1e-2, 12.0  # of y; erf is one to all digits long before


class DenseCapacity(NamedTuple):
    """Where a memory of order n ceases to retrieve.

    Args:
        load: λ_c = (2n − 3)!! P/N^{n−1}, the inverse square of signal over noise at a pattern.
        patterns: P/N^{n−1} there.
        overlap: m there.
        field: y there.
    """

    load: Any
    patterns: Any
    overlap: Any
    field: Any


def dense_capacity(order: int) -> DenseCapacity:
    """Return how many patterns a memory of energy −Σ_μ (ξ^μ·s)^n holds without temperature.

    Scaling:
        P = O(N^{n−1}). Patterns without a single wrong bit are fewer, N^{n−1}/(2 (2n − 3)!! ln N). Replica symmetric.
        For n = 2 see `capacity`: there other patterns react, and λ = α.

    Args:
        order: n, from 3 to 150.

    Returns:
        Load, patterns, overlap and field.

    Raises:
        ValueError: an order outside its range.

    Example:
        >>> import dyntheory as dt
        >>> found = dt.memory.dense_capacity(3)
        >>> round(float(found.load), 4), round(float(found.patterns), 4), round(float(found.overlap), 4)
        (0.2522, 0.0841, 0.8385)

    Reference: `gardner1987multiconnected`; `krotov2016dense`.
    """
    check_arguments(dense_capacity, locals())
    n = _order(order)
    y = evaluate(functools.partial(_peak, n), 0.0)
    overlap = evaluate(jax.scipy.special.erf, y)
    load = overlap ** (2 * n - 2) / (2 * y**2)
    return DenseCapacity(load, load / _double_factorial(n), overlap, y)


def dense_overlap(load: ArrayLike, *, order: int) -> Array:
    """Return the overlap at which a memory of order n ends that starts at a pattern; NaN above its capacity.

    Scaling:
        That of `dense_capacity`.

    Args:
        load: λ = (2n − 3)!! P/N^{n−1}, positive.
        order: n, from 3 to 150.

    Returns:
        m, in the shape of λ; (1 − m)/2 bits are wrong. After one step from the pattern it is erf(1/√(2λ)).

    Raises:
        ValueError: a number outside its range.

    Example:
        >>> import dyntheory as dt
        >>> dt.memory.dense_overlap([0.1, 0.2, 0.3], order=3).round(4)
        array([0.9984, 0.9611,    nan])

    Reference: `gardner1987multiconnected`; `krotov2016dense`.
    """
    check_arguments(dense_overlap, locals())
    check_positive("load", load)
    return evaluate(functools.partial(_overlap, _order(order)), load)


def exponential_capacity(flipped: ArrayLike = 0.0) -> Array:
    """Return the exponent up to which a memory of energy −Σ_μ exp(ξ^μ·s) holds patterns: P = e^{aN}, a < ½ ln 2.

    One step from a pattern with a share ρ of its bits flipped restores it if a < I(1 − 2ρ)/2,
    I(x) = ½ ((1 + x) ln(1 + x) + (1 − x) ln(1 − x)).

    Args:
        flipped: ρ, at least zero and below one half.

    Returns:
        The exponent a, in the shape of ρ; a sufficient condition.

    Raises:
        ValueError: ρ outside its range.

    Example:
        >>> import dyntheory as dt
        >>> dt.memory.exponential_capacity([0.0, 0.25]).round(4)
        array([0.3466, 0.0654])

    Reference: `demircigil2017model`, Theorem 3.
    """
    check_arguments(exponential_capacity, locals())
    check_nonnegative("flipped", flipped)
    if is_concrete(flipped) and np.any(np.asarray(flipped) >= 0.5):
        raise ValueError(f"`flipped` must be below 1/2, a share of all bits, got {flipped!r}.")
    return evaluate(_exponent, flipped)


def _order(order: int) -> int:
    n = check_count("order", order, minimum=LEAST_ORDER)
    if n > MOST_ORDER:
        raise ValueError(f"`order` must be at most {MOST_ORDER}: (2n − 3)!! is no number any more, got {order}.")
    return n


def _double_factorial(order: int) -> float:
    return float(math.prod(range(1, 2 * order - 2, 2)))


def _log_load(order: int, y: Array) -> Array:
    return (2 * order - 2) * jnp.log(jax.scipy.special.erf(y)) - jnp.log(2.0) - 2 * jnp.log(y)


def _peak(order: int, at: Array) -> Array:
    """Return y where the load is largest, in the shape of `at`: (n − 1) y erf′(y) = erf(y)."""

    def excess(y: Array) -> Array:
        slope = 2 / math.sqrt(math.pi) * jnp.exp(-jnp.square(y))
        return jax.scipy.special.erf(y) - (order - 1) * y * slope

    return find_root(
        excess, (jnp.full_like(at, ENDS[0]), jnp.full_like(at, ENDS[1])), num_bisections=56, num_polishes=1
    )


@functools.partial(jax.jit, static_argnums=0)
def _overlap(order: int, load: Array) -> Array:
    peak = jax.lax.stop_gradient(_peak(order, load))
    exists = jnp.log(load) <= _log_load(order, peak)
    held = jnp.where(exists, load, jnp.exp(_log_load(order, 2 * peak)))
    ends = jnp.log(peak), jnp.maximum(jnp.log(peak), -jnp.log(2 * held) / 2)  # λ ≤ 1/(2y²)
    x = find_root(lambda x: jnp.log(held) - _log_load(order, jnp.exp(x)), ends, num_bisections=56, num_polishes=1)
    return jnp.where(exists, jax.scipy.special.erf(jnp.exp(x)), jnp.nan)


def _exponent(flipped: Array) -> Array:
    x = 1 - 2 * flipped
    near = jnp.minimum(x, 0.5)  # where the sum of logarithms cancels
    even = (2 * near * jnp.arctanh(near) + jnp.log1p(-jnp.square(near))) / 4
    return jnp.where(x < 0.5, even, (jax.scipy.special.xlogy(1 + x, 1 + x) + jax.scipy.special.xlogy(1 - x, 1 - x)) / 4)

"""How much a perceptron can hold: Cover's count of dichotomies, and Gardner's capacity at a margin.

Reference: `cover1965geometrical`; `gardner1988space`.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.closed_forms.evaluation import evaluate
from dyntheory.ground.arrays import Array, ArrayLike
from dyntheory.ground.checks import check_count, check_nonnegative, check_positive, is_concrete
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.root_finding import find_root


def num_dichotomies(num_inputs: int, num_features: int) -> int:
    """Return how many of the 2^n labellings of n inputs in general position a plane through the origin can make.

    C(n, d) = 2 Σ_{k < d} binom(n − 1, k), whatever the inputs.

    Args:
        num_inputs: n.
        num_features: d.

    Returns:
        The exact number.

    Raises:
        ValueError: a count below one.

    Example:
        >>> import dyntheory as dt
        >>> dt.perceptron.num_dichotomies(4, 2), dt.perceptron.num_dichotomies(3, 5)
        (8, 8)

    Reference: `cover1965geometrical`, Theorem 1.
    """
    check_arguments(num_dichotomies, locals())
    count, features = check_count("num_inputs", num_inputs), check_count("num_features", num_features)
    return 2 * sum(math.comb(count - 1, k) for k in range(min(count, features)))


def separable_fraction(num_inputs: ArrayLike, num_features: ArrayLike) -> np.ndarray:
    """Return the probability that labels which are coin tosses are separable: C(n, d)/2^n, one half at n = 2d.

    Args:
        num_inputs: n, whole numbers.
        num_features: d, whole numbers.

    Returns:
        The probability, in the shape to which both broadcast.

    Raises:
        ValueError: numbers that are not whole and positive.

    Example:
        >>> import dyntheory as dt
        >>> dt.perceptron.separable_fraction([10, 20, 40], 10).round(5)
        array([1.0e+00, 5.0e-01, 5.3e-04])

    Reference: `cover1965geometrical`.
    """
    check_arguments(separable_fraction, locals())
    from scipy.special import betainc

    for name, value in (("num_inputs", num_inputs), ("num_features", num_features)):
        check_positive(name, value)
        if np.any(np.asarray(value) != np.round(np.asarray(value))):
            raise ValueError(f"`{name}` must be whole numbers, got {value!r}.")
    n, d = np.broadcast_arrays(np.asarray(num_inputs, float), np.asarray(num_features, float))
    # P(at most d − 1 heads of n − 1 tosses)
    return np.where(n > d, betainc(np.maximum(n - d, 1.0), d, 0.5), 1.0)


def gardner_capacity(margin: ArrayLike = 0.0) -> Array:
    """Return the number of inputs per feature up to which coin tosses can be labels at a margin: two at margin zero.

    α_c = 1/∫_{−κ}^∞ Dz (z + κ)² = 1/((1 + κ²) Φ(κ) + κ φ(κ)).

    Scaling:
        Inputs of d independent standard entries, y x·w ≥ κ |w|; κ in the units of one feature.

    Args:
        margin: κ, zero or positive: below zero the set of solutions falls apart and the formula fails.

    Returns:
        α_c = n/d, in the shape of κ.

    Raises:
        ValueError: a negative margin.

    Example:
        >>> import dyntheory as dt
        >>> dt.perceptron.gardner_capacity([0.0, 1.0]).round(6)
        array([2.      , 0.519572])

    Reference: `gardner1988space`.
    """
    check_arguments(gardner_capacity, locals())
    check_nonnegative("margin", margin, "negative margins break replica symmetry")
    return evaluate(_capacity, margin)


def gardner_margin(samples_per_feature: ArrayLike) -> Array:
    """Return the largest margin at which coin tosses can be labels, the inverse of `gardner_capacity`.

    Scaling:
        That of `gardner_capacity`. With a teacher: `closed_forms.max_margin`.

    Args:
        samples_per_feature: α = n/d, positive, at most two.

    Returns:
        κ, in the shape of α.

    Raises:
        ValueError: α outside its range.

    Example:
        >>> import dyntheory as dt
        >>> round(float(dt.perceptron.gardner_margin(dt.perceptron.gardner_capacity(0.7))), 12)
        0.7

    Reference: `gardner1988space`.
    """
    check_arguments(gardner_margin, locals())
    check_positive("samples_per_feature", samples_per_feature, "it is n/d")
    if is_concrete(samples_per_feature) and np.any(np.asarray(samples_per_feature) > 2):
        raise ValueError(
            f"`samples_per_feature` must be at most 2, where coin tosses cease to be separable, got "
            f"{samples_per_feature!r}."
        )
    return evaluate(_margin, samples_per_feature)


def _margin(alpha: Array) -> Array:
    def excess(margin: Array) -> Array:
        return jnp.log(alpha) - jnp.log(_capacity(margin))

    ends = jnp.zeros_like(alpha), jnp.sqrt(2 / alpha)  # κ²/2 ≤ 1/α_c
    return find_root(excess, ends, num_bisections=56, num_polishes=2)


def _capacity(margin: Array) -> Array:
    below = jax.scipy.special.ndtr(margin)
    density = jnp.exp(-jnp.square(margin) / 2) / math.sqrt(2 * math.pi)
    return 1 / ((1 + jnp.square(margin)) * below + margin * density)

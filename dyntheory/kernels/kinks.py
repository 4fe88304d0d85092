"""What is not smooth at zero, taken out of a scalar function: k(x) = J [x > 0] + K max(x, 0) + B max(x, 0)²/2.

Hermite coefficients of a jump fall like j^(−3/4), of a kink like j^(−5/4): no sum of them is long enough. But all
moments of k are closed: with the angle θ between u and v, ρ = cos θ and powers of the parts above zero,

    E u⁰v⁰ = (π − θ)/(2π),           E u v⁰ = s₁ (1 + ρ)/(2√(2π)),    E u v   = s₁s₂ (sin θ + (π − θ) ρ)/(2π),
    E u²v⁰ = s₁² (π − θ + ρ sin θ)/(2π),    E u²v = s₁²s₂ (1 + ρ)²/(2√(2π)),
    E u²v² = s₁²s₂² ((π − θ)(1 + 2ρ²) + 3ρ sin θ)/(2π).

What is left of φ is smooth at zero, and its products with k converge fast.

Reference: `cho2009kernel`, eqs. 5-6 for equal powers; the others by the derivative in ρ.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.ground.arrays import Array
from dyntheory.ground.checks import is_concrete
from dyntheory.ground.precision import double_precision
from dyntheory.ground.tracing import is_traced
from dyntheory.kernels.duals import angle
from dyntheory.kernels.moments import Block, Scalar, deviations, root

DISTANCES = (1e-6, 1e-9)
AGREEMENT, NOTICEABLE = 1e-3, 1e-7
HALF_MOMENTS = (0.5, 1 / math.sqrt(2 * math.pi), 0.25)  # E max(Z, 0)^p/p!


class Kink(NamedTuple):
    """What jumps at zero: the function by J, its slope by K, its second derivative by B."""

    jump: Scalar
    slope: Scalar
    bend: Scalar

    def derivative(self) -> Kink:
        """Return what jumps of the derivative; a jump of the function counts as slope zero."""
        return Kink(self.slope, self.bend, 0.0)

    def value(self, x: Array) -> Array:
        """Return k."""
        return jnp.where(x > 0, self.jump + x * (self.slope + 0.5 * x * self.bend), 0.0)

    def coefficients(self, variance: Array, degree: int) -> Array:
        """Return E[k(√v Z) He_j(Z)]/√j!, j < `degree`, on a new first axis."""
        spread, shape = root(variance), (degree, *(1,) * variance.ndim)
        parts = zip(self, _coefficients(degree), strict=True)
        return sum(
            (factor * spread[None] ** p * jnp.asarray(part, spread.dtype).reshape(shape))
            for p, (factor, part) in enumerate(parts)
        )  # pyright: ignore[reportReturnType]

    def moment(self, variance: Array) -> Array:
        """Return E k(√v Z)²."""
        return self.covariance(Block(variance, variance, variance, jnp.zeros_like(variance)))

    def covariance(self, block: Block) -> Array:
        """Return E k(u) k(v)."""
        left, right = deviations(block)
        theta, sine = angle(block)  # s₁s₂ sin θ
        both, cov, rest = left * right, block.cov, (math.pi - theta) / (2 * math.pi)
        wide = (both + cov) / math.sqrt(8 * math.pi)  # s₁s₂ (1 + ρ)/(2√(2π))
        ramps = sine / (2 * math.pi) + cov * rest
        squares = 0.25 * ((both**2 + 2 * cov**2) * rest + 3 * cov * sine / (2 * math.pi))
        safe = jnp.where(both > 0, both, 1.0)
        slant, steep = jnp.where(both > 0, wide / safe, 0.0), jnp.where(both > 0, wide * (both + cov) / safe, 0.0)
        quarter = jnp.where(both > 0, 0.5 * (rest + cov * sine / (2 * math.pi * safe**2)), 0.0)
        jump, slope, bend = self
        mixed = jump * slope * slant * (left + right) + slope * bend * 0.5 * steep * (left + right)
        uneven = jump * bend * quarter * (jnp.square(left) + jnp.square(right))
        return jump**2 * rest + slope**2 * ramps + bend**2 * squares + mixed + uneven


def kink_at_zero(function: Callable[[Array], Array]) -> Kink | None:
    """Return what jumps at zero, None if nothing does.

    Both sides of zero are compared at two distances: a smooth function's difference falls with the distance, that of a
    root or a pole grows, that of a jump stays. Of a function that holds traced values the jumps are traced, too.
    """
    if is_traced(function):
        return _differences(function)
    with jax.ensure_compile_time_eval(), double_precision():
        found = _differences(function)
    if not all(map(is_concrete, found)):
        return _differences(function)
    return Kink(*(float(np.asarray(jump)) for jump in found)) if any(map(bool, found)) else None


def _differences(function: Callable[[Array], Array]) -> Kink:
    points = jnp.asarray([sign * distance for sign in (1, -1) for distance in DISTANCES])

    def slope(x: Array) -> Array:
        return jax.jvp(function, (x,), (jnp.ones_like(x),))[1]

    slopes, bends = jax.jvp(slope, (points,), (jnp.ones_like(points),))
    return Kink(*(_staying(values) for values in (function(points), slopes, bends)))


def _staying(values: Array) -> Array:
    """Return the difference across zero if it is the same at both distances, else zero."""
    (far, near), (far_below, near_below) = values.reshape(2, 2)
    wide, narrow = far - far_below, near - near_below
    stays = jnp.abs(wide - narrow) <= AGREEMENT * jnp.abs(narrow)
    noticeable = jnp.abs(narrow) > NOTICEABLE * (jnp.abs(near) + jnp.abs(near_below))
    return jnp.where(stays & noticeable, narrow, 0.0)


@functools.lru_cache(maxsize=8)
def _coefficients(degree: int) -> tuple[np.ndarray, ...]:
    """Return E[max(Z, 0)^p He_j]/(p! √j!) for the powers p = 0, 1, 2, by parts, j or p + 1 times."""
    found = []
    for power in range(len(HALF_MOMENTS)):
        column = [HALF_MOMENTS[power - j] / math.sqrt(math.factorial(j)) for j in range(power + 1)]
        column += [_hermite_at_zero(j - power - 1, j) / math.sqrt(2 * math.pi) for j in range(power + 1, degree)]
        found.append(np.array(column[:degree]))
    return tuple(found)


def _hermite_at_zero(order: int, factorial: int) -> float:
    """Return He_order(0)/√factorial!, He_{2m}(0) = (−1)^m (2m − 1)!!."""
    if order % 2:
        return 0.0
    half = order // 2
    size = math.lgamma(order + 1) - math.lgamma(half + 1) - half * math.log(2) - 0.5 * math.lgamma(factorial + 1)
    return (-1) ** half * math.exp(size)

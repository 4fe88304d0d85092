"""Where a monotone function changes its sign: bisection, then Newton steps that carry the derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp

from dyntheory.ground.arrays import Array

Ends: TypeAlias = tuple[Array, Array]


def narrow(is_above: Callable[[Array], Array], ends: Ends, *, num_steps: int) -> Ends:
    """Return what is left of an interval when the half without the sign change is dropped each time.

    Args:
        is_above: whether a point lies at or above the sign change, entry by entry.
        ends: of the interval, arrays of one shape.
        num_steps: number of halvings.
    """

    def halve(_: int, ends: Ends) -> Ends:
        middle = (ends[0] + ends[1]) / 2
        above = is_above(middle)
        return jnp.where(above, ends[0], middle), jnp.where(above, middle, ends[1])

    return jax.lax.fori_loop(0, num_steps, halve, ends)


def bisect(is_above: Callable[[Array], Array], ends: Ends, *, num_steps: int) -> Array:
    """Return the middle of what `narrow` leaves."""
    low, high = narrow(is_above, ends, num_steps=num_steps)
    return (low + high) / 2


def newton_step(function: Callable[[Array], Array], root: Array) -> Array:
    """Return root − value/slope; from a root that is constant to all digits it has the first derivatives.

    Every further step adds one order. A slope of zero counts as one, so a function that is zero everywhere leaves the
    root where it is.
    """
    value, slope = jax.jvp(function, (root,), (jnp.ones_like(root),))
    slope = jax.lax.stop_gradient(slope)
    return root - value / jnp.where(slope == 0, 1.0, slope)


def find_root(increasing: Callable[[Array], Array], ends: Ends, *, num_bisections: int, num_polishes: int) -> Array:
    """Return where an increasing function vanishes, to rounding and with its derivatives.

    Args:
        increasing: entry by entry.
        ends: between which it vanishes; no derivatives go through them.
        num_bisections: halvings of the interval.
        num_polishes: Newton steps, one for each order of derivatives that is wanted, at least.
    """
    ends = jax.lax.stop_gradient(ends)
    root = jax.lax.stop_gradient(bisect(lambda x: increasing(x) >= 0, ends, num_steps=num_bisections))
    for _ in range(num_polishes):
        root = newton_step(increasing, root)
    return root

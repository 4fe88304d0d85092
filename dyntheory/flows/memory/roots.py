"""Roots of functions whose slope is known: programs of half the size, since nothing has to be differentiated."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from dyntheory.ground.arrays import Array
from dyntheory.ground.root_finding import Ends, bisect


def find_root_by_slope(function: Callable[[Array], tuple[Array, Array]], ends: Ends, *, num_bisections: int) -> Array:
    """Return where an increasing function vanishes, to rounding and with its first derivatives.

    Args:
        function: value and slope, entry by entry.
        ends: between which it vanishes; no derivatives go through them.
        num_bisections: halvings of the interval, before one step of Newton.
    """
    ends = jax.lax.stop_gradient(ends)
    root = jax.lax.stop_gradient(bisect(lambda x: function(x)[0] >= 0, ends, num_steps=num_bisections))
    value, slope = function(root)
    return root - value / jax.lax.stop_gradient(jnp.where(slope == 0, 1.0, slope))

"""How formulas of branches are compiled: fast for a few points, well for many."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TypeVar

import jax.numpy as jnp

from dyntheory.ground.arrays import Array
from dyntheory.ground.compiling import compiled

Result = TypeVar("Result")
FEW = 100  # points; more take longer without LLVM's optimisations than compiling with them


def by_size(formula: Callable[..., Result]) -> Callable[..., Result]:
    """Return the formula, compiled when it is called, in the way that suits the number of points."""
    programs = {fast: compiled(formula, fast=fast) for fast in (True, False)}

    @functools.wraps(formula)
    def run(*arrays: Array) -> Result:
        shape = jnp.broadcast_shapes(*(array.shape for array in arrays))
        return programs[math.prod(shape) <= FEW](*arrays)

    return run

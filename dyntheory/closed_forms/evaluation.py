"""How every closed form is evaluated: in float64, on arrays of any shapes that broadcast, under any transformation.

A call with numbers returns NumPy arrays of float64, whatever JAX's flag says. A call inside `jit`, `vmap` or `grad`
computes in float64 too and hands its result on in the precision of the surrounding program.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from dyntheory.ground.arrays import Array, ArrayLike
from dyntheory.ground.precision import double_precision, to_numpy

Result = TypeVar("Result")


def evaluate(formula: Callable[..., Result], *arguments: ArrayLike, broadcast: bool = True) -> Result:
    """Return `formula(*arguments)` computed in float64.

    Args:
        formula: arrays in, a pytree of arrays out.
        *arguments: numbers, arrays, or values that are being traced.
        broadcast: whether the formula wants all of them in one shape.

    Returns:
        NumPy arrays, or traced values in the precision of the caller.
    """
    outside = jnp.result_type(float)
    if broadcast:
        check_shapes(*arguments)
    with double_precision():
        arrays = [jnp.asarray(argument, dtype=jnp.float64) for argument in arguments]
        result = formula(*(jnp.broadcast_arrays(*arrays) if broadcast else arrays))
        # Also without traced arguments: numbers in a program that is being traced become part of it.
        if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves((arguments, result))):
            return jax.tree.map(lambda leaf: leaf.astype(outside), result)
    return to_numpy(result)


def check_shapes(*arguments: ArrayLike) -> None:
    """Require shapes that broadcast."""
    shapes = [np.shape(argument) for argument in arguments]
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        shown = ", ".join(str(shape) for shape in dict.fromkeys(shapes))
        raise ValueError(f"The shapes of the numbers must broadcast against each other, got {shown}.") from None


def over_leading_axes(formula: Callable[..., Result], signature: str) -> Callable[..., Result]:
    """Return `jnp.vectorize(formula)` which gives all arguments the same number of leading axes first.

    Args:
        formula: for one set of arguments.
        signature: as for `jnp.vectorize`, "(),(p)->(),()".
    """
    inner = [part.count(",") + bool(part) for part in re.findall(r"\(([^)]*)\)", signature.split("->")[0])]

    def vectorized(*arrays: Array) -> Result:
        rank = max(array.ndim - own for array, own in zip(arrays, inner, strict=True))
        padded = [
            array.reshape((1,) * (rank - array.ndim + own) + array.shape)
            for array, own in zip(arrays, inner, strict=True)
        ]
        return jnp.vectorize(formula, signature=signature)(*padded)

    return vectorized


def ratio_or(value: Array, divisor: Array, otherwise: Array | float) -> Array:
    """Return value/divisor, and `otherwise` where the divisor is zero; derivatives are finite there."""
    is_zero = divisor == 0
    return jnp.where(is_zero, otherwise, value / jnp.where(is_zero, 1.0, divisor))

"""Evaluate a formula of scalars over broadcast parameters, in float64 whatever the global flag says.

Results are NumPy arrays, and JAX arrays where they are being traced: a float64 JAX array outside the context would be
demoted by the next operation.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax.core import Tracer

from dyntheory._precision import as_double, double_precision, to_numpy
from dyntheory._typing import Array, ArrayLike

Result = TypeVar("Result")


def over_grid(formula: Callable[..., Result], *parameters: ArrayLike, held: tuple[Any, ...] = ()) -> Result:
    """Return `formula(*parameters, *held)` of scalars at every entry of the broadcast parameters.

    Leaves have the shape of the broadcast, `held` is the same everywhere. A formula defined at the top of a module is
    compiled once for every number of entries.
    """
    with double_precision():
        arrays = jnp.broadcast_arrays(*(jnp.asarray(value, jnp.float64) for value in parameters))
        result = _evaluate(formula, arrays, as_double(held))
        traced = any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(result))
        return result if traced else to_numpy(result)


@functools.partial(jax.jit, static_argnums=0)
def _evaluate(formula: Callable[..., Any], arrays: list[Array], held: tuple[Any, ...]) -> Any:
    shape = arrays[0].shape
    flat = jax.vmap(lambda *row: formula(*row, *held))(*(array.reshape(-1) for array in arrays))
    return jax.tree.map(lambda leaf: leaf.reshape(shape + leaf.shape[1:]), flat)

"""In what precision a verb of this wing computes: float64, as all verbs; inside a program, the program's.

A kernel's eigenvalues spread over more digits than float32 has, and what training does along the small ones decides
the answer. So the verbs compute in float64 whatever JAX's flag says and return NumPy arrays. Inside `jit`, `vmap` and
`grad` they follow the flag, since a derivative runs where its program runs, and say so in float32.

A kernel between inputs, and the tangent kernel of a function, have the precision of what they are given: float32 stays,
anything else is float64. Products of float32 are full ones everywhere.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from dyntheory.ground.arrays import Array, PyTree
from dyntheory.ground.checks import is_concrete
from dyntheory.ground.precision import double_precision, full_products
from dyntheory.ground.status import DyntheoryWarning
from dyntheory.ground.tracing import is_traced

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def in_double(verb: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Make a verb compute in float64 and return NumPy arrays; inside a program it follows JAX's flag."""

    @functools.wraps(verb)
    def inside(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        is_single = jnp.result_type(float) != jnp.float64
        if not is_traced((args, kwargs)):
            with double_precision():
                result = verb(*args, **kwargs)
            if not (is_single and is_traced(result)):
                return jax.tree.map(lambda leaf: leaf if isinstance(leaf, Tracer) else np.asarray(leaf), result)
        if is_single:
            warnings.warn(
                f"`{verb.__name__}` inside of jit, vmap or grad computes in float32, where kernels that are nearly "
                "singular lose their digits: set jax_enable_x64, or call it outside.",
                DyntheoryWarning,
                stacklevel=2,
            )
        with full_products():
            return verb(*args, **kwargs)

    return inside


def in_precision_of(given: PyTree, compute: Callable[[], Result], *, by: Any = None) -> Result:
    """Return what `compute` does in the precision of what is given: float64 unless all of it is coarser or traced.

    Results are NumPy arrays where JAX's flag alone would have made them float32.

    Args:
        given: arrays, lists of numbers, or a tree of them.
        compute: called in that precision.
        by: the function or network that computes, which may hold traced numbers of its own.
    """
    is_single = jnp.result_type(float) != jnp.float64
    if is_single and not (all(map(_is_coarse, jax.tree.leaves(given))) or is_traced((given, by))):
        with double_precision():
            result = compute()
        if not is_traced(result):
            return jax.tree.map(np.asarray, result)
    with full_products():
        return compute()


def _is_coarse(leaf: Any) -> bool:
    """Return whether a leaf says that it wants less than float64."""
    kind = getattr(leaf, "dtype", np.dtype(float))
    return jnp.issubdtype(kind, jnp.floating) and jnp.finfo(kind).bits < 64


def common_precision(*given: Any) -> Any:
    """Return the floating type of arrays that are all coarser than float64, else JAX's."""
    leaves = jax.tree.leaves(given)
    return jnp.result_type(*(leaf.dtype for leaf in leaves) if all(map(_is_coarse, leaves)) else (float,))


def real_array(name: str, value: Any) -> Array:
    """Return finite numbers in JAX's floating type.

    Raises:
        TypeError: not real numbers.
        ValueError: NaN or infinity.
    """
    try:
        array = value if isinstance(value, jax.Array) else jnp.asarray(value) if is_traced(value) else np.asarray(value)
    except (TypeError, ValueError) as error:
        raise TypeError(f"`{name}` must be an array of numbers, got {type(value).__name__}.") from error
    if not (jnp.issubdtype(array.dtype, jnp.floating) or np.dtype(array.dtype).kind in "iub"):
        raise TypeError(f"`{name}` must hold real numbers, got dtype {array.dtype}.")
    require_finite(name, array)
    return jnp.asarray(array, jnp.result_type(float))


def require_finite(name: str, array: Array | np.ndarray) -> None:
    """Require numbers without NaN and infinity; values that are being traced pass.

    Raises:
        ValueError: there are some; the text says how many and where the first one is.
    """
    if not is_concrete(array) or not jnp.issubdtype(array.dtype, jnp.inexact):
        return
    with jax.ensure_compile_time_eval():
        is_finite = bool((np if isinstance(array, np.ndarray) else jnp).isfinite(array).all())
    if is_finite:
        return
    bad = np.argwhere(~np.isfinite(np.asarray(array)))
    raise ValueError(
        f"`{name}` must be finite; {len(bad)} of its {array.size} numbers are NaN or infinite, the first at "
        f"{tuple(bad[0].tolist())}: leave those rows out, or fill them in."
    )


def rounding_of(*arrays: Any) -> float:
    """Return ε of the coarsest array as it was given, and no less than that of the precision in force."""
    kinds = [np.dtype(getattr(array, "dtype", float)) for array in arrays]
    floating = [kind for kind in kinds if jnp.issubdtype(kind, jnp.floating)]
    return max(float(jnp.finfo(kind).eps) for kind in (*floating, jnp.result_type(float)))

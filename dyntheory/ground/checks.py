"""Validators for public arguments: what was required, what was received, what to do.

Values that are being traced by JAX cannot be inspected and pass unchecked; the verbs check before tracing. Of what kind
a value must be is the matter of `kinds`; here stand the ranges.
"""

from __future__ import annotations

import sys
from numbers import Real
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

MOST_SHOWN = 120


def is_concrete(value: Any) -> bool:
    """Return whether `value` is a number or array that can be inspected now."""
    if isinstance(value, list | tuple):
        return not _is_traced(value)
    return isinstance(value, Real | np.ndarray | np.generic | jax.Array) and not isinstance(value, Tracer)


def _is_traced(value: Any) -> bool:
    return any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(value))


def _is_real(dtype: Any) -> bool:
    return jnp.issubdtype(dtype, jnp.floating) or jnp.issubdtype(dtype, jnp.integer)


def is_number(value: Any) -> bool:
    """Return whether `value` is one real number, an array without axes say; what JAX is tracing is one."""
    if isinstance(value, Tracer):
        return True
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        return _is_real(value.dtype) and value.ndim == 0 and not isinstance(value, np.ma.MaskedArray)
    return isinstance(value, Real) and not isinstance(value, bool) and _fits_a_float(value)


def _fits_a_float(value: Real) -> bool:
    try:
        float(value)
    except OverflowError:
        return False
    return True


def holds_numbers(value: Any) -> bool:
    """Return whether `value` is a real number or an array of them; lists, tables and whatever NumPy reads count."""
    if isinstance(value, str | bytes | bytearray | dict | type | np.ma.MaskedArray) or value is None:
        return False
    if is_number(value):
        return True
    if isinstance(value, list | tuple) and _is_traced(value):
        return True
    try:
        dtype = value.dtype if isinstance(value, np.ndarray | np.generic | jax.Array) else np.asarray(value).dtype
    except (TypeError, ValueError):
        return False
    if dtype.kind == "O":
        return np.ndim(value) > 0 and all(map(is_number, np.asarray(value).flat))
    return _is_real(dtype) or (dtype.kind == "b" and np.ndim(value) > 0)


def shown(value: Any) -> str:
    """Return a value for a message, cut where it is long, with its type."""
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # an integer of thousands of digits
        text = "a number"
    return f"{text if len(text) <= MOST_SHOWN else text[:MOST_SHOWN] + ' …'} of type {type(value).__name__}"


def _numbers(name: str, value: Any) -> np.ndarray:
    """Return real numbers as an array; refuse what is none, also where NumPy would read it as one."""
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"`{name}` is a masked array, whose mask would be lost: fill or drop what is masked.")
    if not holds_numbers(value):
        raise TypeError(f"`{name}` must be a number, got {shown(value)}.")
    return np.asarray(value, dtype=float)


def _require(name: str, value: Any, rule: str, holds: Any) -> None:
    if isinstance(value, Tracer) or (isinstance(value, list | tuple) and _is_traced(value)):
        return
    if not holds_numbers(value) and not isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"`{name}` must be a number ({rule}), got {shown(value)}.")
    array = _numbers(name, value)
    if array.size == 0:
        raise ValueError(f"`{name}` must hold at least one number, got {value!r}.")
    if not bool(np.all(np.isfinite(array) & holds(array))):
        also = " and finite" if np.any(np.isinf(array)) and rule != "finite" else ""
        raise ValueError(f"`{name}` must be {rule}{also}, got {value!r}.")


def check_scalar(name: str, value: Any) -> None:
    """Require a single number, not an array of them; traced values may be batched by vmap."""
    if isinstance(value, list | tuple) or (is_concrete(value) and np.shape(value) != ()):
        raise TypeError(f"`{name}` must be a single number, got {value!r}: use jax.vmap or a loop for several.")


def check_positive(name: str, value: Any, meaning: str = "") -> None:
    """Require finite numbers above zero; `meaning` is added to the message."""
    _require(name, value, "positive" + (f" ({meaning})" if meaning else ""), lambda a: a > 0)


def check_nonnegative(name: str, value: Any, meaning: str = "") -> None:
    """Require finite numbers not below zero."""
    _require(name, value, "zero or positive" + (f" ({meaning})" if meaning else ""), lambda a: a >= 0)


def check_fraction(name: str, value: Any) -> None:
    """Require numbers between zero and one, both included."""
    _require(name, value, "between 0 and 1", lambda a: (a >= 0) & (a <= 1))


def check_finite(name: str, value: Any) -> None:
    """Require finite numbers."""
    _require(name, value, "finite", lambda a: np.ones(a.shape, bool))


def check_count(name: str, value: Any, *, minimum: int = 1) -> int:
    """Require an integer not below `minimum` and return it as a Python int."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"`{name}` must be an integer, got {value!r} of type {type(value).__name__}.")
    if value < minimum:
        raise ValueError(f"`{name}` must be at least {minimum}, got {value}.")
    if value > sys.maxsize:
        raise ValueError(f"`{name}` must be at most {sys.maxsize}, got a larger number.")
    return int(value)


def check_key(key: Any) -> None:
    """Require one typed JAX random key."""
    if isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        if key.shape == ():
            return
        raise ValueError(f"`key` must be a single key, got an array of keys of shape {key.shape}.")
    shown = f"an array of dtype {key.dtype}" if isinstance(key, jax.Array | np.ndarray) else repr(key)
    raise TypeError(f"`key` must be a typed JAX key: pass `jax.random.key(0)`, got {shown}.")


def check_second_moment(name: str, value: Any, size: int, *, tolerance: float = 1e-9) -> None:
    """Require a symmetric, positive semidefinite (size, size) matrix of finite numbers."""
    if isinstance(value, Tracer) or (isinstance(value, list | tuple) and _is_traced(value)):
        return
    matrix = _numbers(name, value)
    if matrix.shape != (size, size):
        raise ValueError(f"`{name}` must have shape ({size}, {size}), got {matrix.shape}.")
    if not np.all(np.isfinite(matrix)):
        raise ValueError(f"`{name}` must be finite, got {matrix.tolist()}.")
    scale = max(float(np.abs(matrix).max(initial=0.0)), 1e-300)
    if np.abs(matrix - matrix.T).max(initial=0.0) > tolerance * scale:
        raise ValueError(f"`{name}` must be symmetric, got {matrix.tolist()}.")
    smallest = float(np.linalg.eigvalsh((matrix + matrix.T) / 2).min(initial=0.0))
    if smallest < -tolerance * scale:
        raise ValueError(
            f"`{name}` must be positive semidefinite (it is a second moment); "
            f"its smallest eigenvalue is {smallest:.3g}."
        )

"""Is a function a scalar function, applied to every entry alone? Arrays are compared with their entries.

Softmax, x/‖x‖, x − mean, a cumulative sum or a sort look like activations, but have no value at a single number: what
is computed of them by quadrature depends on the nodes. Norms that act only when they are large are read in the program.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from dyntheory.ground.precision import double_precision
from dyntheory.ground.programs.entries import ENTRIES, RULES, Dependence
from dyntheory.ground.programs.interpret import outcome, program
from dyntheory.ground.tracing import is_traced

POINTS = np.random.default_rng(20260).permutation((np.arange(12) + 0.37) / 12)
ROWS, SHORT = (3, 4), 5
AGREEMENT = 1e-8

_passed: weakref.WeakSet[Any] = weakref.WeakSet()


def check_elementwise(name: str, function: Callable[..., Any], *, between: tuple[float, float] = (-4.0, 4.0)) -> None:
    """Require a JAX function whose value at each entry of an array depends on that entry alone.

    Twelve numbers are given as a vector, as a matrix in another order, in part, and one by one. A function that holds
    values which are being traced cannot be looked at and passes.

    Args:
        name: of the argument, for the message.
        function: (any shape) -> the same shape.
        between: numbers on which it is defined.

    Raises:
        TypeError: it is not a function, or not written in JAX.
        ValueError: it changes the shape or the kind of number, or couples the entries.
    """
    if not callable(function):
        raise TypeError(f"`{name}` must be a function of arrays such as jnp.tanh, got {function!r}.")
    if _is_known(function) or is_traced(function):
        return
    points = between[0] + (between[1] - between[0]) * POINTS
    shown = getattr(function, "__name__", repr(function))
    found = _values(name, shown, function, points)
    if any(isinstance(values, Tracer) for values in found):
        return
    vector, matrix, part, alone = (np.asarray(values) for values in found)
    alone = alone[:, 0]
    tolerance = AGREEMENT * np.median(np.abs(alone[np.isfinite(alone)])) if np.isfinite(alone).any() else 0.0
    for values, expected in ((vector, alone), (matrix[::-1].reshape(-1), alone), (part, alone[:SHORT])):
        if not np.allclose(values, expected, rtol=AGREEMENT, atol=tolerance, equal_nan=True):
            raise _couples(name, shown, "its values on an array differ from those on its entries")
    coupled_by = _coupled_by(function)
    if coupled_by in RULES:  # what has no rule is judged by the values alone
        raise _couples(name, shown, f"its `{coupled_by}` runs over several, even if it does not change these values")
    _remember(function)


def _couples(name: str, shown: str, reason: str) -> ValueError:
    return ValueError(
        f"`{name}` must act on every entry alone, and {shown} couples them: {reason}. Softmax, normalisation, "
        "centring, sums and sorts are layers, not activations."
    )


def _coupled_by(function: Callable[..., Any]) -> str:
    """Return the operation by which entries see each other at some values, or nothing."""
    with double_precision():
        closed, _ = program(function, jax.ShapeDtypeStruct(POINTS.shape, jnp.zeros(()).dtype))
    return outcome(ENTRIES, closed, [Dependence(axis=0)])[0].coupled_by


def _values(name: str, shown: str, function: Callable[..., Any], points: np.ndarray) -> tuple[Any, ...]:
    """Return the values on all of the points, on their reversed rows, on some, and on each alone."""

    def everywhere(z: jax.Array) -> tuple[Any, ...]:
        inputs = z, z.reshape(ROWS)[::-1], z[:SHORT]
        found = (*(function(array) for array in inputs), jax.vmap(function)(z[:, None]))
        for array, value in zip((*inputs, z[:, None]), found, strict=True):
            if np.shape(value) != array.shape:
                raise ValueError(f"it returned shape {np.shape(value)} for an array of shape {array.shape}")
            if not jnp.issubdtype(jnp.result_type(value), jnp.floating):
                raise TypeError(f"it returned {jnp.result_type(value)} for real numbers")
        return found

    try:
        with jax.ensure_compile_time_eval(), double_precision():
            return jax.jit(everywhere)(jnp.asarray(points))
    except (jax.errors.TracerArrayConversionError, jax.errors.ConcretizationTypeError) as error:
        hint = f"take jnp.{shown}" if isinstance(function, np.ufunc) else "use jax.numpy, and jnp.where for `if`"
        raise TypeError(f"`{name}` must be written in JAX, and {shown} asks for the numbers: {hint}.") from error
    except (TypeError, ValueError, IndexError, AttributeError) as error:
        raise ValueError(
            f"`{name}` must act entry by entry on arrays of any shape, and {shown} does not: {error}."
        ) from (error)


def _is_known(function: Callable[..., Any]) -> bool:
    try:
        return function in _passed
    except TypeError:  # it has no hash or no weak references
        return False


def _remember(function: Callable[..., Any]) -> None:
    try:
        _passed.add(function)
    except TypeError:
        return

"""Is a program being traced through a value: through a number, or through what a function or an object holds?"""

from __future__ import annotations

import functools
import types
from typing import Any

import jax
import numpy as np
from jax.core import Tracer


def is_traced(value: Any) -> bool:
    """Return whether a number is being traced: in a tree, or in what its objects and functions hold."""
    return _holds_tracer(value, set())


def _holds_tracer(value: Any, seen: set[int]) -> bool:
    for leaf in jax.tree.leaves(value):
        if isinstance(leaf, Tracer):
            return True
        if id(leaf) in seen or isinstance(leaf, jax.Array | np.ndarray | np.generic | int | float | str):
            continue
        seen.add(id(leaf))
        if any(_holds_tracer(part, seen) for part in _parts(leaf)):
            return True
    return False


def _parts(value: Any) -> list[Any]:
    """Return what an object holds, or a function closes over."""
    if isinstance(value, type | types.ModuleType):
        return []
    if isinstance(value, functools.partial):
        return [value.func, value.args, value.keywords]
    if isinstance(value, types.MethodType):
        return [value.__func__, value.__self__]
    held = list(getattr(value, "__dict__", {}).values())  # a function that was wrapped is among them
    if isinstance(value, types.FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or () if cell != types.CellType()]
        return [*cells, value.__defaults__, value.__kwdefaults__, *held]
    return held

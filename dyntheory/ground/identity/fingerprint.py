"""What a computation is, as a short text: two computations with the same one may share a checkpoint.

Numbers and arrays that were given count with all their bits. Functions count by their code, constants, defaults and
closures, and by the globals they use, recursively (`functions`), objects by their class and what they hold (`objects`).
What a factory of the library made of numbers counts by what the factory was asked for (`request`): its result is
rounded, and on another processor rounded differently. What cannot be seen is refused.
"""

from __future__ import annotations

import types
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from dyntheory.ground.identity.functions import (
    describe_cell,
    describe_class,
    describe_code,
    describe_function,
    describe_module,
    describe_wrapper,
)
from dyntheory.ground.identity.libraries import name_in_library
from dyntheory.ground.identity.objects import describe_object
from dyntheory.ground.identity.request import request_of
from dyntheory.ground.identity.walk import Part, Walk

PLAIN = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis), type(NotImplemented))
SEQUENCES, SETS = (list, tuple), (set, frozenset)


def fingerprint(value: Any) -> str:
    """Return 64 hexadecimal digits that identify a value: numbers, arrays, functions, objects, containers.

    The same on every machine with the same versions of Python (3.11, say) and of the libraries that it uses.

    Raises:
        ValueError: something in it cannot be seen: an open file, a lock, a function that calls `globals`.
    """
    walk = Walk(_describe)
    try:
        return walk.digest(value).hex()
    except RecursionError:
        walk.refuse("is nested too deeply")


def _describe(value: Any, walk: Walk) -> list[Part]:
    if type(value) in PLAIN:
        return [type(value).__name__, value if isinstance(value, bytes) else repr(value)]
    if isinstance(value, Tracer):
        walk.refuse("a number that is being traced, has no value yet")
    asked = request_of(value)
    if asked is not None:
        return ["asked for", asked]
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        return _describe_array(value, walk)
    if type(value) in SEQUENCES:
        return [type(value).__name__, *walk.digests(value)]
    if type(value) in SETS:
        return [type(value).__name__, *sorted(walk.digest(one) for one in value)]
    if isinstance(value, dict | types.MappingProxyType) and type(value) in (dict, types.MappingProxyType):
        return ["dict", *(walk.digest(part, f"[{key!r}]") for key, one in value.items() for part in (key, one))]
    return _describe_code_like(value, walk)


def _describe_code_like(value: Any, walk: Walk) -> list[Part]:
    if isinstance(value, types.CodeType):
        return describe_code(value, walk)
    if isinstance(value, types.CellType):
        return describe_cell(value, walk)
    if isinstance(value, types.ModuleType):
        return describe_module(value, walk)
    if callable(value):
        library = name_in_library(value)
        if library is not None:
            return ["library", library]
    if isinstance(value, types.FunctionType):
        return describe_function(value, walk)
    if isinstance(value, type):
        return describe_class(value, walk)
    return describe_wrapper(value, walk) or describe_object(value, walk)


def _describe_array(value: Any, walk: Walk) -> list[Part]:
    if isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        return ["key", str(jax.random.key_impl(value)), *_describe_array(jax.random.key_data(value), walk)]
    array = np.asarray(value)
    form: list[Part] = ["array", str(array.dtype), str(array.shape)]
    if array.dtype.hasobject:
        return [*form, *walk.digests(array.ravel().tolist())]
    mask: list[Part] = [_bytes(np.ma.getmaskarray(value))] if isinstance(value, np.ma.MaskedArray) else []
    return [*form, _bytes(array), *mask]


def _bytes(array: np.ndarray) -> memoryview:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data

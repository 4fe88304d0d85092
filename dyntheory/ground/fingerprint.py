"""What a computation is, as a short text: two computations with the same one may share a checkpoint.

Numbers count with all their bits, functions with their source, their defaults and what they close over. What has no
source cannot be told from another, and is refused.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import inspect
import types
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def fingerprint(value: Any) -> str:
    """Return 64 hexadecimal digits that identify a value: numbers, arrays, functions, dataclasses, containers.

    Raises:
        ValueError: a function without source.
    """
    digest = hashlib.sha256()
    for part in _describe(value, ()):
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()


def _describe(value: Any, seen: tuple[int, ...]) -> list[str]:
    if id(value) in seen:
        return ["again"]
    seen = (*seen, id(value))
    if value is None or isinstance(value, bool | int | float | str | bytes):
        return [type(value).__name__, repr(value)]
    if isinstance(value, type):
        return ["type", value.__module__, value.__qualname__]
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        return _describe_array(value)
    if isinstance(value, functools.partial):
        return ["partial", *_describe([value.func, value.args, value.keywords], seen)]
    if isinstance(value, types.MethodType):
        return ["method", value.__func__.__qualname__, *_describe(value.__self__, seen)]
    if isinstance(value, dict):
        return ["dict", *_flat([[*_describe(k, seen), *_describe(v, seen)] for k, v in value.items()])]
    if isinstance(value, list | tuple | set | frozenset):
        parts = [_describe(item, seen) for item in value]
        return [type(value).__name__, *_flat(sorted(parts) if isinstance(value, set | frozenset) else parts)]
    if dataclasses.is_dataclass(value):
        fields = [[field.name, *_describe(getattr(value, field.name), seen)] for field in dataclasses.fields(value)]
        return [type(value).__qualname__, *_flat(fields)]
    if callable(value):
        return _describe_function(value, seen)
    raise ValueError(f"{value!r} cannot be identified, so the run cannot be resumed: run it without a checkpoint.")


def _flat(parts: list[list[str]]) -> list[str]:
    return [text for part in parts for text in part]


def _describe_array(value: Any) -> list[str]:
    if isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        value = jax.random.key_data(value)
    array = np.asarray(value)
    return ["array", str(array.dtype), str(array.shape), hashlib.sha256(array.tobytes()).hexdigest()]


def _describe_function(function: Any, seen: tuple[int, ...]) -> list[str]:
    plain = inspect.unwrap(function)
    name = f"{getattr(plain, '__module__', '')}.{getattr(plain, '__qualname__', type(plain).__qualname__)}"
    state = getattr(plain, "__dict__", {})
    if not isinstance(plain, types.FunctionType):
        if type(plain).__module__.startswith(("jax", "jaxlib", "numpy")) or not state:
            return ["library", name]
        return ["object", name, *_describe({k: v for k, v in state.items() if not k.startswith("__")}, seen)]
    try:
        source = inspect.getsource(plain)
    except (OSError, TypeError):
        raise ValueError(
            f"The function {name} has no source to be identified by (was it typed into a prompt?), so the run cannot "
            "be resumed: put it into a file, or run without a checkpoint."
        ) from None
    cells = [cell.cell_contents for cell in plain.__closure__ or ()]
    return ["function", name, source, *_describe([cells, plain.__defaults__, plain.__kwdefaults__], seen)]

"""Objects by their class and their state: fields, slots, items, or what a compiled class says of itself."""

from __future__ import annotations

import dataclasses
import enum
import functools
import sys
import types
from typing import Any

from dyntheory.ground.identity.libraries import name_in_library
from dyntheory.ground.identity.walk import Part, Walk

CONTAINERS: tuple[Any, ...] = (dict, list, tuple, set, frozenset, int, float, complex, str, bytes)
POINTER = object.__basicsize__ // 2
OF_A_NAME = (*functools.WRAPPER_ASSIGNMENTS, "__annotations__", "__annotate__")  # copied from what is wrapped
OF_A_PLACE = ("parent", "name")  # of a flax linen module: where it stands, not what it is


def describe_object(value: Any, walk: Walk) -> list[Part]:
    """Return what tells an object from any other."""
    cls = type(value)
    found: list[Part] = ["object", walk.digest(cls, f"the class {cls.__qualname__}")]
    if isinstance(value, enum.Enum):
        return [*found, value.name]
    if _has_hidden_state(cls):
        return [*found, *_told_by_itself(value, walk)]
    for kind in CONTAINERS:
        if isinstance(value, kind):
            found += [kind.__name__, walk.digest(kind(value))]
    held = _held(value)
    return [*found, *walk.named(sorted(held.items()), f"{cls.__qualname__}'s")]


def _held(value: Any) -> dict[str, Any]:
    """Return fields, attributes and slots by name.

    What a cached property of a library keeps follows from them. One of a person's own class may have been overwritten:
    it counts, and is computed where it was not yet, so that an object is the same before and after use.
    """
    cls = type(value)
    held = {name: one for name, one in getattr(value, "__dict__", {}).items() if name not in OF_A_NAME}
    if _is_dataclass_of_a_library(cls):
        names = [field.name for field in dataclasses.fields(cls) if field.name not in OF_A_PLACE or not _is_linen(cls)]
        fields = {name: getattr(value, name) for name in names if hasattr(value, name)}
        if _is_linen(cls) or name_in_library(cls) is not None:
            return fields
        held |= fields  # a person's subclass may keep more than its fields
    for base in cls.__mro__:
        slots = base.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else tuple(slots):
            mangled = f"_{base.__name__.lstrip('_')}{name}" if name.startswith("__") and name[-2:] != "__" else name
            if hasattr(value, mangled):
                held[mangled] = getattr(value, mangled)
        cached = [name for name, one in vars(base).items() if isinstance(one, functools.cached_property)]
        held = {name: one for name, one in held.items() if name not in cached}
        if name_in_library(base) is None:
            held |= {name: getattr(value, name) for name in cached}
    if _is_nnx(cls):  # traces of the process, which are no part of a module
        held = {name: one for name, one in held.items() if not name.endswith(("__state", "_trace_state"))}
    return held


def _is_dataclass_of_a_library(cls: type) -> bool:
    """Whether fields are all there is: of a dataclass of a library or of one that stands on it, as flax modules do."""
    if not dataclasses.is_dataclass(cls):
        return False
    return any(dataclasses.is_dataclass(base) and name_in_library(base) is not None for base in cls.__mro__)


def _is_linen(cls: type) -> bool:
    linen: Any = sys.modules.get("flax.linen")
    return linen is not None and issubclass(cls, linen.Module)


def _is_nnx(cls: type) -> bool:
    return any(base.__module__.startswith("flax.nnx.") for base in cls.__mro__)


def _has_hidden_state(cls: type) -> bool:
    """Whether objects of the class hold more than attributes, slots and items: what compiled code put into them."""
    base = next((kind for kind in CONTAINERS if issubclass(cls, kind)), object)
    expected = base.__basicsize__ + POINTER * (cls.__dictoffset__ > 0) + POINTER * (cls.__weakrefoffset__ > 0)
    for one in cls.__mro__:
        slots = one.__dict__.get("__slots__", ())
        named = (slots,) if isinstance(slots, str) else tuple(slots)
        expected += POINTER * sum(name not in ("__dict__", "__weakref__") for name in named)
    return cls.__basicsize__ > expected


def _told_by_itself(value: Any, walk: Walk) -> list[Part]:
    """Return what a wrapper wraps (`jax.jit`, `functools.cache`), else what an object would write into a pickle."""
    wrapped = getattr(value, "__wrapped__", None)
    if callable(value) and callable(wrapped):
        return ["wrapper", walk.digest(wrapped)]
    try:
        told = value.__reduce_ex__(2)
    except Exception as error:  # whatever a class raises that has nothing to say
        walk.refuse(f"a {type(value).__module__}.{type(value).__qualname__}, does not show what it holds ({error})")
    if isinstance(told, str):
        walk.refuse(f"a {type(value).__qualname__}, is known by its name alone ({told})")
    makes, arguments, *state = told
    listed = [list(one) if isinstance(one, types.GeneratorType) or hasattr(one, "__next__") else one for one in state]
    return ["reduced", *walk.digests([makes, arguments, *listed])]

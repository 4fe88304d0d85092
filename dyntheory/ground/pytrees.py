"""Dataclasses as trees of JAX whose constructor checks what people give it, and nothing that JAX puts in its place.

`jax.tree_util.register_dataclass` calls the constructor whenever JAX rebuilds a value, with whatever stands in for
numbers there: shapes, axes, batches, `object()`. A constructor that has to let these through lets everything through.
"""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

import jax

Data = TypeVar("Data")


def register_data(cls: type[Data]) -> type[Data]:
    """Register a dataclass: its fields are leaves, those with `metadata={"static": True}` part of the structure."""
    fields = dataclasses.fields(cls)  # pyright: ignore[reportArgumentType]
    return register_leaves(cls, [field.name for field in fields if not field.metadata.get("static")])


def register_leaves(cls: type[Data], leaves: list[str]) -> type[Data]:
    """Register a dataclass of which only these fields are leaves."""
    fields = dataclasses.fields(cls)  # pyright: ignore[reportArgumentType]
    static = [field.name for field in fields if field.name not in leaves]

    def flatten(value: Data) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        return tuple(getattr(value, name) for name in leaves), tuple(getattr(value, name) for name in static)

    def flatten_with_keys(value: Data) -> tuple[tuple[tuple[Any, Any], ...], tuple[Any, ...]]:
        children, structure = flatten(value)
        return tuple(zip(map(jax.tree_util.GetAttrKey, leaves), children, strict=True)), structure

    def unflatten(structure: tuple[Any, ...], children: Any) -> Data:
        value = object.__new__(cls)
        for name, part in (*zip(leaves, children, strict=True), *zip(static, structure, strict=True)):
            object.__setattr__(value, name, part)
        return value

    jax.tree_util.register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)
    return cls

"""The way back from named arrays and a description: every hint says what to build."""

from __future__ import annotations

import enum
import importlib
import typing
from collections.abc import Mapping
from typing import Any

import numpy as np

from dyntheory.ground.arrays import PyTree
from dyntheory.ground.storage.encode import CLASS
from dyntheory.ground.storage.marks import CLASSES, Axes, Hint, Leaves, hints_of

Arrays: typing.TypeAlias = Mapping[str, np.ndarray]


def class_named(name: Any) -> type:
    """Return the class that a file names.

    Raises:
        ValueError: there is none.
    """
    if isinstance(name, str) and name not in CLASSES:
        _import_public(name)
    if not isinstance(name, str) or name not in CLASSES:
        raise ValueError(f"This dyntheory knows no result or part named {name!r}: upgrade dyntheory.")
    return CLASSES[name]


def _import_public(name: str) -> None:
    """Import the module of a result that nobody has asked for in this process: results are public names."""
    package = importlib.import_module(__name__.partition(".")[0])
    if name in package.__all__:
        getattr(package, name)


def rebuilt(cls: Any, description: dict[str, Any], arrays: Arrays) -> Any:
    """Return what `described` took apart; a field that is not described, being newer, has its default.

    Raises:
        LookupError, TypeError, ValueError: the description is not one of this class, or an array is missing.
    """
    hints = hints_of(cls).items()
    return cls(**{name: _value(hint, description[name], arrays) for name, hint in hints if name in description})


def _value(hint: Hint, described: Any, arrays: Arrays) -> Any:
    if described is None:
        if hint.is_optional:
            return None
        raise ValueError("what must be given is missing")
    if hint.mark(Leaves) is not None:
        return _tree(described, arrays)
    if hint.mark(Axes) is not None:
        return arrays[described]
    origin = typing.get_origin(hint.kind)
    if origin is dict:
        hints = hint.of_items(len(described))
        return {key: _value(one, item, arrays) for one, (key, item) in zip(hints, described.items(), strict=True)}
    if origin is tuple:
        hints = hint.of_items(len(described))
        return tuple(_value(one, item, arrays) for one, item in zip(hints, described, strict=True))
    if hint.is_plain:
        return _plain(hint.kind, described)
    if hint.is_structure:
        return rebuilt(hint.kind, described, arrays)
    return _named(described, arrays)


def _plain(kind: Any, described: Any) -> Any:
    if kind is Any:
        return described
    if typing.get_origin(kind) is typing.Literal:
        allowed: tuple[Any, ...] = typing.get_args(kind)
        if described not in allowed:
            raise ValueError(f"{described!r} is none of {', '.join(map(str, allowed))}")
        return described
    if issubclass(kind, enum.Enum):
        return kind(described)
    if not isinstance(described, int | float if kind is float else kind):
        raise ValueError(f"{described!r} is no {kind.__name__}")
    return described


def _named(described: Any, arrays: Arrays) -> Any:
    """Build a value of which the hint does not tell the class."""
    if isinstance(described, list):
        return tuple(_named(one, arrays) for one in described)
    if isinstance(described, dict):
        return rebuilt(class_named(described[CLASS]), described, arrays)
    return described


def _tree(node: list[Any], arrays: Arrays) -> PyTree:
    kind, *rest = node
    if kind == "none":
        return None
    if kind == "leaf":
        return arrays[rest[0]]
    if kind == "dict":
        return {key: _tree(child, arrays) for key, child in rest[0]}
    if kind not in ("list", "tuple"):
        raise ValueError(f"a tree has an unknown container {kind!r}")
    nodes = [_tree(child, arrays) for child in rest[0]]
    return nodes if kind == "list" else tuple(nodes)

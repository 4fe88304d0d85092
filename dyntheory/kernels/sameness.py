"""Which layers are the same: built alike from the same numbers and functions, whoever built them.

Equality of Python is not enough: 1 == 1.0 == True and 0.0 == −0.0, which make different programs, and arrays have none.
What has no plain description is the same as itself only.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from fractions import Fraction
from typing import Any, TypeVar

Made = TypeVar("Made")
PLAIN = (bool, int, float, str, Fraction, type(None))


class Same:
    """Anything, equal to what was built alike."""

    def __init__(self, value: Any) -> None:
        self.value = value
        self.key = _key(value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


class _Itself:
    """What is the same as itself only; it holds on to it, so that no other takes its place in memory."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Itself) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


def _key(value: Any) -> Any:
    kind = type(value)
    if kind in PLAIN:
        return kind, repr(value)
    if kind is tuple:
        return kind, tuple(map(_key, value))
    if dataclasses.is_dataclass(value) and kind.__dataclass_params__.frozen:  # pyright: ignore[reportAttributeAccessIssue]
        return kind, tuple(_key(getattr(value, field.name)) for field in dataclasses.fields(value))
    return _Itself(value)


def _is_plain(value: Any) -> bool:
    return all(map(_is_plain, value)) if type(value) is tuple else type(value) in PLAIN


def shared(factory: Callable[..., Made]) -> Callable[..., Made]:
    """Return the factory, which makes one thing only of the same numbers and words."""

    @functools.lru_cache(maxsize=256)
    def made(arguments: Same) -> Made:
        positional, keywords = arguments.value
        return factory(*positional, **dict(keywords))

    @functools.wraps(factory)
    def sharing(*positional: Any, **keywords: Any) -> Made:
        if all(map(_is_plain, (*positional, *keywords.values()))):
            return made(Same((positional, tuple(sorted(keywords.items())))))
        return factory(*positional, **keywords)

    return sharing

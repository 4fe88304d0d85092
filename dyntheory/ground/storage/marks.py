"""What the hints of a class say about its fields, and which classes a file may name.

`train_loss: Annotated[np.ndarray, Axes("step")]` says what the axes of an array mean. All else is said by the hint
itself: numbers, names, dictionaries, tuples, dataclasses and NamedTuples, each of them perhaps None.
"""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

Class = TypeVar("Class", bound=type)
Kind = TypeVar("Kind")

CLASSES: dict[str, type] = {}


def storable(cls: Class) -> Class:
    """Let files name a class: results, and what stands in a field whose hint does not tell the class.

    Raises:
        TypeError: another class has that name.
    """
    known = CLASSES.setdefault(cls.__name__, cls)
    if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
        raise TypeError(f"Two classes are stored as {cls.__name__!r}: {known.__module__} and {cls.__module__}.")
    return cls


class Axes:
    """Names of the axes of an array.

    Args:
        *names: in order.
        least: how many of them there must be; default all.
    """

    def __init__(self, *names: str, least: int | None = None) -> None:
        self.names, self.least = names, len(names) if least is None else least


class Coordinate(Axes):
    """The one axis that the array labels; other arrays of the same class must have as many entries along it."""


class Leaves(Axes):
    """Names of the leading axes of every leaf of a tree; what follows is the leaf's own."""


@dataclasses.dataclass(frozen=True)
class Stacked:
    """An axis that stands before all others in every array of a part; the part's coordinate may go without."""

    name: str


@dataclasses.dataclass(frozen=True)
class StoredAs:
    """A function that gives what is stored in the place of a value, from which the class makes the value again."""

    form: Callable[[Any], Any]


@dataclasses.dataclass(frozen=True)
class Hint:
    """The hint of a field, taken apart.

    Args:
        kind: a class, a generic one, a union, or Any.
        marks: what stood beside it in `Annotated`.
        is_optional: whether the field may be None.
    """

    kind: Any
    marks: tuple[Any, ...] = ()
    is_optional: bool = False

    @classmethod
    def of(cls, hint: Any) -> Hint:
        """Take a hint apart, in whichever order `Annotated` and `| None` stand."""
        if typing.get_origin(hint) is Annotated:
            inner = cls.of(hint.__origin__)
            return dataclasses.replace(inner, marks=(*inner.marks, *hint.__metadata__))
        members = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else ()
        if type(None) in members:
            rest = functools.reduce(lambda one, other: one | other, [m for m in members if m is not type(None)])
            return dataclasses.replace(cls.of(rest), is_optional=True)
        return cls(hint, is_optional=hint is Any)

    def mark(self, kind: type[Kind]) -> Kind | None:
        """Return the mark of that class, or None."""
        return next((mark for mark in self.marks if isinstance(mark, kind)), None)

    @property
    def is_array(self) -> bool:
        """Whether the field holds one array."""
        return self.mark(Axes) is not None and self.mark(Leaves) is None

    @property
    def is_structure(self) -> bool:
        """Whether the field holds a dataclass or a NamedTuple."""
        return isinstance(self.kind, type) and (dataclasses.is_dataclass(self.kind) or hasattr(self.kind, "_fields"))

    @property
    def is_plain(self) -> bool:
        """Whether the field holds a number, a name, or whatever has a JSON form."""
        is_scalar = isinstance(self.kind, type) and issubclass(self.kind, str | int | float)
        return is_scalar or self.kind is Any or typing.get_origin(self.kind) is typing.Literal

    def of_items(self, count: int) -> list[Hint]:
        """Return the hints of `count` values in a dictionary or a tuple."""
        arguments = typing.get_args(self.kind)
        if typing.get_origin(self.kind) is tuple and arguments[-1] is not Ellipsis:
            return [Hint.of(one) for one in arguments]
        return [Hint.of(arguments[-1 if typing.get_origin(self.kind) is dict else 0])] * count


@functools.cache
def hints_of(cls: Any) -> dict[str, Hint]:
    """Return the hints of the fields of a dataclass or a NamedTuple, in order."""
    hints = typing.get_type_hints(cls, include_extras=True)
    names = [one.name for one in dataclasses.fields(cls)] if dataclasses.is_dataclass(cls) else cls._fields
    return {name: Hint.of(hints[name]) for name in names}

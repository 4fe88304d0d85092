"""What an entry of a file has to be, checked before anything is built from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from dyntheory._checks import check_name


@dataclasses.dataclass(frozen=True)
class Kind:
    """What a value has to be."""

    description: str
    holds: Callable[[Any], bool]


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, float) or _is_count(value)


def _is_matrix(value: Any) -> bool:
    if not isinstance(value, list) or not value or not all(isinstance(row, list) and row for row in value):
        return False
    return len({len(row) for row in value}) == 1 and all(_is_number(entry) for row in value for entry in row)


NUMBER = Kind("a number", _is_number)
COUNT = Kind("an integer", _is_count)
FLAG = Kind("true or false", lambda value: isinstance(value, bool))
NAME = Kind('a name in quotes, "…"', lambda value: isinstance(value, str))
COUNTS = Kind("a list of integers", lambda value: isinstance(value, list) and all(map(_is_count, value)))
MATRIX = Kind("a matrix written as a list of rows of numbers", _is_matrix)
MOMENT = Kind("a number or a matrix written as a list of rows", lambda value: _is_number(value) or _is_matrix(value))
RATE = Kind("a number or a schedule", lambda value: _is_number(value) or isinstance(value, dict))


def check_entries(
    table: str,
    entries: Mapping[str, Any],
    kinds: Mapping[str, Kind],
    *,
    required: Mapping[str, str] | None = None,
    choice: str | None = None,
) -> None:
    """Check the keys of a table and the kinds of their values.

    Args:
        table: its name.
        entries: what it holds.
        kinds: the keys that it may hold.
        required: keys that must be there, each with the reason.
        choice: the key whose value decides which keys are known.

    Raises:
        TypeError: a value of the wrong kind.
        ValueError: an unknown key, or one that is missing.
    """
    where = f"[{table}]" if choice is None else f"[{table}] with {choice} = {entries[choice]!r}"
    for key, value in entries.items():
        kind = kinds[check_name(f"key of {where}:", key, kinds)]
        if not kind.holds(value):
            raise TypeError(f"`{table}.{key}` must be {kind.description}, got {value!r}.")
    for key, reason in (required or {}).items():
        if key not in entries:
            raise ValueError(f"`{table}.{key}` is missing: {reason}.")

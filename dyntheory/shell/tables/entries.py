"""What an entry of a file has to be, checked before anything is built from it.

A table with `kind` is a call: the kind names a function in a table of functions, the other entries are its arguments.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

from dyntheory.ground.names import check_name

LARGEST_INTEGER = 2**63


@dataclasses.dataclass(frozen=True)
class Kind:
    """What a value has to be, and what argument is made of it under the name of its entry."""

    description: str
    holds: Callable[[Any], bool]
    read: Callable[[str, Any], Any] = lambda name, value: value


@dataclasses.dataclass(frozen=True)
class Choice:
    """What a `kind` stands for.

    Args:
        make: the function that is called.
        kinds: the arguments that may be written down.
        needed: those that have to be, each with the reason.
    """

    make: Callable[..., Any]
    kinds: Mapping[str, Kind]
    needed: Mapping[str, str] = dataclasses.field(default_factory=dict)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, float) or _is_count(value)


def _is_matrix(value: Any) -> bool:
    if not isinstance(value, list) or not value or not all(isinstance(row, list) and row for row in value):
        return False
    return len({len(row) for row in value}) == 1 and all(_is_number(entry) for row in value for entry in row)


def _is_numbers(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_number, value))


NUMBER = Kind("a number", _is_number)
COUNT = Kind("an integer", _is_count)
FLAG = Kind("true or false", lambda value: isinstance(value, bool))
NAME = Kind('a name in quotes, "…"', lambda value: isinstance(value, str))
COUNTS = Kind(
    "a list of integers",
    lambda value: isinstance(value, list) and all(map(_is_count, value)),
    lambda name, value: tuple(value),
)
NUMBERS = Kind("a list of numbers", _is_numbers)
MATRIX = Kind("a matrix written as a list of rows of numbers", _is_matrix)
MOMENT = Kind("a number or a matrix written as a list of rows", lambda value: _is_number(value) or _is_matrix(value))


def _is_table_of(holds: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, dict) and bool(value) and all(map(holds, value.values()))


def _is_over(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(isinstance(point, dict) and point for point in value)
    return _is_table_of(lambda values: isinstance(values, list) and bool(values))(value)


NAMES = Kind("a list of names", lambda value: isinstance(value, list) and all(isinstance(name, str) for name in value))
OVER = Kind(
    "a table of keys with lists of values, { noise_std = [0.1, 0.3] }, or a list of tables, one a point", _is_over
)
BOUNDS = Kind(
    "a table of keys with two bounds, { learning_rate = [0.0, 2.0] }",
    _is_table_of(lambda value: _is_numbers(value) and len(value) == 2),
)


def with_floats(value: Any) -> Any:
    """Return nested tables and lists with integers that no machine holds as floating-point numbers, infinite at worst.

    Example:
        >>> with_floats({"run": {"num_steps": 3, "seed": 10**30, "sizes": [10**400]}})
        {'run': {'num_steps': 3, 'seed': 1e+30, 'sizes': [inf]}}
    """
    if isinstance(value, dict):
        return {key: with_floats(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [with_floats(entry) for entry in value]
    if not _is_count(value) or abs(value) < LARGEST_INTEGER:
        return value
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


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


def build(table: str, entries: Mapping[str, Any], choices: Mapping[str, Choice]) -> Any:
    """Return what the entry `kind` of a table names, made of the other entries.

    Args:
        table: its name, such as "law.features".
        entries: what it holds.
        choices: what `kind` may be.

    Raises:
        TypeError: a value of the wrong kind.
        ValueError: an unknown kind or key, or one that is missing.
    """
    if "kind" not in entries:
        raise ValueError(f"`{table}.kind` is missing: one of {', '.join(sorted(choices))}.")
    choice = choices[check_name(f"`{table}.kind`", entries["kind"], choices)]
    check_entries(table, entries, {"kind": NAME, **choice.kinds}, required=choice.needed, choice="kind")
    return choice.make(**read_entries(table, entries, choice.kinds))


def read_entries(table: str, entries: Mapping[str, Any], kinds: Mapping[str, Kind]) -> dict[str, Any]:
    """Return the arguments that the entries with these kinds stand for."""
    return {key: kinds[key].read(f"{table}.{key}", value) for key, value in entries.items() if key in kinds}


def table_of(what: str, choices: Mapping[str, Choice]) -> Kind:
    """Return the kind of an entry that is itself a table with `kind`."""
    example = sorted(choices)[0]
    description = f'{what}, a table such as {{ kind = "{example}", … }}'
    return Kind(description, lambda value: isinstance(value, dict), lambda name, value: build(name, value, choices))

"""Entries given on the command line: `key=value` with the key dotted and the value in TOML."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dyntheory.ground.names import check_name

BARE = re.compile(r"[A-Za-z_][\w.+-]*")


def parse_value(text: str) -> Any:
    """Return a value written in TOML; a bare word is a string.

    Raises:
        ValueError: it is neither.

    Example:
        >>> parse_value("[3, 3]"), parse_value("0.5"), parse_value("relu")
        ([3, 3], 0.5, 'relu')
    """
    try:
        table = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):  # no TOML, thousands of digits, thousands of brackets
        table = {}
    if set(table) == {"value"}:
        return table["value"]
    if BARE.fullmatch(text.strip()):
        return text.strip()
    raise ValueError(f"{text!r} is not a value: write a number, true or false, a word, or a list such as [3, 3].")


def apply_overrides(
    tables: dict[str, Any],
    assignments: Sequence[str],
    *,
    known_keys: Callable[[Mapping[str, Any]], Mapping[str, Sequence[str]]],
) -> dict[str, Any]:
    """Write the assignments into `tables` and return it.

    Args:
        tables: nested dictionaries.
        assignments: "table.key=value"; the table may be left out where one alone has the key: "num_steps=30".
        known_keys: from the tables so far to the keys that each of them may have.

    Raises:
        ValueError: no "=", an unreadable value, an unknown table or key, a key of several tables, a key inside
            something that is no table.
    """
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        parts = [part.strip() for part in name.split(".")]
        if not equals or not all(parts):
            raise ValueError(f"--set takes key=value, such as method.learning_rate=0.3, got {assignment!r}.")
        try:
            parts = locate(parts, known_keys(tables))
            assign(tables, parts, parse_value(text))
        except ValueError as error:
            raise ValueError(f"--set {assignment}: {error}") from error
    return tables


def locate(parts: list[str], known: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the parts of a name with its table, which may be left out where one alone has the key.

    Raises:
        ValueError: an unknown table or key, or a key of several tables.
    """
    if len(parts) > 1 or parts[0] in known:
        check_name("table", parts[0], known)
        return parts
    check_name("key", parts[0], {key for keys in known.values() for key in keys})
    tables = [table for table, keys in known.items() if parts[0] in keys]
    if len(tables) > 1:
        written = " or ".join(f"{table}.{parts[0]}" for table in tables)
        raise ValueError(f"{parts[0]!r} is a key of several tables: write {written}.")
    return [*tables, *parts]


def assign(tables: dict[str, Any], parts: Sequence[str], value: Any) -> None:
    """Write a value into nested tables.

    Raises:
        ValueError: a part before the last is no table.
    """
    for part in parts[:-1]:
        tables = tables.setdefault(part, {})
        if not isinstance(tables, dict):
            raise ValueError(f"{part!r} is not a table, so it has no entry {parts[-1]!r}.")
    tables[parts[-1]] = value

"""Tables of a problem as TOML text: one table a heading, tables inside an entry on its line."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def toml_text(table: Mapping[str, Any]) -> str:
    """Return a file of TOML with these tables.

    Raises:
        TypeError: a value that TOML does not have, such as None.

    Example:
        >>> print(toml_text({"law": {"noise_std": 0.3, "teacher_prior": {"kind": "laplace"}}, "run": {"seed": 0}}))
        [law]
        noise_std = 0.3
        teacher_prior = { kind = "laplace" }
        <BLANKLINE>
        [run]
        seed = 0
        <BLANKLINE>
    """
    loose = [_line(key, value) for key, value in table.items() if not isinstance(value, Mapping)]
    blocks = ["\n".join(loose) + "\n"] if loose else []
    for name, entries in table.items():
        if isinstance(entries, Mapping):
            lines = [f"[{_key(name)}]", *(_line(key, value) for key, value in entries.items())]
            blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def value_text(value: Any) -> str:
    r"""Return one value as TOML writes it.

    Raises:
        TypeError: a value that TOML does not have.

    Example:
        >>> value_text([True, 1, 1e-9, {"30": "a\n"}])
        '[true, 1, 1e-09, { 30 = "a\\n" }]'
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else str(value)
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, Mapping):
        inside = ", ".join(_line(key, entry) for key, entry in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(value_text, value))}]"
    raise TypeError(f"A file of TOML holds text, numbers, true or false, lists and tables, got {value!r}.")


def _line(key: str, value: Any) -> str:
    return f"{_key(key)} = {value_text(value)}"


def _key(name: str) -> str:
    return name if BARE_KEY.fullmatch(name) else _quoted(name)


def _quoted(text: str) -> str:
    """Return a basic string: JSON's escapes are TOML's, but for the delete character, which JSON leaves as it is."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")

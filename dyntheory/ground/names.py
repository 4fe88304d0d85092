"""Names that a user gives, told from those that there are; apart from other checks, as it needs no other package."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


def check_name(kind: str, name: Any, known: Iterable[str]) -> str:
    """Require `name` to be one of `known`; the error names the nearest known one."""
    choices = sorted(known)
    if isinstance(name, str) and name in choices:
        return name
    message = f"Unknown {kind} {name!r}."
    near = difflib.get_close_matches(str(name), choices, n=1, cutoff=0.55)
    if near:
        message += f" Did you mean {near[0]!r}?"
    raise ValueError(f"{message} Known: {', '.join(choices)}.")

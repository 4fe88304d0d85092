"""What a file of data holds, before anything is decided about it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class RawColumns(NamedTuple):
    """Columns and labels of a file, in the order of its rows.

    Args:
        numbers: (n, p), NaN where an entry is missing.
        names: of these p columns.
        words: by name (n,) objects: words, None where one is missing.
        labels: (n,), numbers with NaN or words with None where one is missing.
        notes: what was done so far, one sentence each.
    """

    numbers: np.ndarray
    names: tuple[str, ...]
    words: dict[str, np.ndarray]
    labels: np.ndarray
    notes: tuple[str, ...]

    def of_rows(self, kept: np.ndarray) -> RawColumns:
        """Return the columns at some of the rows."""
        words = {name: column[kept] for name, column in self.words.items()}
        return self._replace(numbers=self.numbers[kept], words=words, labels=self.labels[kept])

    def without(self, dropped: set[str]) -> RawColumns:
        """Return the columns less those with these names."""
        kept = [name not in dropped for name in self.names]
        words = {name: column for name, column in self.words.items() if name not in dropped}
        names = tuple(name for name in self.names if name not in dropped)
        return self._replace(numbers=self.numbers[:, kept], names=names, words=words)


def quoted(names: Sequence[str], most: int = 6) -> str:
    """Return names as a shell takes them, the first few of many.

    Example:
        >>> quoted(["a", "living room"])
        "a 'living room'"
    """
    return " ".join(map(shlex.quote, names[:most])) + " …" * (len(names) > most)


def listed(names: Sequence[str], most: int = 6) -> str:
    """Return names with commas between them, the first few of many.

    Example:
        >>> listed(("a", "b", "c"), most=2)
        'a, b and 1 more'
    """
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"

"""Which mark stands between the entries of a CSV file, by its first lines."""

from __future__ import annotations

import csv
from pathlib import Path

SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|", "space": r"\s+"}
SAMPLE = 2**16
MOST_LINES = 30


def detected_separator(path: Path) -> str:
    """Return the name of the mark that cuts most of the first lines into as many entries as the header.

    Where several do, the one that cuts finest; where none does, the comma.
    """
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        sample = file.read(SAMPLE)
    lines = [line for line in sample.splitlines(keepends=True) if line.strip()]
    lines = (lines if len(sample) < SAMPLE else lines[:-1])[:MOST_LINES] or lines
    widths = {name: _width(lines, mark) for name, mark in SEPARATORS.items()}
    named = {name: width for name, width in widths.items() if width > 1 and name != "space"}
    if named:
        return max(named, key=lambda name: named[name])
    return "space" if widths["space"] > 1 else "comma"


def _width(lines: list[str], mark: str) -> int:
    """Return the number of entries of the header, zero where fewer than half of the lines have as many."""
    rows = [line.split() for line in lines] if len(mark) > 1 else _cut(lines, mark)
    counts = [len(row) for row in rows if row]
    return counts[0] if counts and 2 * counts.count(counts[0]) > len(counts) else 0


def _cut(lines: list[str], mark: str) -> list[list[str]]:
    try:
        return list(csv.reader(lines, delimiter=mark, skipinitialspace=True))
    except csv.Error:
        return []

"""Numbers as people write them, 1,234.5 or 1.234,5: which mark is which is read off a column, never guessed.

A column of 1,234 and 5,678 alone can mean either; in a file separated by commas the comma groups thousands, elsewhere a
person has to say.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple, TypeAlias

from dyntheory.shell.tables.raw_columns import listed

Frame: TypeAlias = Any  # a table of pandas, which has no types to go by
Column: TypeAlias = Any
SPACES = " '’\u00a0\u202f"  # group thousands in either style


def _pattern(mark: str, group: str) -> re.Pattern[str]:
    grouped = rf"\d{{1,3}}(?:(?P<g>[{re.escape(group + SPACES)}])\d{{3}})(?:(?P=g)\d{{3}})*"
    return re.compile(rf"[+-]?(?:{grouped}|\d+|(?={re.escape(mark)}\d))(?:{re.escape(mark)}\d*)?(?:[eE][+-]?\d+)?")


MARKS = {"point": (".", ","), "comma": (",", ".")}  # decimals, thousands
PATTERNS = {style: _pattern(*marks) for style, marks in MARKS.items()}
LIKE_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}\.\d{3}|[+-]?\d+")


class Styles(NamedTuple):
    """Which columns of words are numbers: only with decimal points, only with decimal commas, with either."""

    point: tuple[str, ...]
    comma: tuple[str, ...]
    either: tuple[str, ...]


def text_columns(frame: Frame) -> list[str]:
    """Return the names of the columns that hold words."""
    return [name for name, kind in frame.dtypes.items() if kind.kind not in "fiubMm"]


def styles(frame: Frame) -> Styles:
    """Return how the columns of words write numbers, where all of their entries are numbers."""
    matches = {name: {style for style in PATTERNS if _all_match(frame[name], style)} for name in text_columns(frame)}
    found = {style: tuple(n for n, those in matches.items() if those == {style}) for style in PATTERNS}
    return Styles(found["point"], found["comma"], tuple(n for n, those in matches.items() if len(those) == 2))


def decimal_mark(frame: Frame, separator: str) -> str:
    """Return "point" or "comma", the decimal mark of a table that was read with points.

    Raises:
        ValueError: columns contradict each other, or their numbers can mean either.
    """
    found = styles(frame)
    if found.comma and found.point:
        raise ValueError(
            f"{listed(found.comma)} seem to have decimal commas and {listed(found.point)} decimal points: say "
            "--decimal comma or --decimal point."
        )
    grouped = [name for name in found.either if frame[name].str.contains(",", regex=False).any()]
    if found.comma or found.point or separator == "comma" or not grouped:
        return "comma" if found.comma else "point"
    example = next(entry for entry in frame[grouped[0]].dropna() if "," in entry)
    raise ValueError(
        f"Numbers such as {example!r} in column {grouped[0]!r} can mean two things: say --decimal comma, or --decimal "
        "point where the comma groups thousands."
    )


def check_marks(frame: Frame, style: str) -> None:
    """Require that no column of words is one of numbers with the other decimal mark.

    Args:
        frame: the columns.
        style: the decimal mark with which they were read.

    Raises:
        ValueError: there is one.
    """
    other = "comma" if style == "point" else "point"
    contrary = getattr(styles(frame), other)
    if contrary:
        raise ValueError(
            f"The file is read with the decimal {style}, and {listed(contrary)} must have the decimal {other}: write "
            "all numbers in one way, or leave columns out with --drop."
        )


def suspicious(frame: Frame) -> list[str]:
    """Return columns of numbers that may be thousands with a point, 1.234 for 1234; none where one column is clear."""
    names = [name for name, kind in frame.dtypes.items() if kind.kind == "f"]
    broken = {name: frame[name].dropna() for name in names}
    broken = {name: column[column % 1 != 0].abs() for name, column in broken.items()}
    broken = {name: column for name, column in broken.items() if len(column)}
    like = [((c >= 1) & (c < 1000) & ((c * 1000 - (c * 1000).round()).abs() < 1e-6)).all() for c in broken.values()]
    return list(broken) if broken and all(like) else []


def check_points(texts: Frame) -> None:
    """Require a column in which a point marks decimals, given those that are in doubt as they are written.

    Raises:
        ValueError: every number could as well have a point between its thousands.
    """
    for name in texts.columns:
        entries = texts[name].dropna().str.strip()
        if not entries.map(lambda entry: LIKE_THOUSANDS.fullmatch(entry) is not None).all():
            return
    name = texts.columns[0]
    example = next(entry for entry in texts[name].dropna() if "." in entry)
    raise ValueError(
        f"Numbers such as {example!r} in column {name!r} can mean two things: say --decimal point, or --decimal comma "
        "where the point groups thousands."
    )


def with_numbers(frame: Frame, style: str) -> tuple[Frame, list[str]]:
    """Return the table with the words that are numbers as numbers, and the names of columns with grouped digits."""
    mark, group = MARKS[style]
    names = [name for name in text_columns(frame) if _all_match(frame[name], style)]
    grouped = []
    for name in names:
        plain = frame[name].str.strip().str.replace(f"[{re.escape(group + SPACES)}]", "", regex=True)
        grouped += [name] * bool((plain != frame[name].str.strip())[plain.notna()].any())
        frame[name] = plain.str.replace(mark, ".", regex=False).astype(float)
    return frame, grouped


def _all_match(column: Column, style: str) -> bool:
    entries = column.dropna()
    if not len(entries):
        return False
    return all(isinstance(entry, str) and PATTERNS[style].fullmatch(entry.strip()) is not None for entry in entries)

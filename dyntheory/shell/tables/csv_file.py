"""CSV files as columns: separator, decimal mark, row numbers, dates and words, each found or said, and noted."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from dyntheory.ground.names import check_name
from dyntheory.shell.tables.dates import date_columns, with_days
from dyntheory.shell.tables.number_words import (
    Column,
    Frame,
    check_marks,
    check_points,
    decimal_mark,
    suspicious,
    text_columns,
    with_numbers,
)
from dyntheory.shell.tables.raw_columns import RawColumns, listed
from dyntheory.shell.tables.reading import Reading
from dyntheory.shell.tables.separators import SEPARATORS, detected_separator

MISSING = ("?",)  # beside what pandas knows: an empty entry, NA, NaN, null and the like
SPACED = ("", "?", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None")  # the same with a space behind
NUMBER = re.compile(r"[+-]?\d+[.,]\d+(?:[eE][+-]?\d+)?")
UNNAMED = "Unnamed: "  # what pandas calls a column without a name


def read_csv(path: Path, target: str, reading: Reading) -> RawColumns:
    """Read the columns of a CSV file.

    Args:
        path: the file.
        target: the name of the labels.
        reading: how.

    Raises:
        ValueError: no table, no such column, numbers or dates that can mean two things, dates that were not asked for.
    """
    separator = reading.separator or detected_separator(path)
    frame, notes = _table(path, separator, reading.decimal or "point", target, reading)
    style = reading.decimal or _style(path, frame, separator)
    if style != (reading.decimal or "point"):
        frame, notes = _table(path, separator, style, target, reading)
    check_marks(frame, style)
    frame, grouped = with_numbers(frame, style)
    notes = [*_how(separator, style, grouped), *notes]
    if target in date_columns(frame):
        raise ValueError(f"The target {target!r} holds dates, which are no labels: name another column.")
    frame, dates = with_days(frame, reading.dates)
    if dates:
        notes.append(f"dates became days since the earliest: {listed(dates)}")
    return _columns(frame, target, notes)


def _how(separator: str, style: str, grouped: list[str]) -> list[str]:
    """Say how the file was read, where that is not as in most files."""
    found = []
    if separator != "comma" or style != "point":
        found.append(f"read with the separator {separator} and the decimal {style}")
    if grouped:
        group = "comma" if style == "point" else "point"
        found.append(f"read as numbers with a {group} or a space between thousands: {listed(grouped)}")
    return found


def _frame(path: Path, separator: str, style: str, **options: Any) -> Frame:
    pandas = _pandas()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pandas.errors.ParserWarning)
            return pandas.read_csv(
                path,
                sep=SEPARATORS[separator],
                decimal="." if style == "point" else ",",
                index_col=False,
                skipinitialspace=True,
                na_values=MISSING,
                low_memory=False,
                encoding="utf-8-sig",
                **options,
            )
    except UnicodeDecodeError as error:
        raise ValueError(f"'{path}' is not UTF-8 text ({error}): save it as CSV in UTF-8.") from error
    except pandas.errors.ParserWarning as error:
        raise ValueError(
            f"The rows of '{path}' have more entries than its header has names: name every column, that of row numbers "
            "as well."
        ) from error
    except Exception as error:  # on a damaged file pandas raises whatever comes first
        raise ValueError(f"'{path}' is not a CSV table: {str(error) or type(error).__name__}") from error


def _pandas() -> Any:
    try:
        import pandas
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "CSV files are read by pandas, which is not installed: pip install 'dyntheory[data]'."
        ) from error
    return pandas


def _style(path: Path, frame: Frame, separator: str) -> str:
    style = decimal_mark(frame, separator)
    if style == "point" and separator != "comma" and (names := suspicious(frame)):
        check_points(_frame(path, separator, style, dtype=str)[names])
    return style


def _table(path: Path, separator: str, style: str, target: str, reading: Reading) -> tuple[Frame, list[str]]:
    """Return the table without unwanted and empty columns and without row numbers, and what was left out unasked."""
    frame = _frame(path, separator, style)
    frame.columns = names = [str(name).strip() for name in frame.columns]
    for name in text_columns(frame):
        stripped = frame[name].str.strip()
        frame[name] = frame[name].where(~stripped.isin(SPACED))
    header = _frame(path, separator, style, header=None, nrows=1, dtype=str, keep_default_na=False)
    written = [str(name).strip() for name in header.to_numpy().ravel()]  # pandas makes y and y.1 of y and y
    if twice := sorted({name for name in written if name and written.count(name) > 1}):
        raise ValueError(f"Columns need different names, got {listed(twice)} more than once.")
    if len(frame) == 0:
        raise ValueError(f"'{path}' has no row below its header.")
    _check_header(path, names)
    for name in (target, *reading.drop):
        check_name("column", name, names)
    frame = frame.drop(columns=list(reading.drop))
    counts = [name for name in frame.columns[:1] if name.startswith(UNNAMED) and _counts(frame[name].to_numpy())]
    empty = [name for name in frame.columns if name not in (target, *counts) and frame[name].isna().all()]
    notes = ["the numbers of the rows, a first column without a name, were left out"] if counts else []
    if empty:
        notes.append(f"empty columns were left out: {listed(empty)}")
    return frame.drop(columns=[*counts, *empty]), notes


def _check_header(path: Path, names: list[str]) -> None:
    """Require a first line of several names."""
    if len(names) == 1:
        raise ValueError(
            f"'{path}' was read as the one column {names[0]!r}: name the mark between its entries with --separator."
        )
    if all(NUMBER.fullmatch(name) for name in names):
        raise ValueError(
            f"The first line of '{path}' must name the columns, it holds numbers: {listed(names, most=3)}."
        )


def _counts(column: np.ndarray) -> bool:
    """Return whether the entries are consecutive integers."""
    return column.dtype.kind in "iu" and bool(np.all(np.diff(column) == 1))


def _columns(frame: Frame, target: str, notes: list[str]) -> RawColumns:
    words = {name: _words(frame[name]) for name in text_columns(frame)}
    labels = words.pop(target) if target in words else frame[target].to_numpy()
    numbers = [name for name in frame.columns if name not in (target, *words)]
    return RawColumns(frame[numbers].to_numpy(dtype=float), tuple(numbers), words, labels, tuple(notes))


def _words(column: Column) -> np.ndarray:
    """Return the words of a column, None where one is missing."""
    missing = column.isna().to_numpy()
    return np.array([None if gone else str(word).strip() for gone, word in zip(missing, column, strict=True)], object)

"""Columns of dates: days since the earliest where a person asks for that, refused otherwise.

01/02/2024 is in January or in February: what a column does not settle has to be said.
"""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np

from dyntheory.shell.tables.number_words import Column, Frame, text_columns
from dyntheory.shell.tables.raw_columns import quoted

MONTHS = 12
MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
CLOCK = r"(?:[T ,]+\d{1,2}:\d{2}.*)?"
DATES = re.compile(
    rf"(?:\d{{4}}[-/.]\d{{1,2}}(?:[-/.]\d{{1,2}})?|\d{{1,2}}[-/.]\d{{1,2}}[-/.](?:\d{{4}}|\d{{2}})"
    rf"|\d{{1,2}}[-/. ]{{1,2}}{MONTH}[-/., ]{{1,2}}\d{{2,4}}|{MONTH} \d{{1,2}},? \d{{4}}){CLOCK}",
    re.IGNORECASE,
)
NUMERIC = r"^\s*(\d{1,2})[-/.](\d{1,2})[-/.]"
SHORT_YEAR = re.compile(
    rf"\s*\d{{1,2}}(?:[-/.]\d{{1,2}}[-/.]|[-/. ]{{1,2}}{MONTH}[-/., ]{{1,2}})\d{{2,3}}(?!\d)", re.IGNORECASE
)
WRITTEN = {"days": "in one way", "day-first": "with the day first", "month-first": "with the month first"}
REFUSED = "--dates days counts the days since the earliest, --drop {name} leaves the column out"


def date_columns(frame: Frame) -> list[str]:
    """Return the names of the columns whose entries all look like dates."""
    return [name for name in text_columns(frame) if _all_dates(frame[name])]


def with_days(frame: Frame, order: str | None) -> tuple[Frame, list[str]]:
    """Return the table with days since the earliest in the place of dates, NaN for those missing, and which columns.

    Args:
        frame: the columns.
        order: "days", "day-first" or "month-first"; None refuses dates.

    Raises:
        ValueError: dates that were not asked for, or that can be read in two ways.
    """
    names = date_columns(frame)
    for name in names:
        if order is None:
            example = frame[name].dropna().iloc[0]
            raise ValueError(f"Column {name!r} holds dates ({example!r}): {REFUSED.format(name=quoted([name]))}.")
        frame[name] = days(_moments(name, frame[name], order))
    return frame, names


def days(moments: Any) -> np.ndarray:
    """Return datetimes as days since the earliest, NaN where one is missing."""
    stamps = np.asarray(moments, dtype="datetime64[us]")
    given = stamps[~np.isnat(stamps)]
    since = stamps - given.min() if len(given) else stamps - stamps
    return np.where(np.isnat(stamps), np.nan, since / np.timedelta64(1, "D"))


def _all_dates(column: Column) -> bool:
    entries = column.dropna()
    return len(entries) > 0 and all(DATES.fullmatch(str(entry).strip()) is not None for entry in entries)


def _moments(name: str, column: Column, order: str) -> np.ndarray:
    """Return the dates of a column as UTC."""
    short = next((entry for entry in column.dropna() if SHORT_YEAR.match(entry)), None)
    if short is not None:
        raise ValueError(
            f"{short!r} in column {name!r} may be of several centuries: write years with four digits, or leave the "
            f"column out with --drop {quoted([name])}."
        )
    year_first = column.dropna().str.match(r"\s*\d{4}").all()
    wanted = {"day-first": (True,), "month-first": (False,), "days": (True, False)}[order]
    wanted = (False,) if year_first else wanted  # 2024-02-01 is in February whoever writes it
    read = [moments for day_first in wanted if (moments := _parsed(column, day_first)) is not None]
    if not read:
        raise ValueError(
            f"The dates of column {name!r} are not all written {WRITTEN[order]}: leave it out with --drop "
            f"{quoted([name])}."
        )
    if any(not np.array_equal(read[0], other, equal_nan=True) for other in read[1:]):
        example = column.dropna().iloc[0]
        raise ValueError(f"{example!r} in column {name!r} is two dates: say --dates day-first or --dates month-first.")
    return read[0]


def _parsed(column: Column, day_first: bool) -> np.ndarray | None:
    import pandas

    months = column.str.extract(NUMERIC)[1 if day_first else 0].astype(float)
    if (months > MONTHS).any():
        return None  # pandas would read that one the other way
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            moments = pandas.to_datetime(column.str.strip(), dayfirst=day_first, utc=True)
        except (ValueError, OverflowError, TypeError):
            return None
    return moments.dt.tz_localize(None).to_numpy().astype("datetime64[us]")

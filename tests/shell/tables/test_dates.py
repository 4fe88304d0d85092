"""Dates: days where that is asked for, refused with the way to ask otherwise."""

from __future__ import annotations

import numpy as np
import pandas
import pytest

from dyntheory.shell.tables.dates import date_columns, days, with_days

WRITTEN = {
    "days": ["2024-02-01", "2024-02-03", None],
    "days ": ["13/02/2024", "15/02/2024", None],
    "days  ": ["1 Feb 2024", "3 Feb 2024", None],
    "days   ": ["2024-02-01 00:00", "2024-02-03 00:00", None],
    "day-first": ["01/02/2024", "03/02/2024", None],
    "month-first": ["02/01/2024", "02/03/2024", None],
    "day-first ": ["01.02.2024", "03.02.2024", None],
}


@pytest.mark.parametrize("order", WRITTEN)
def test_days_since_the_earliest(order: str) -> None:
    frame, names = with_days(pandas.DataFrame({"day": WRITTEN[order], "word": ["a", "b", "c"]}), order.strip())
    assert names == ["day"]
    np.testing.assert_array_equal(frame["day"], [0.0, 2.0, np.nan])


def test_dates_are_refused_until_they_are_asked_for() -> None:
    with pytest.raises(
        ValueError, match=r"Column 'the day' holds dates \('2024-02-01'\): --dates days .* --drop 'the day'"
    ):
        with_days(pandas.DataFrame({"the day": WRITTEN["days"]}), None)
    with pytest.raises(ValueError, match="'01/02/2024' in column 'day' is two dates: say --dates day-first or"):
        with_days(pandas.DataFrame({"day": WRITTEN["day-first"]}), "days")
    with pytest.raises(ValueError, match="not all written in one way"):
        with_days(pandas.DataFrame({"day": ["2024-13-45", "2024-01-01"]}), "days")


@pytest.mark.parametrize(("order", "odd"), [("month-first", "13/02/2024"), ("day-first", "12/31/2024")])
def test_a_date_in_another_order_than_was_said_is_refused(order: str, odd: str) -> None:
    """The library below reads such a date the other way round, and says nothing."""
    for column in ([odd], ["01/02/2024", odd, None]):
        with pytest.raises(ValueError, match=f"not all written with the {order[:-6]} first"):
            with_days(pandas.DataFrame({"day": column}), order)
    frame, _ = with_days(pandas.DataFrame({"day": [odd, odd]}), "days")
    np.testing.assert_array_equal(frame["day"], 0.0)


@pytest.mark.parametrize("short", ["17.05.52", "05/17/52", "17 May 52", "17-05-52 10:00", "17 Jan 952"])
@pytest.mark.parametrize("order", ["days", "day-first", "month-first"])
def test_years_of_two_digits_are_refused(short: str, order: str) -> None:
    """Births from 1940 to 1999 were put into two centuries, cut at fifty years from today."""
    with pytest.raises(ValueError, match="'born' may be of several centuries: write years with four digits"):
        with_days(pandas.DataFrame({"born": ["17.05.1952", None, short]}), order)


@pytest.mark.parametrize("words", [["1.2.3", "v1"], ["red", "may"], ["12:30", "13:00"], ["3-4", "5-6"], ["A-1", "B-2"]])
def test_words_are_not_dates(words: list[str]) -> None:
    assert date_columns(pandas.DataFrame({"a": words})) == []


def test_missing_dates_stay_missing() -> None:
    np.testing.assert_array_equal(days(np.array(["NaT", "NaT"], dtype="datetime64[D]")), [np.nan, np.nan])

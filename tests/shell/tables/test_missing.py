"""Missing and infinite entries are never taken for a constant column, and never filled or left out unasked."""

from __future__ import annotations

import numpy as np
import pytest

from dyntheory.shell.tables.missing import without_missing
from dyntheory.shell.tables.raw_columns import RawColumns
from dyntheory.shell.tables.reading import Reading


def raw() -> RawColumns:
    numbers = np.array([[1.0, 4.0], [np.nan, 5.0], [3.0, np.inf], [8.0, 7.0], [9.0, 9.0]])
    words = np.array(["red", "red", "blue", None, "blue"], dtype=object)
    return RawColumns(numbers, ("a", "b"), {"colour": words}, np.arange(5.0), ())


def test_they_are_named_with_the_ways_out() -> None:
    with pytest.raises(ValueError, match=r"a \(row 2\), b \(row 3\), colour \(row 4\)") as caught:
        without_missing(raw(), "y", Reading())
    for way in ("--drop-rows", "--impute", "--drop a b colour"):
        assert way in str(caught.value)


def test_rows_are_left_out() -> None:
    kept = without_missing(raw(), "y", Reading(drop_rows=True))
    np.testing.assert_array_equal(kept.numbers, [[1.0, 4.0], [9.0, 9.0]])
    np.testing.assert_array_equal(kept.labels, [0.0, 4.0])
    assert kept.words["colour"].tolist() == ["red", "blue"]
    assert kept.notes == ("3 of 5 rows with missing or infinite entries were left out",)


def test_medians_and_most_frequent_words_are_filled_in() -> None:
    filled = without_missing(raw(), "y", Reading(impute=True))
    assert filled.numbers[1, 0] == np.median([1, 3, 8, 9]) and filled.numbers[2, 1] == np.median([4, 5, 7, 9])
    assert filled.words["colour"][3] == "blue"
    assert "a (1 rows), b (1 rows), colour (1 rows)" in filled.notes[0]


def test_labels_are_not_imputed() -> None:
    holes = raw()._replace(labels=np.array([0.0, np.nan, 2.0, 3.0, 4.0]))
    with pytest.raises(ValueError, match=r"Labels are not imputed: y \(row 2\)"):
        without_missing(holes, "y", Reading(impute=True))
    kept = without_missing(holes, "y", Reading(impute=True, drop_rows=True))
    assert len(kept.labels) == 4 and np.isfinite(kept.numbers).all()


def test_nothing_to_go_on() -> None:
    empty = raw()._replace(numbers=np.full((5, 2), np.nan))
    with pytest.raises(ValueError, match="'a' has no finite entry to impute from"):
        without_missing(empty, "y", Reading(impute=True))
    with pytest.raises(ValueError, match="Every row misses an entry"):
        without_missing(empty, "y", Reading(drop_rows=True))

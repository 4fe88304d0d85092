"""A copy of the labels among the columns is refused; a good column is not."""

from __future__ import annotations

import numpy as np
import pytest

from dyntheory.shell.tables.label_copies import check_gaps, without_copies
from dyntheory.shell.tables.raw_columns import RawColumns
from tests.shell.conftest import random_rows

ROWS, PRICES = random_rows(60, 3)
CLASSES = np.array(["red", "green", "blue"], dtype=object)[np.arange(60) % 3]


def table(labels: np.ndarray, column: np.ndarray) -> RawColumns:
    if column.dtype.kind == "O":
        return RawColumns(ROWS, ("a", "b", "c"), {"twin": column}, labels, ())
    return RawColumns(np.column_stack([ROWS, column]), ("a", "b", "c", "twin"), {}, labels, ())


COPIES = {
    "the same": (PRICES, PRICES),
    "a multiple": (PRICES, 3.0 - 1e150 * PRICES),
    "rounded": (PRICES, PRICES.round(3)),
    "its logarithm": (PRICES, np.log(PRICES + 10)),
    "classes as words": (CLASSES, np.array(["x", "z", "y"], dtype=object)[np.arange(60) % 3]),
    "classes as codes": (CLASSES, np.arange(60) % 3),
    "codes as words": (np.arange(60) % 3, CLASSES),
    "two classes": (np.where(PRICES > 0, 1, -1), (PRICES > 0).astype(float)),
}
GOOD = {
    "noise": (PRICES, PRICES + 0.1 * ROWS[:, 0]),
    "a part": (PRICES, (PRICES > 0).astype(float)),
    "separates": (np.where(PRICES > 0, 1, -1), PRICES),
    "words": (PRICES, CLASSES),
    "constant": (PRICES, np.zeros(60)),
}


@pytest.mark.parametrize("name", COPIES)
def test_copies_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"'twin' tells the target 'y' exactly.*--drop twin"):
        without_copies(table(*COPIES[name]), "y")


@pytest.mark.parametrize("name", GOOD)
def test_good_columns_stay(name: str) -> None:
    raw = table(*GOOD[name])
    assert without_copies(raw, "y") is raw


def test_what_depends_on_the_class_alone_is_noted() -> None:
    found = without_copies(table(CLASSES, (np.arange(60) % 3 == 1).astype(float)), "y")
    assert found.notes == ("the same in all rows of a class, were they made from 'y'? twin",)


@pytest.mark.parametrize("num_missing", [1, 20, 40])
@pytest.mark.parametrize("name", sorted({*COPIES} - {"rounded"}))
def test_a_copy_with_gaps_is_refused_before_they_are_filled(name: str, num_missing: int) -> None:
    labels, column = COPIES[name]
    gapped = column.copy() if column.dtype.kind == "O" else column.astype(float)
    gapped[:num_missing] = None if column.dtype.kind == "O" else np.nan
    with pytest.raises(ValueError, match=r"'twin' tells the target 'price' exactly.*--drop twin"):
        check_gaps(table(labels, gapped), "price")


@pytest.mark.parametrize("name", GOOD)
def test_good_columns_with_gaps_pass(name: str) -> None:
    labels, column = GOOD[name]
    gapped = column.copy() if column.dtype.kind == "O" else column.astype(float)
    gapped[::2] = None if column.dtype.kind == "O" else np.nan
    check_gaps(table(labels, gapped), "price")
    few = PRICES.copy()
    few[3:] = np.nan
    check_gaps(table(PRICES, few), "price")

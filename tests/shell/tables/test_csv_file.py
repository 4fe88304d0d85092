"""CSV files as people have them: what is understood, what is noted, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dyntheory.shell.tables.csv_file import read_csv
from dyntheory.shell.tables.raw_columns import RawColumns
from dyntheory.shell.tables.reading import Reading

PLAIN = "a,b,price\n1.5,2,10\n2.5,3,1200\n3.5,5,30\n"
SAME = {
    "plain": PLAIN,
    "semicolons and decimal commas": PLAIN.replace(",", ";").replace(".", ","),
    "tabs": PLAIN.replace(",", "\t"),
    "spaces": PLAIN.replace(",", "  "),
    "thousands": PLAIN.replace("1200", '"1,200"'),
    "points between thousands": PLAIN.replace(",", ";").replace(".", ",").replace("1200", "1.200"),
    "row numbers": ",a,b,price\n0,1.5,2,10\n1,2.5,3,1200\n2,3.5,5,30\n",
    "empty column": "a,b,price,\n1.5,2,10,\n2.5,3,1200,\n3.5,5,30,\n",
    "spaces after commas": PLAIN.replace(",", ", "),
    "a mark at the end of rows": PLAIN.replace("\n", ",\n").replace("price,", "price"),
    "spaces before commas": PLAIN.replace(",", " ,"),
    "Windows": "\ufeff" + PLAIN.replace("\n", "\r\n"),
}


def read(tmp_path: Path, text: str, target: str = "price", **options: Any) -> RawColumns:
    path = tmp_path / "data.csv"
    path.write_text(text, encoding="utf-8", newline="")
    return read_csv(path, target, Reading(**options))


@pytest.mark.parametrize("name", SAME)
def test_the_same_table_written_in_many_ways(name: str, tmp_path: Path) -> None:
    raw = read(tmp_path, SAME[name])
    assert raw.names == ("a", "b")
    np.testing.assert_array_equal(raw.numbers, [[1.5, 2.0], [2.5, 3.0], [3.5, 5.0]])
    np.testing.assert_array_equal(raw.labels, [10.0, 1200.0, 30.0])
    assert bool(raw.notes) == (
        name not in ("plain", "spaces after commas", "spaces before commas", "Windows", "a mark at the end of rows")
    )


def test_words_and_missing_entries(tmp_path: Path) -> None:
    raw = read(tmp_path, 'a,town,price\n?,"Paris, FR",1\n2,,2\n3, Rome ,NA\n')
    np.testing.assert_array_equal(raw.numbers[:, 0], [np.nan, 2.0, 3.0])
    assert raw.words["town"].tolist() == ["Paris, FR", None, "Rome"]
    np.testing.assert_array_equal(raw.labels, [1.0, 2.0, np.nan])


REFUSED = {
    "more entries than names": ("a,price\n1,2,3\n4,5,6\n", {}, "more entries than its header has names"),
    "no header": ("0.5,1.5\n2.5,3\n", {}, "must name the columns, it holds numbers: 0.5, 1.5"),
    "a name twice": ("a,a ,price\n1,2,3\n", {}, "different names, got a more than once"),
    "a name twice, spelt alike": ("price,a,price\n1,2,3\n", {}, "different names, got price more than once"),
    "no row": ("a,price\n", {}, "no row below its header"),
    "no table": ("", {}, "is not a CSV table"),
    "no such column": (PLAIN, {"drop": ("c",)}, "Unknown column 'c'"),
    "dates": ("d,price\n2024-01-01,1\n2024-01-02,2\n", {}, "'d' holds dates .* --dates days"),
    "dates as labels": ("a,price\n1,2024-01-01\n2,2024-01-02\n", {}, "The target 'price' holds dates"),
    "two meanings": ("a;price\n1,234;1\n5,678;2\n", {}, "'1,234' in column 'a' can mean two things"),
    "two meanings of a point": ("a;price\n1.234;1\n5.678;2\n", {}, "'1.234' in column 'a' can mean two things"),
    "an entry too many": ("a,price\n1,2\n3,4,5\n", {}, "is not a CSV table"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str, tmp_path: Path) -> None:
    text, options, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        read(tmp_path, text, **options)


def test_what_a_person_says_decides(tmp_path: Path) -> None:
    doubtful = "a;price\n1,234;1\n5,678;2\n"
    assert read(tmp_path, doubtful, decimal="comma").numbers[0, 0] == 1.234
    assert read(tmp_path, doubtful, decimal="point").numbers[0, 0] == 1234.0
    assert read(tmp_path, doubtful.replace(",", "."), decimal="comma").numbers[0, 0] == 1234.0
    assert read(tmp_path, doubtful.replace(",", "."), decimal="point").numbers[0, 0] == 1.234
    with pytest.raises(ValueError, match="read as the one column 'a,price': name the mark"):
        read(tmp_path, "a,price\n1,2\n", separator="tab")
    dated = read(tmp_path, "d,c,price\n2024-01-01,x,1\n2024-01-04,y,2\n", dates="days", drop=("c",))
    np.testing.assert_array_equal(dated.numbers, [[0.0], [3.0]])
    assert dated.notes == ("dates became days since the earliest: d",)


def test_other_encodings_are_named(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_bytes("a,Größe\n1,2\n".encode("latin-1"))
    with pytest.raises(ValueError, match="is not UTF-8 text"):
        read_csv(tmp_path / "data.csv", "a", Reading())


@pytest.mark.parametrize("missing", ["NA ", "? ", " ", "nan "])
def test_a_space_behind_what_is_missing_makes_no_words_of_numbers(missing: str, tmp_path: Path) -> None:
    raw = read(tmp_path, PLAIN.replace("2.5,3", f"2.5,{missing}"))
    assert raw.names == ("a", "b") and not raw.words and raw.notes == ()
    np.testing.assert_array_equal(raw.numbers[:, 1], [2.0, np.nan, 5.0])


@pytest.mark.parametrize("decimal", [None, "comma", "point"])
def test_two_decimal_marks_in_one_file_are_refused(decimal: str | None, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="decimal"):
        read(tmp_path, "a;b;price\n1,5;2.25;10\n2,5;3.75;20\n3,5;4.5;30\n", decimal=decimal)


@pytest.mark.parametrize("decimal", ["comma", "point"])
def test_the_wrong_decimal_mark_is_refused(decimal: str, tmp_path: Path) -> None:
    text = PLAIN if decimal == "comma" else PLAIN.replace(",", ";").replace(".", ",")
    with pytest.raises(ValueError, match=f"read with the decimal {decimal}, and a must have the decimal"):
        read(tmp_path, text, decimal=decimal, separator="comma" if decimal == "comma" else "semicolon")

"""Numbers as people write them: read where they mean one thing, refused where they can mean two."""

from __future__ import annotations

from typing import Any

import pandas
import pytest

from dyntheory.shell.tables.number_words import check_points, decimal_mark, styles, suspicious, with_numbers


def table(**columns: list[Any]) -> Any:
    return pandas.DataFrame(columns)


def test_styles() -> None:
    found = styles(
        table(
            us=["1,234.5", "1,234,567"],
            eu=["1.234,5", "0,5"],
            either=["1,234", "12"],
            words=["1,5", "red"],
            swiss=["1'234.50", "7"],
            dates=["01.02.2024", "03.02.2024"],
            parts=["1,2,3", "4,5,6"],
        )
    )
    assert (found.point, found.comma, found.either) == (("us", "swiss"), ("eu",), ("either",))


@pytest.mark.parametrize(
    ("style", "written", "value"),
    [
        *(("point", text, 1234.5) for text in ("1,234.5", "1234.5", "+1 234.5", "1'234.5", "1.2345e3")),
        *(("comma", text, 1234.5) for text in ("1.234,5", "1234,5", "1\u202f234,5", "1,2345e3")),
        ("point", "-1,234,567", -1234567.0),
        ("comma", ",5", 0.5),
    ],
)
def test_numbers_are_read(style: str, written: str, value: float) -> None:
    frame, grouped = with_numbers(table(a=[written, None], b=["x", "y"]), style)
    plain = written.replace("," if style == "comma" else ".", "").strip()
    assert grouped == ([] if plain.lower().replace("e", "").strip("+-").isdigit() else ["a"])
    assert frame["a"].dtype.kind == "f" and frame["a"][0] == value and frame["a"].isna()[1]
    assert frame["b"].tolist() == ["x", "y"]


def test_what_a_file_shows_decides_the_mark() -> None:
    assert decimal_mark(table(a=["1,5", "2,25"], b=["1,234", "2"]), "semicolon") == "comma"
    assert decimal_mark(table(a=["1,234.5", "2"], b=["1,234", "2"]), "semicolon") == "point"
    assert decimal_mark(table(a=["1,234", "2"]), "comma") == "point"
    with pytest.raises(ValueError, match="'1,234' in column 'a' can mean two things: say --decimal comma"):
        decimal_mark(table(a=["1,234", "2"]), "semicolon")
    with pytest.raises(ValueError, match="b seem to have decimal commas and a decimal points"):
        decimal_mark(table(a=["1,234.5"], b=["1,5"]), "semicolon")


def test_points_between_thousands_are_not_decimals() -> None:
    """1.234 and 45.678 in a file of semicolons: thousands, or three decimals? One other column settles it."""
    doubtful = table(a=[1.234, 45.678, 9.0])
    assert suspicious(doubtful) == ["a"]
    assert suspicious(doubtful.assign(b=[0.5, 1.25, 3.0])) == []
    with pytest.raises(ValueError, match=r"'1.234' in column 'a' can mean two things"):
        check_points(table(a=["1.234", "45.678", "9"]))
    check_points(table(a=["1.23", "45.678", "9"]))

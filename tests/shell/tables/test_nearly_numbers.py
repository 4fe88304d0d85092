"""Columns of numbers with odd entries are refused by the entry; categories that are numbers in part stay words."""

from __future__ import annotations

import pytest

from dyntheory.shell.tables.nearly_numbers import check_words

NUMBERS = [str(number) for number in range(20, 40)]


@pytest.mark.parametrize("odd", ["-", "1O", "missing", "7%", "$7.50", "(7.5)", "\u22127", "1_000", "12:30", "years"])
def test_one_odd_entry_among_numbers_is_named(odd: str) -> None:
    """As words they became an indicator column for every number."""
    with pytest.raises(ValueError, match=r"Column 'the age' holds numbers and also .*--drop 'the age'") as error:
        check_words("the age", sorted([*NUMBERS, odd]))
    assert repr(odd) in str(error.value)


@pytest.mark.parametrize("form", ["{}%", "$ {}", "({})", "\u2212{}", "{}:30", "{} €"])
def test_numbers_with_a_unit_are_named(form: str) -> None:
    with pytest.raises(ValueError, match="write them as numbers"):
        check_words("a", [form.format(number) for number in NUMBERS])


@pytest.mark.parametrize(
    "words",
    [
        ["0", "1", "2", "3+"],
        [*NUMBERS[:9], "10+"],
        ["red", "green", "7"],
        [f"A{number}" for number in NUMBERS],
        [f"{number}-{number}" for number in NUMBERS],
        ["Jan", "Feb", *NUMBERS[:8]],
        [f"word {number}" for number in NUMBERS] + NUMBERS[:12],
    ],
)
def test_categories_stay(words: list[str]) -> None:
    check_words("a", words)

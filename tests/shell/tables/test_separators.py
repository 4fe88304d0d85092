"""The separator is what the first lines show, whatever stands inside quotes and numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

from dyntheory.shell.tables.separators import detected_separator

FILES = {
    "comma": "a,b,c\n1,2,3\n4,5,6\n",
    "semicolon": "a;b;price, EUR\n1,5;2,25;3,0\n4,5;5,1;6,7\n",
    "tab": "a\tb, c\td\n1\t2,5\t3\n",
    "bar": "a|b|c\n1|2|3\n",
    "space": "a  b   c\n1.0  2    3\n",
}


@pytest.mark.parametrize("name", FILES)
def test_the_separator_is_found(name: str, tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text(FILES[name], encoding="utf-8-sig")
    assert detected_separator(path) == name


@pytest.mark.parametrize("text", ["a\n1\n2\n", "", '"a;b",c\n"1;2",3\n"4;5",6\n', "a,b\n\0,1\n", "a,b\n1,2\n3\n4,5\n"])
def test_anything_else_is_read_with_commas(text: str, tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text(text, encoding="utf-8")
    assert detected_separator(path) == "comma"

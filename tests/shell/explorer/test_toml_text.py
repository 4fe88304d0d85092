"""What is written is read again as the same table."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dyntheory.shell.explorer.toml_text import toml_text, value_text
from tests.shell.explorer.conftest import UNUSUAL, examples, unusual

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = st.recursive(
    st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(TEXT, VALUES, max_size=4))
def test_any_table_comes_back(table: dict[str, Any]) -> None:
    assert tomllib.loads(toml_text(table)) == table


@pytest.mark.parametrize("path", examples())
def test_examples_come_back(path: Path) -> None:
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    assert tomllib.loads(toml_text(table)) == table


@pytest.mark.parametrize("name", UNUSUAL)
def test_unusual_tables_come_back(name: str) -> None:
    assert tomllib.loads(toml_text(unusual(name))) == unusual(name)


def test_what_toml_does_not_have_is_refused() -> None:
    with pytest.raises(TypeError, match="got None"):
        value_text(None)

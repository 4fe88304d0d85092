"""Values as they are typed after --set."""

from __future__ import annotations

from typing import Any

import pytest

from dyntheory.shell.tables.overrides import parse_value


@pytest.mark.parametrize(
    ("text", "value"),
    [("3", 3), ("0.5", 0.5), ("true", True), ("[3, 3]", [3, 3]), ("tanh", "tanh"), ('"tanh"', "tanh"), ("1e-3", 1e-3)],
)
def test_override_values(text: str, value: Any) -> None:
    assert parse_value(text) == value


@pytest.mark.parametrize("text", ["9" * 5000, "[" * 5000 + "]" * 5000, "1\nb = 2"])
def test_what_is_no_value_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a value"):
        parse_value(text)

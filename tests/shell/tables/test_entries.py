"""What an entry has to be, and which entries have to be there."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from dyntheory.shell.tables.entries import COUNT, COUNTS, FLAG, MATRIX, MOMENT, NUMBER, NUMBERS, Choice, Kind
from dyntheory.shell.tables.law_table import LAWS, PRIORS, SPECTRA
from dyntheory.shell.tables.method_table import METHODS, NETWORKS


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (NUMBER, [1, 0.5], [True, "1", None]),
        (COUNT, [3], [3.0, True]),
        (FLAG, [True], [1, "true"]),
        (COUNTS, [[], [1, 2]], [1, [1.5], [True]]),
        (NUMBERS, [[1, 0.5]], [[], [True], 1]),
        (MATRIX, [[[1, 2], [3, 4]]], [[1, 2], [[1, 2], [3]], [[]]]),
        (MOMENT, [2.0, [[1]]], [[1], True]),
    ],
    ids=lambda value: value.description if isinstance(value, Kind) else "",
)
def test_kinds(kind: Kind, good: list[Any], bad: list[Any]) -> None:
    assert all(kind.holds(value) for value in good)
    assert not any(kind.holds(value) for value in bad)


@pytest.mark.parametrize("choices", [PRIORS, SPECTRA, LAWS, METHODS, NETWORKS])
def test_what_has_no_default_is_needed(choices: dict[str, Choice]) -> None:
    for name, choice in choices.items():
        parameters = inspect.signature(choice.make).parameters
        assert set(choice.kinds) <= set(parameters), name
        needed = {key for key, parameter in parameters.items() if parameter.default is inspect.Parameter.empty}
        assert set(choice.needed) == needed, name

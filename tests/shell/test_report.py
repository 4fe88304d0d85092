"""What is printed: few steps, errors in parentheses, a table that fits."""

from __future__ import annotations

import numpy as np
import pytest

import dyntheory as dt
from dyntheory.shell.report import print_report, shown_steps, with_error
from tests.shell.conftest import trajectory_of


@pytest.mark.parametrize(
    ("last", "steps"),
    [
        (0, [0]),
        (3, [0, 1, 2, 3]),
        (30, [0, 5, 10, 15, 20, 25, 30]),
        (57, [0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 57]),
        (100, list(range(0, 101, 10))),
    ],
)
def test_long_runs_are_thinned_to_round_steps(last: int, steps: list[int]) -> None:
    assert shown_steps(np.arange(last + 1)) == steps


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.183274, 0.00412, "0.1833(41)"),
        (0.183274, 0.0412, "0.183(41)"),
        (12.34, 2.5, "12.3(2.5)"),
        (1234.0, 25.0, "1234(25)"),
        (1.5, 1e-9, "1.5"),
        (0.0, 0.0, "0"),
        (2e20, 3e19, "2e+20 ± 3e+19"),
        (0.183274, None, "0.18327"),
        (float("nan"), 0.1, "nan"),
        (1.0, float("nan"), "1"),
    ],
)
def test_numbers_carry_their_error(value: float, error: float | None, text: str) -> None:
    assert with_error(value, error) == text


def test_the_table_of_both_sides_fits_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    theory, simulation = trajectory_of(1.4868334, 1.6e-4), trajectory_of(1.4823123, 1.6e-4)
    print_report({"theory": theory, "simulation": simulation}, dt.compare(theory, simulation))
    printed = capsys.readouterr().out
    assert "…" not in printed
    assert printed.count("1.48683(16)") == printed.count("1.48231(16)") == 6
    assert printed.count("-20.0") == 6

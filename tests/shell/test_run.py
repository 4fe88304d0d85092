"""A verb runs, and what it warns of is said once."""

from __future__ import annotations

from typing import Any

import pytest

import dyntheory as dt
from dyntheory.shell.main import main
from tests.shell.conftest import trajectory_of


def test_warnings_of_the_library_are_lines_and_not_said_twice(
    problem: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import warnings

    status = dt.Status("heavy_tail", "in the status")

    def warn(*args: Any, **kwargs: Any) -> dt.Trajectory:
        warnings.warn(str(status), dt.DyntheoryWarning, stacklevel=2)
        warnings.warn("not in the status", dt.DyntheoryWarning, stacklevel=2)
        return trajectory_of(status=status)

    monkeypatch.setattr(dt, "predict", warn)
    assert main(["predict", problem]) == 0
    printed = capsys.readouterr()
    assert printed.err == "dyntheory: warning: not in the status\n"
    assert printed.out.count("in the status") == 1

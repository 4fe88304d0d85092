"""A design from a file: what is printed can be pasted back into it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import dyntheory as dt
from dyntheory.shell.main import main
from tests.shell.commands.test_sweep import LINEAR, linear

__all__ = ["linear"]
SCHEDULE = 'method.learning_rate={schedule="piecewise_linear",num_steps=2,rates=[0.3,0.3]}'
OPTIONS = ["design.over={rates=[0.0,1.0]}", "design.population=6", "design.max_sweeps=2"]


def test_a_schedule_is_chosen_and_written(linear: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = ["--plot", str(tmp_path / "rates.png"), "--out", str(tmp_path / "design.nc")]
    assert main(["design", linear, *LINEAR, SCHEDULE, *OPTIONS, *files]) == 0
    printed = capsys.readouterr().out
    assert "predicted gain" in printed
    found = dt.load(tmp_path / "design.nc")
    assert isinstance(found, dt.Design)
    assert found.constant is not None
    assert (tmp_path / "rates.png").stat().st_size > 5_000
    entry = re.search(r"method.learning_rate = (.*)", printed)
    assert entry is not None
    pasted = "method.learning_rate=" + entry.group(1).replace(" ", "")
    assert main(["predict", linear, *LINEAR, pasted, "--out", str(tmp_path / "p.nc")]) == 0
    again = dt.load(tmp_path / "p.nc")
    assert isinstance(again, dt.Trajectory) and again.test_error is not None
    assert again.test_error[-1] == pytest.approx(found.best.predicted, rel=5e-3)  # on other nodes


def test_a_checkpoint_is_refused(linear: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["design", linear, *LINEAR, SCHEDULE, *OPTIONS, "--checkpoint", str(tmp_path / "c")]) == 2
    assert "no checkpoint" in capsys.readouterr().err


def test_numbers_without_a_schedule_are_drawn_by_name() -> None:
    choice = dt.Choice({"learning_rate": 0.5, "momentum": 0.9}, 3, 0.5, 0.01)
    figure = dt.plot.design(dt.Design(choice, None, (0.6, 0.5)))
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["learning rate", "momentum"]

"""Files are refused before anything is computed, and replaced only by force."""

from __future__ import annotations

from pathlib import Path

import pytest

import dyntheory as dt
from dyntheory.shell.main import main
from tests.shell.conftest import give, refuse, trajectory_of


def test_existing_files_are_refused_before_anything_is_computed(
    problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dt, "predict", refuse)
    monkeypatch.setattr(dt, "simulate", refuse)
    for name, option in (("curves.png", "--plot"), ("curves.simulation.nc", "--out")):
        (tmp_path / name).write_text("precious", encoding="utf-8")
        given = tmp_path / name.replace(".simulation", "")
        assert main(["compare", problem, option, str(given)]) == 2
        message = capsys.readouterr().err
        assert message.count("\n") == 1
        assert name in message
        assert "--force" in message
        assert (tmp_path / name).read_text(encoding="utf-8") == "precious"


def test_force_replaces_files(
    problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dt, "predict", give(trajectory_of()))
    figure = tmp_path / "curves.svg"
    figure.write_text("old", encoding="utf-8")
    assert main(["predict", problem, "--plot", str(figure), "--force"]) == 0
    assert "<svg" in figure.read_text(encoding="utf-8")
    assert capsys.readouterr().err == ""

"""A table, a file, an exit status that is the outcome."""

from __future__ import annotations

from pathlib import Path

import pytest

import dyntheory as dt
from dyntheory.shell.main import main
from tests.shell.conftest import TINY, give, trajectory_of


def test_one_file_is_written(problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "predict.nc"
    assert main(["predict", problem, *TINY, "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "theory: ok" in printed and f"Wrote {out}" in printed
    assert dt.load(out).num_steps == 2


@pytest.mark.parametrize(("code", "status"), [("ok", 0), ("heavy_tail", 0), ("diverged", 3), ("unresolved", 3)])
def test_exit_status_of_one_side_is_its_outcome(
    code: str, status: int, problem: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    message = "" if code == "ok" else "the reason"
    monkeypatch.setattr(dt, "predict", give(trajectory_of(status=dt.Status(code, message))))
    assert main(["predict", problem]) == status
    assert f"theory: {code}" in capsys.readouterr().out


def test_a_missing_file_says_how_to_make_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / "problem.toml")
    assert main(["predict", path]) == 2
    assert f"`dyntheory new {path}` writes a template there." in capsys.readouterr().err

"""A table, a file, a checkpoint to go on from."""

from __future__ import annotations

from pathlib import Path

import pytest

import dyntheory as dt
from dyntheory.shell.main import main
from tests.shell.conftest import TINY


def test_one_file_is_written(problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "simulate.nc"
    assert main(["simulate", problem, *TINY, "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "simulation: ok" in printed and f"Wrote {out}" in printed
    assert dt.load(out).num_steps == 2


def test_a_simulation_resumes_from_its_checkpoint(
    problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["simulate", problem, *TINY, "--checkpoint", str(tmp_path / "kept")]
    assert main(arguments) == 0
    first = capsys.readouterr().out
    assert main(arguments) == 2 and "--resume" in capsys.readouterr().err
    assert main([*arguments, "--resume"]) == 0
    assert capsys.readouterr().out == first
    for damaged in ("ensemble.npz", "computation.json"):
        path = next((tmp_path / "kept").rglob(damaged))
        path.write_bytes(path.read_bytes()[:-70])
        assert main([*arguments, "--resume"]) == 2
        told = capsys.readouterr().err.strip().splitlines()[-1]
        assert told.startswith("dyntheory: ") and f"{damaged}' is damaged: remove " in told

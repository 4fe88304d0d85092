"""Electrons find their protons, and are drawn, kept and animated by one command."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

import dyntheory as dt
from dyntheory.shell.main import main


def test_electrons_are_drawn_kept_and_animated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = {"plot": "a.png", "animation": "a.gif", "out": "a.nc"}
    options = [part for name, file in names.items() for part in (f"--{name}", str(tmp_path / file))]
    assert main(["charges", "relu", "--units", "2", "--time", "2", "--frames", "3", *options]) == 0
    printed = capsys.readouterr().out
    assert "the loss went from" in printed and printed.count("Wrote") == 3
    assert dt.load(tmp_path / "a.nc").positions.shape == (1, 201, 2, 2)
    with Image.open(tmp_path / "a.gif") as picture:
        assert picture.n_frames == 3  # pyright: ignore[reportAttributeAccessIssue]
    assert main(["charges", "relu", "--animation", str(tmp_path / "a.gif")]) == 2  # it exists
    assert main(["charges", "relu", "--animation", str(tmp_path / "a.txt"), "--time", "1e9"]) == 2  # before it computes
    assert "`--animation` names a moving picture" in capsys.readouterr().err
    assert main(["charges", "relu", "--units", "0"]) == 2

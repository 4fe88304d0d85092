"""A picture is computed, said in a line and drawn."""

from __future__ import annotations

from pathlib import Path

import pytest

from dyntheory.plot.gallery import PICTURES
from dyntheory.shell.main import main


def test_a_picture_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "out.png"
    assert main(["closed-form", "benign-overfitting", "--plot", str(path)]) == 0
    assert path.stat().st_size > 20_000 and "2000: 0.0" in capsys.readouterr().out
    assert main(["closed-form", "benign-overfitting", "--plot", str(path)]) == 2  # it exists
    assert main(["closed-form", "early-stopping", "--plot", str(tmp_path / "out.jpg")]) == 2
    assert main(["closed-form", "triple-descent"]) == 2


def test_every_picture_can_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["closed-form", "--help"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in PICTURES)

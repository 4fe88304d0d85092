"""A file of data is trained on: table, notes, figure, numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import dyntheory as dt
from dyntheory.shell.commands.estimate import advice
from dyntheory.shell.main import main
from tests.shell.conftest import write_csv

METHOD = "[network]\nhidden = [2]\n[method]\nlearning_rate = 0.1\n[run]\nnum_steps = 8\n"


def test_a_csv_file_is_trained_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "method.toml").write_text(METHOD, encoding="utf-8")
    write_csv(tmp_path / "data.csv")
    files = ["--plot", str(tmp_path / "live.png"), "--out", str(tmp_path / "live.nc")]
    arguments = ["estimate", str(tmp_path / "method.toml"), "--data", str(tmp_path / "data.csv"), "--target", "price"]
    assert main([*arguments, *files]) == 0
    shown = capsys.readouterr().out
    assert "error on fresh rows" in shown and "← best" in shown
    assert "words became indicator columns: colour" in shown and "constant columns were left out: flat" in shown
    assert "60 rows, 5 columns" in shown and "the estimate takes little time" in shown
    assert "the error is still falling at the last step, 8: raise run.num_steps" in shown
    assert dt.load(tmp_path / "live.nc").provenance["columns"][-1] == "colour_red"
    assert (tmp_path / "live.png").stat().st_size > 5000
    arguments[-1] = "colour"
    assert main([*arguments, "--set", "method.loss=logistic"]) == 0
    assert "rate of wrong signs, red against blue" in capsys.readouterr().out
    assert main(arguments) == 2
    assert "'colour' holds words" in capsys.readouterr().err


def test_options_say_how_the_file_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Several columns after one --drop, or one after each; both at once."""
    shapes: list[tuple[int, ...]] = []

    def note(inputs: np.ndarray, *args: object, **keywords: object) -> None:
        shapes.append(inputs.shape)
        raise SystemExit(0)

    monkeypatch.setattr(dt, "estimate", note)
    (tmp_path / "method.toml").write_text(METHOD, encoding="utf-8")
    write_csv(tmp_path / "data.csv", missing=True)
    arguments = ["estimate", str(tmp_path / "method.toml"), "--data", str(tmp_path / "data.csv"), "--target", "price"]
    assert main(arguments) == 2
    assert "price (row 4). --drop-rows leaves these rows out." in capsys.readouterr().err
    assert main([*arguments, "--drop-rows", "--drop", "a", "b", "--drop", "colour", "--set", "num_steps=1"]) == 0
    assert main([*arguments, "--drop", "a", "--impute", "--drop-rows", "--separator", "comma"]) == 0
    assert shapes == [(59, 2), (59, 4)]


def test_advice() -> None:
    assert advice(trajectory([3.0, 1.0, 2.0])) == "stop after 1 steps"
    assert advice(trajectory([3.0, 2.0, 1.0])).startswith("the error is still falling at the last step, 2")


def trajectory(errors: list[float]) -> dt.Trajectory:
    return dt.Trajectory(np.arange(3), test_error=np.array(errors))

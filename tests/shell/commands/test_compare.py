"""Both sides in one table, one figure, two files; the exit status is the verdict."""

from __future__ import annotations

from pathlib import Path

import pytest

import dyntheory as dt
from dyntheory.shell.main import main
from tests.shell.conftest import TINY, give, refuse, trajectory_of


def test_table_figure_and_files(problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figure, numbers = tmp_path / "curves.png", tmp_path / "curves.nc"
    status = main(["compare", problem, *TINY, "--plot", str(figure), "--out", str(numbers)])
    printed = capsys.readouterr()
    assert status in (0, 3)
    assert printed.err == ""
    assert "theory: ok; theorem (" in printed.out
    assert f"Wrote {figure}" in printed.out
    assert figure.read_bytes().startswith(b"\x89PNG")
    theory, simulation = (dt.load(tmp_path / f"curves.{side}.nc") for side in ("theory", "simulation"))
    assert (theory.num_steps, simulation.num_steps) == (2, 2)
    assert theory.provenance["configuration"]["network"]["hidden"] == [2]
    assert simulation.provenance["inputs"] == "gaussian"


@pytest.mark.parametrize(
    ("simulated", "status", "verdict"),
    [
        (trajectory_of(1.005), 0, "agree"),
        (trajectory_of(2.0), 1, "disagree"),
        (trajectory_of(error=0.5), 3, "unresolved"),
    ],
    ids=["agree", "disagree", "unresolved"],
)
def test_exit_status_is_the_verdict(
    simulated: dt.Trajectory,
    status: int,
    verdict: str,
    problem: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(dt, "predict", give(trajectory_of()))
    monkeypatch.setattr(dt, "simulate", give(simulated))
    assert main(["compare", problem]) == status
    assert f"\n{verdict}: " in capsys.readouterr().out


def test_data_of_another_width_is_refused_before_predicting(
    problem: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("sklearn", reason="the extra `data` is not installed")
    monkeypatch.setattr(dt, "predict", refuse)
    assert main(["compare", problem, "--set", "inputs=digits"]) == 2
    assert "`simulate.num_features` must be 48" in capsys.readouterr().err

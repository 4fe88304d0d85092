"""Sizes in a table and a figure."""

from __future__ import annotations

from pathlib import Path

import pytest

from dyntheory.shell.main import main


def test_finite_size_prints_a_table_and_draws(problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ["network.kind=linear", "sizes=[6,8,12]", "finite_size.num_runs=20", "num_test_nodes=8", "matrix=dense"]
    path = Path(problem)
    path.write_text(path.read_text().replace("hidden = ", "# hidden = ").replace("activation = ", "# activation = "))
    arguments = ["finite-size", problem, "--set", "num_steps=1", "num_nodes=512", *sizes]
    assert main([*arguments, "--plot", str(tmp_path / "sizes.png")]) in (0, 3)
    printed = capsys.readouterr().out
    assert "extrapolated" in printed and "bias exponent" in printed and "sizes.png" in printed
    assert (tmp_path / "sizes.png").stat().st_size > 10_000
    assert main([*arguments, "--out", str(tmp_path / "sizes.nc")]) == 2
    assert main([*arguments, "inputs=digits"]) == 2
    assert "which has one size" in capsys.readouterr().err

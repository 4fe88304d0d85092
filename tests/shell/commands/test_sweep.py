"""A sweep from a file: its numbers are those of predict, its table, figure and file hold every point."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray

from dyntheory.shell.commands.sweep import drawn, status_of
from dyntheory.shell.main import main
from tests.shell.conftest import TINY

LINEAR = [*TINY[:2], "network.kind=linear", *TINY[3:]]


@pytest.fixture
def linear(problem: str) -> str:
    path = Path(problem)
    path.write_text(path.read_text().replace("hidden = ", "# hidden = ").replace("activation = ", "# activation = "))
    return problem


def test_a_sweep_prints_draws_and_keeps_every_point(
    linear: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    over = "sweep.over={noise_std=[0.1,0.2,0.3],learning_rate=[0.1,0.2,0.3]}"
    files = ["--plot", str(tmp_path / "map.png"), "--out", str(tmp_path / "map.nc")]
    assert main(["sweep", linear, *LINEAR, over, *files]) == 0
    printed = capsys.readouterr().out
    assert printed.count(" ok") == 9
    found = xarray.open_dataset(tmp_path / "map.nc")
    assert found.test_error.dims == ("noise_std", "learning_rate", "step")
    assert (
        main(["predict", linear, *LINEAR, "noise_std=0.2", "learning_rate=0.3", "--out", str(tmp_path / "p.nc")]) == 0
    )
    alone = xarray.open_dataset(tmp_path / "p.nc")
    np.testing.assert_allclose(found.test_error.sel(noise_std=0.2, learning_rate=0.3), alone.test_error, rtol=1e-9)
    assert (tmp_path / "map.png").stat().st_size > 10_000
    capsys.readouterr()
    assert main(["sweep", linear, *LINEAR, over, *files]) == 2
    assert "--force" in capsys.readouterr().err


def test_networks_are_trained_beside_it(linear: str, capsys: pytest.CaptureFixture[str]) -> None:
    over = "sweep.over=[{num_steps=0},{num_steps=2}]"
    assert main(["sweep", linear, *LINEAR, over, "sweep.train=true"]) in (0, 1, 3)
    printed = capsys.readouterr().out
    assert "simulation" in printed
    assert "verdict" in printed


def test_exit_statuses_and_pictures() -> None:
    dimensions = ("activation", "step")
    variables = {
        "test_error": (dimensions, np.ones((2, 3))),
        "test_error_standard_error": (dimensions, np.full((2, 3), 0.1)),
        "status": (("activation",), ["ok", "ok"]),
    }
    found = xarray.Dataset(variables, {"activation": ["tanh", "erf"], "step": np.arange(3)})
    assert status_of(found) == 0
    assert status_of(found.assign(status=("activation", ["ok", "diverged"]))) == 3
    assert status_of(found.assign(verdict=("activation", ["agree", "disagree"]))) == 1
    assert status_of(found.assign(verdict=("activation", ["agree", "unresolved"]))) == 3
    assert len(drawn(found).axes) == 1

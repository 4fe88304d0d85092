"""A problem to run, a table to train on, and what stands in for the long computations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dyntheory as dt
from dyntheory.shell.main import main

TINY = ["--set", "num_steps=2", "hidden=[2]", "num_nodes=512", "num_features=40", "simulate.num_runs=4"]


@pytest.fixture
def problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    path = tmp_path / "problem.toml"
    assert main(["new", str(path)]) == 0
    capsys.readouterr()
    return str(path)


def trajectory_of(value: float = 1.0, error: float = 0.01, status: dt.Status | None = None) -> dt.Trajectory:
    steps = np.arange(3)
    curve, errors = np.full(3, value), np.full(3, error)
    return dt.Trajectory(
        steps,
        train_error=curve,
        test_error=curve,
        standard_error=dt.Trajectory(steps, train_error=errors, test_error=errors),
        status=status or dt.Status(),
        provenance={"num_features": 1000, "num_runs": 20},
    )


def give(trajectory: dt.Trajectory) -> Callable[..., dt.Trajectory]:
    return lambda *args, **kwargs: trajectory


def refuse(*args: Any, **kwargs: Any) -> dt.Trajectory:
    raise AssertionError("computed before the files were checked")


def random_rows(n: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    rows = random.standard_normal((n, d))
    return rows, rows @ np.ones(d) / d**0.5 + random.standard_normal(n)


def write_csv(path: Path, *, missing: bool = False) -> None:
    """Write four columns of numbers, one of words, one that is constant, and labels; one label missing if asked."""
    lines = ["a,b,c,d,colour,flat,price"]
    for index, (row, label) in enumerate(zip(*random_rows(60, 4), strict=True)):
        numbers = ",".join(f"{x:.6f}" for x in row)
        lines.append(f"{numbers},{'red' if index % 3 else 'blue'},1,{'' if missing and index == 3 else label}")
    path.write_text("\n".join(lines), encoding="utf-8")

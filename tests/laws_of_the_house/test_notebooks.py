"""Notebooks run from top to bottom at reduced size, and open as notebooks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))
LONG = ("learning_curves", "sweeps", "wide_networks")


@pytest.mark.parametrize(
    "path", [pytest.param(one, marks=[pytest.mark.full] * (one.stem in LONG), id=one.stem) for one in NOTEBOOKS]
)
def test_notebook_runs(path: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "DYNTHEORY_QUICK": "1", "MPLBACKEND": "Agg", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, str(path)], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "disagree" not in done.stdout


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_opens_as_a_notebook(path: Path) -> None:
    jupytext = pytest.importorskip("jupytext", reason="notebooks extra is not installed")
    cells = jupytext.read(path)["cells"]
    assert {"markdown", "code"} == {cell["cell_type"] for cell in cells}
    assert len(cells) > 8

"""The README keeps its word: its Python runs as written, at smaller sizes, and its commands exist."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("count", [1, pytest.param(None, marks=pytest.mark.full)])
def test_python_snippets_run(tmp_path: Path, count: int | None) -> None:
    """The first snippet by default, all of them in the full run."""
    code = "\n".join(re.findall(r"```python\n(.*?)```", README, flags=re.S)[:count])
    smaller = (
        code.replace("50", "5").replace("num_features=1000", "num_features=60").replace("num_runs=20", "num_runs=4")
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", smaller], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "curves.png").exists()


@pytest.mark.full
def test_predictions_of_the_readme_end_well() -> None:
    """At its own sizes: no status of an example needs an explanation."""
    code = "\n".join(re.findall(r"```python\n(.*?)```", README, flags=re.S)[:2])
    quiet = "\n".join(line for line in code.splitlines() if "simulate(" not in line and "runs" not in line)
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", quiet],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_commands_exist() -> None:
    from dyntheory.shell.main import COMMANDS

    shell = "\n".join(re.findall(r"```\w*\n(.*?)```", README, flags=re.S))
    named = set(re.findall(r"^dyntheory ([\w-]+)", shell, flags=re.M))
    assert named and named <= set(COMMANDS)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"^make ([\w-]+)", README, flags=re.M)):
        assert re.search(rf"^{target}:", makefile, flags=re.M)


def test_linked_files_exist() -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert link.startswith("http") or (ROOT / link).exists(), link

"""The template is written where it is wanted, over nothing that is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from dyntheory.shell.main import main


def test_a_file_is_replaced_only_by_force(problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path(problem).write_text("old", encoding="utf-8")
    assert main(["new", problem]) == 2
    told = capsys.readouterr().err
    assert told.endswith("choose another name, or pass --force.\n") and "force=True" not in told
    assert Path(problem).read_text(encoding="utf-8") == "old"
    assert main(["new", problem, "--force"]) == 0
    assert "[law]" in Path(problem).read_text(encoding="utf-8")
    assert f"Wrote {problem}. Next: dyntheory compare" in capsys.readouterr().out

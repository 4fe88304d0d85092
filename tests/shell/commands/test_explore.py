"""The command: what fills the page, what it says without the extra, how it ends."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dyntheory.shell.commands.explore import starting_table
from dyntheory.shell.explorer import serve
from dyntheory.shell.explorer.state import State
from dyntheory.shell.main import main
from dyntheory.shell.tables.problem_file import load_problem


def test_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    usual = builtins.__import__

    def without_panel(name: str, *arguments: Any, **keywords: Any) -> Any:
        if name.partition(".")[0] == "panel":
            raise ModuleNotFoundError("No module named 'panel'")
        return usual(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", without_panel)
    assert main(["explore", "--no-browser"]) == 2
    assert "pip install dyntheory[explore]" in capsys.readouterr().err


def test_a_file_that_is_none_is_refused_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "problem.toml"
    assert main(["explore", str(path)]) == 2
    assert f"There is no file {path}" in capsys.readouterr().err
    path.write_text("[law]\nsamples_per_feature = -1\n")
    assert main(["explore", str(path)]) == 2
    assert "samples_per_feature" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["--no-browser"]])
def test_it_prints_the_address_opens_the_browser_and_ends_with_ctrl_c(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[str] = []

    def served(start: State, *, announce: Callable[[str], None]) -> None:
        announce("http://127.0.0.1:1/?token=x")

    monkeypatch.setattr(serve, "serve", served)
    monkeypatch.setattr(serve, "check_panel", lambda: None)
    monkeypatch.setattr("webbrowser.open", seen.append)
    assert main(["explore", *arguments]) == 0
    printed = capsys.readouterr()
    assert "http://127.0.0.1:1/?token=x" in printed.out and "the page is closed" in printed.out
    assert seen == ([] if arguments else ["http://127.0.0.1:1/?token=x"])


def test_files_of_numbers_are_read_once(tmp_path: Path) -> None:
    """The page stands in another folder than the problem, so its table holds the numbers."""
    np.savetxt(tmp_path / "eigenvalues.txt", [2.0, 1.0, 0.5])
    path = tmp_path / "problem.toml"
    spectrum = 'features = { kind = "spectrum", eigenvalues = "eigenvalues.txt" }'
    path.write_text(
        f"[law]\nsamples_per_feature = 2.0\n{spectrum}\n[network]\nhidden = [2]\n[method]\n"
        "learning_rate = 0.1\n[run]\nnum_steps = 2\n"
    )
    table = starting_table(path)
    assert table["law"]["features"] == {"kind": "spectrum", "eigenvalues": [2.0, 1.0, 0.5]}
    assert State.of_table(table).table == table
    assert load_problem(path).table["law"] == {"kind": "teacher_student", **table["law"]}


def test_the_secret_is_needed_in_full() -> None:
    assert serve.is_allowed({"token": ["abc"]}, "abc")
    for query in ({}, {"token": [""]}, {"token": ["ab"]}, {"token": ["abcd"]}, {"token": ["ä"]}, {"other": ["abc"]}):
        assert not serve.is_allowed(query, "abc")

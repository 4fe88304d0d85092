"""The command line as a whole: help, version, bad input in one line, interruption."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
from typing import Any

import pytest

import dyntheory as dt
from dyntheory.shell import commands
from dyntheory.shell.main import COMMANDS, main
from tests.shell.conftest import give, refuse, trajectory_of


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    printed = capsys.readouterr().out
    for words in ("without training it", "dyntheory new problem.toml", "Exit status: 0", "--set num_steps=50"):
        assert words in printed
    assert main([]) == 0
    assert capsys.readouterr().out == printed
    for command in COMMANDS:
        assert command in printed
        assert main([command, "--help"]) == 0
        assert f"usage: dyntheory {command}" in capsys.readouterr().out


def test_every_file_of_commands_is_a_command() -> None:
    files = {module.name for module in pkgutil.iter_modules(commands.__path__)}
    assert {name.replace("-", "_") for name in COMMANDS} == files


def test_help_and_version_import_nothing_heavy() -> None:
    code = (
        "import sys; from dyntheory.shell.main import main; main(['--help']); main(['--version']); "
        "sys.exit(any(name in sys.modules for name in ('matplotlib', 'xarray', 'flax', 'sklearn')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"dyntheory {dt.__version__}\n"


BAD = {
    "unknown key": (["--set", "hiden=[3]"], "Did you mean 'hidden'?"),
    "unknown name": (["--set", "activation=rleu"], "Did you mean 'relu'?"),
    "wrong kind": (["--set", "network.hidden=3"], "`network.hidden` must be a list of integers"),
    "no value": (["--set", "num_steps"], "--set takes key=value"),
    "figure format": (["--plot", "curves.gif"], "ends in .png, .svg or .pdf"),
    "numbers format": (["--out", "curves.txt"], "ends in .nc"),
    "no directory": (["--plot", "nowhere/curves.png"], "does not exist"),
    "one run": (["--set", "simulate.num_runs=1"], "`simulate.num_runs` of at least two"),
    "heads and runs": (["--set", "num_heads=3"], "must be a multiple of `run.num_heads` = 3"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line_on_the_error_stream(
    name: str, problem: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dt, "simulate", refuse)
    arguments, words = BAD[name]
    assert main(["compare", problem, *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("dyntheory: ")
    assert printed.err.count("\n") == 1
    assert words in printed.err


@pytest.mark.parametrize("arguments", [["frobnicate"], ["predict"], ["predict", "a.toml", "--colour"]])
def test_malformed_command_lines_have_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "dyntheory" in printed.err


def test_commands_are_suggested(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predct", "problem.toml"]) == 2
    assert capsys.readouterr().err.startswith("dyntheory: Unknown command 'predct'. Did you mean 'predict'? Known: ")


def test_a_reader_who_has_read_enough_is_no_failure(
    problem: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def closed(*args: Any, **kwargs: Any) -> dt.Trajectory:
        raise BrokenPipeError

    monkeypatch.setattr(dt, "predict", closed)
    monkeypatch.setattr("os.dup2", give(trajectory_of()))
    assert main(["predict", problem]) == 0
    assert capsys.readouterr().err == ""


def test_interruption_has_status_130(
    problem: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*args: Any, **kwargs: Any) -> dt.Trajectory:
        raise KeyboardInterrupt

    monkeypatch.setattr(dt, "predict", interrupt)
    assert main(["predict", problem]) == 130
    assert capsys.readouterr().err == "dyntheory: interrupted.\n"

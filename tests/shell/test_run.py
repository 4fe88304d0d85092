"""A verb runs, and what it warns of is said once."""

from __future__ import annotations

import pwd
from typing import Any

import jax
import pytest

import dyntheory as dt
from dyntheory.ground.compilation_cache import VARIABLE
from dyntheory.shell.main import main
from tests.shell.conftest import give, trajectory_of


def test_warnings_of_the_library_are_lines_and_not_said_twice(
    problem: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import warnings

    status = dt.Status("heavy_tail", "in the status")

    def warn(*args: Any, **kwargs: Any) -> dt.Trajectory:
        warnings.warn(str(status), dt.DyntheoryWarning, stacklevel=2)
        warnings.warn("not in the status", dt.DyntheoryWarning, stacklevel=2)
        return trajectory_of(status=status)

    monkeypatch.setattr(dt, "predict", warn)
    assert main(["predict", problem]) == 0
    printed = capsys.readouterr()
    assert printed.err == "dyntheory: warning: not in the status\n"
    assert printed.out.count("in the status") == 1


def test_a_user_without_a_home_folder_is_told_in_one_line(
    problem: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def nobody(uid: int) -> None:
        raise KeyError(uid)

    for name in ("HOME", "XDG_CACHE_HOME", VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    monkeypatch.setattr(dt, "predict", give(trajectory_of()))
    assert main(["predict", problem]) == 0
    told = capsys.readouterr().err
    assert told.startswith("dyntheory: warning: Compiled programs are not kept (") and told.count("\n") == 1
    assert not getattr(jax.config, "jax_compilation_cache_dir", None)

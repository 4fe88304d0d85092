"""The cache is one folder of one user, and stays off when it cannot be."""

import os
import pwd
import stat
from pathlib import Path

import jax
import pytest

import dyntheory as dt
from dyntheory.shell.compilation_cache import VARIABLE, use_compilation_cache
from dyntheory.shell.main import main
from tests.shell.conftest import give, trajectory_of

OPTIONS = (
    "jax_compilation_cache_dir",
    "jax_compilation_cache_max_size",
    "jax_persistent_cache_min_compile_time_secs",
)


def _folder() -> str | None:
    return getattr(jax.config, OPTIONS[0])


@pytest.fixture(autouse=True)
def _configuration(monkeypatch: pytest.MonkeyPatch) -> object:
    before = {name: getattr(jax.config, name) for name in OPTIONS}
    jax.config.update("jax_compilation_cache_dir", None)
    monkeypatch.delenv(VARIABLE, raising=False)
    yield
    for name, value in before.items():
        jax.config.update(name, value)


def test_the_folder_is_private_and_named_after_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = use_compilation_cache()
    assert folder is not None and folder.is_relative_to(tmp_path / "dyntheory")
    assert jax.__version__ in folder.name and dt.__version__ in folder.name
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert _folder() == str(folder)


def test_an_open_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    folder = use_compilation_cache()
    assert folder is not None
    jax.config.update("jax_compilation_cache_dir", None)
    os.chmod(folder, 0o777)
    with pytest.warns(dt.DyntheoryWarning, match="closed to others"):
        assert use_compilation_cache() is None
    assert not _folder()


def test_it_can_be_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "off")
    assert use_compilation_cache() is None


def test_a_choice_of_the_user_is_kept(tmp_path: Path) -> None:
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    assert use_compilation_cache() is None
    assert _folder() == str(tmp_path)


def test_a_user_without_a_home_folder_is_told_in_one_line(
    problem: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def nobody(uid: int) -> None:
        raise KeyError(uid)

    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    monkeypatch.setattr(dt, "predict", give(trajectory_of()))
    assert main(["predict", problem]) == 0
    told = capsys.readouterr().err
    assert told.startswith("dyntheory: warning: Compiled programs are not kept (") and told.count("\n") == 1
    assert _folder() is None

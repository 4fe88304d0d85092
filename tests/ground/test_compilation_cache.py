"""The cache is one folder of one user, and stays off when it cannot be."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import jax
import pytest

import dyntheory as dt
from dyntheory.ground.compilation_cache import VARIABLE, enable_compilation_cache
from tests import ROOT

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
    folder = enable_compilation_cache()
    assert folder is not None and folder.is_relative_to(tmp_path / "dyntheory")
    assert jax.__version__ in folder.name and dt.__version__ in folder.name
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert _folder() == str(folder)


def test_an_open_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    folder = enable_compilation_cache()
    assert folder is not None
    jax.config.update("jax_compilation_cache_dir", None)
    os.chmod(folder, 0o777)
    with pytest.warns(dt.DyntheoryWarning, match="closed to others"):
        assert enable_compilation_cache() is None
    assert not _folder()


def test_a_folder_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is named counts more than the variable; the next process finds its programs there, small ones too."""
    monkeypatch.setenv(VARIABLE, "off")
    code = (
        "import sys, jax, dyntheory as dt; print(dt.enable_compilation_cache(sys.argv[1])); "
        "hits = []; jax.monitoring.register_event_listener(lambda name, **_: hits.append(name)); "
        "method = dt.gradient_descent(dt.LinearModel(), learning_rate=0.1); "
        "dt.predict(dt.TeacherStudent(2.0), method, num_steps=1, num_nodes=256, key=jax.random.key(0)); "
        "print(hits.count('/jax/compilation_cache/cache_hits'))"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    first, again = (
        subprocess.run(command, check=True, cwd=ROOT, capture_output=True, text=True).stdout.split() for _ in range(2)
    )
    assert first[0] == again[0] and Path(first[0]).parent == tmp_path
    assert int(again[1]) > 20 > int(first[1])


def test_it_can_be_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "off")
    assert enable_compilation_cache() is None


def test_only_the_variable_turns_it_off(tmp_path: Path) -> None:
    folder = enable_compilation_cache(tmp_path / "off")
    assert folder is not None and folder.parent == tmp_path / "off"


def test_a_choice_of_the_user_is_kept(tmp_path: Path) -> None:
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    assert enable_compilation_cache() is None
    assert _folder() == str(tmp_path)

"""A folder belongs to one computation, is given back when nothing came of it, and is swept by its next owner."""

from pathlib import Path

import pytest

from dyntheory.ground.claimed_folder import claimed_folder
from dyntheory.ground.sealed_files import CheckpointError

DIGESTS = ("0" * 64, "1" * 64)


def _names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()} - {"lock"}


def test_an_error_before_anything_is_saved_gives_the_folder_back(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), claimed_folder(tmp_path, {"a": 1}, resume=False):
        raise RuntimeError
    assert not _names(tmp_path)
    with pytest.raises(RuntimeError), claimed_folder(tmp_path, {"a": 2}, resume=False) as folder:
        (folder / "result").touch()
        raise RuntimeError
    assert _names(tmp_path) == {"computation.json", "result"}
    with pytest.raises(RuntimeError), claimed_folder(tmp_path, {"a": 2}, resume=True):
        (tmp_path / "result").unlink()
        raise RuntimeError  # it was claimed before, by whom something may have been lost
    assert _names(tmp_path) == {"computation.json"}


def test_what_killed_writes_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    kept = {".state.npz.tmp", ".hidden", "state.npz.0123.tmp", ".a.xyz.tmp"}
    with claimed_folder(tmp_path, {"a": 1}, resume=False) as folder:
        for name in kept | {".state.npz.0123456789abcdef.tmp", ".computation.json.0f.tmp"}:
            (folder / name).touch()
        with pytest.raises(CheckpointError, match="Another process"), claimed_folder(tmp_path, {"a": 1}, resume=True):
            pass
        assert len(_names(tmp_path)) == 7  # a living writer is left alone
    with claimed_folder(tmp_path, {"a": 1}, resume=True):
        assert _names(tmp_path) == kept | {"computation.json"}


def test_what_changed_is_told_from_what_to_what(tmp_path: Path) -> None:
    before = {"jax": "0.9", "steps": 3, "law": DIGESTS[0]}
    with claimed_folder(tmp_path, before, resume=False):
        pass
    with (
        pytest.raises(CheckpointError, match=r"jax, steps changed, jax was 0\.9, is 0\.10, steps was 3, is 4\. Go"),
        claimed_folder(tmp_path, {**before, "jax": "0.10", "steps": 4}, resume=True),
    ):
        pass
    with (
        pytest.raises(CheckpointError, match=r"computation: law changed\. Numbers that were given count with all"),
        claimed_folder(tmp_path, {**before, "law": DIGESTS[1]}, resume=True),
    ):
        pass


def test_folders_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(CheckpointError, match="is a file: a checkpoint needs a folder"),
        claimed_folder(tmp_path / "file", {}, resume=False),
    ):
        pass
    (tmp_path / "computation.json").write_text("{")
    with (
        pytest.raises(CheckpointError, match=r"computation\.json' is damaged: remove '.*' and begin anew"),
        claimed_folder(tmp_path, {}, resume=True),
    ):
        pass

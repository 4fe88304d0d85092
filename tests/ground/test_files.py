"""Files are written whole or not at all."""

import os
import stat
from pathlib import Path

import pytest

from dyntheory.ground.files import check_destination, replacing, write_whole


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_file_appears_whole_and_nothing_else_stays(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    with replacing(target) as beside:
        assert beside.parent == tmp_path
        beside.write_text("whole")
        assert not target.exists()
    assert target.read_text() == "whole"
    assert _names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_nothing_behind(tmp_path: Path, force: bool, failure: type[BaseException]) -> None:
    target = tmp_path / "a.txt"
    if force:
        target.write_text("old")
    with pytest.raises(failure), replacing(target, force=force) as beside:
        beside.write_text("half")
        raise failure
    assert _names(tmp_path) == (["a.txt"] if force else [])
    assert not force or target.read_text() == "old"


def test_an_existing_file_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with (
        pytest.raises(FileExistsError, match=r"exists and was left as it is.*force=True \(--force\)"),
        replacing(target),
    ):
        pytest.fail("the block must not be entered")
    assert target.read_text() == "old"
    assert _names(tmp_path) == ["a.txt"]


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    with pytest.raises(FileExistsError, match="exists"), replacing(target) as beside:
        beside.write_text("ours")
        target.write_text("theirs")
    assert target.read_text() == "theirs"
    assert _names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("taken", [False, True])
def test_file_systems_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: bool) -> None:
    def refuse(*args: object) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    target = tmp_path / "a.txt"

    def write() -> None:
        with replacing(target) as beside:
            beside.write_text("ours")
            if taken:
                target.write_text("theirs")

    if taken:
        with pytest.raises(FileExistsError, match="exists"):
            write()
    else:
        write()
    assert target.read_text() == ("theirs" if taken else "ours")
    assert _names(tmp_path) == ["a.txt"]


def test_force_replaces_and_keeps_the_permissions(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    target.chmod(0o640)
    with replacing(target, force=True) as beside:
        beside.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_bytes_are_written_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "a.bin"
    assert write_whole(target, b"old") == target and target.read_bytes() == b"old"

    def full(path: Path, content: bytes) -> int:
        with path.open("wb") as file:
            file.write(content[:3])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match=r"No space left on device: 4e-06 MB could not be written.*'.*a\.bin'"):
        write_whole(target, b"new!", force=True)
    assert target.read_bytes() == b"old" and _names(tmp_path) == ["a.bin"]


def test_a_new_file_has_ordinary_permissions(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    with replacing(tmp_path / "a.txt"):
        pass
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_text("old")
    link = tmp_path / "link.txt"
    link.symlink_to("real.txt")
    with replacing(link, force=True) as beside:
        beside.write_text("new")
    assert link.is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new"


def test_destinations_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match="is a directory: add a name"):
        check_destination(tmp_path)
    with pytest.raises(FileNotFoundError, match="does not exist: create it first"):
        check_destination(tmp_path / "nowhere" / "a.txt")
    assert check_destination(str(tmp_path / "a.txt")) == tmp_path / "a.txt"

"""A damaged file is told from a whole one, whatever happened to it, and every message names it and says what to do."""

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dyntheory.ground.sealed_files import CheckpointError, read_arrays, read_json, write_arrays, write_json

ARRAYS = {"leaf_0000": np.arange(30.0), "leaf_0001": np.float32(2.0) * np.ones((2, 3), np.float32)}


def _npz(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # pyright: ignore[reportArgumentType]
    return buffer.getvalue()


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "cut to a byte": lambda content: content[:1],
    "cut in the middle": lambda content: content[: len(content) // 2],
    "cut before its digest": lambda content: content[:-66],
    "longer": lambda content: content + b"\0",
    "zeros": lambda content: bytes(len(content)),
    "a pickle": lambda content: pickle.dumps([1.0]),
    "a bare array": lambda content: _npz(a=np.ones(3))[:0] + np.lib.format.magic(1, 0) + b"x",
    "another archive": lambda content: _npz(leaf_0000=np.ones(30), leaf_0001=np.ones((2, 3))),
    "text": lambda content: b'{"a": 1}',
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_arrays_are_refused(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "state.npz"
    write_arrays(path, ARRAYS, owner="a")
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    with pytest.raises(CheckpointError, match=r"state\.npz' is damaged: remove it\."):
        read_arrays(path, owner="a", remedy="remove it")


def test_every_flipped_bit_is_found(tmp_path: Path) -> None:
    """Arrays alone would not do: a flip in their headers is not in what NumPy reads, or is not checked."""
    path = tmp_path / "state.npz"
    write_arrays(path, ARRAYS, owner="a")
    whole = path.read_bytes()
    for place in range(0, 8 * len(whole), 7):  # every byte, and every bit of some
        content = bytearray(whole)
        content[place // 8] ^= 1 << place % 8
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="is damaged"):
            read_arrays(path, owner="a", remedy="remove it")
    path.write_bytes(whole)
    for found, given in zip(read_arrays(path, owner="a", remedy=""), ARRAYS.values(), strict=True):
        assert found.dtype == given.dtype
        np.testing.assert_array_equal(found, given)


def test_files_of_others_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.npz"
    write_arrays(path, ARRAYS, owner="a")
    with pytest.raises(CheckpointError, match="is damaged"):
        read_arrays(path, owner="b", remedy="remove it")
    other = path.rename(tmp_path / "other.npz")
    with pytest.raises(CheckpointError, match="is damaged"):
        read_arrays(other, owner="a", remedy="remove it")


def test_sealed_arrays_are_an_ordinary_archive(tmp_path: Path) -> None:
    write_arrays(tmp_path / "state.npz", ARRAYS, owner="a")
    with np.load(tmp_path / "state.npz") as file, zipfile.ZipFile(tmp_path / "state.npz") as archive:
        np.testing.assert_array_equal(file["leaf_0000"], ARRAYS["leaf_0000"])
        assert len(archive.comment) == 64 and archive.testzip() is None


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "3", "null", "{}", '{"content": {"a": 1}}', '{"content": 1, "sha256": 2}', "[" * 10**5]
)
def test_damaged_notes_are_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "note.json"
    write_json(path, {"a": [1, 2.5, None, "é"]})
    assert read_json(path, remedy="") == {"a": [1, 2.5, None, "é"]}
    found = json.loads(path.read_text())
    for text in (content, json.dumps({**found, "content": {"a": [1, 2.5, None, "e"]}})):
        path.write_text(text)
        with pytest.raises(CheckpointError, match=r"note\.json' is damaged: begin anew\."):
            read_json(path, remedy="begin anew")
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CheckpointError, match="is damaged"):
        read_json(path, remedy="begin anew")


def test_a_folder_in_the_place_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(CheckpointError, match="is a folder, not a file: remove it"):
        read_arrays(tmp_path / "a", owner="me", remedy="remove it")
    with pytest.raises(CheckpointError, match="is a folder, not a file: remove it"):
        read_json(tmp_path / "a", remedy="remove it")

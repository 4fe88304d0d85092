"""NumPy's files: what is read, and that nothing in one is unpickled or raises another error than a refusal."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from dyntheory.shell.tables.array_file import load_arrays, read_npy, read_npz
from dyntheory.shell.tables.reading import Reading

DAYS = np.arange(4).astype("datetime64[D]")


def test_words_dates_and_what_is_left_out(tmp_path: Path) -> None:
    path, rows = tmp_path / "data.npz", np.arange(8.0).reshape(4, 2)
    extra = {"names": np.array(["u", "v"]), "images": np.zeros((4, 2, 2)), "day": DAYS, "town": np.array(list("abca"))}
    np.savez(path, X=rows, y=np.arange(4.0)[:, None], **extra)
    with pytest.raises(ValueError, match="Array 'day' holds dates: --dates days"):
        read_npz(path, "y", Reading())
    raw = read_npz(path, "y", Reading(dates="days", drop=("X 1",)))
    assert raw.names == ("X 0", "day") and list(raw.words) == ["town"]
    np.testing.assert_array_equal(raw.numbers[:, 1], [0.0, 1.0, 2.0, 3.0])
    assert raw.labels.shape == (4,) and "left out: names, images" in raw.notes[0]
    assert read_npz(path, "y", Reading(drop=("day", "X"))).names == ()
    with pytest.raises(ValueError, match="Did you mean 'town'"):
        read_npz(path, "y", Reading(dates="days", drop=("twn",)))


def test_columns_of_a_matrix_are_dropped_by_number(tmp_path: Path) -> None:
    np.save(tmp_path / "data.npy", np.arange(12.0).reshape(3, 4))
    for name in ("1", "column 1", "-3"):
        assert read_npy(tmp_path / "data.npy", "-1", Reading(drop=(name,))).names == ("column 0", "column 2")
    with pytest.raises(ValueError, match="--drop must be the number of a column, 0 to 3 or -1, got '7'"):
        read_npy(tmp_path / "data.npy", "-1", Reading(drop=("7",)))


def header(text: str, version: bytes = b"\x01\x00") -> bytes:
    body = text.encode().ljust(118) + b"\n"
    return b"\x93NUMPY" + version + len(body).to_bytes(2, "little") + body


def archive(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(name, content)
    return buffer.getvalue()


SHAPE = "{'descr': '<f8', 'fortran_order': False, 'shape': (%s,)}"
DAMAGED = {
    "nothing": b"",
    "words": b"no archive",
    "a cut archive": archive("y.npy", header(SHAPE % 1) + bytes(8))[:-30],
    "a longer shape than the file": header(SHAPE % 10**13),
    "a shape no machine has": header(SHAPE % 10**30),
    "the same in an archive": archive("y.npy", header(SHAPE % 10**13)),
    "a deep header": header("[" * 3000 + "]" * 3000),
    "a header that is no Python": header("{'descr': ("),
    "a header of words": header("'a' 'b' !!", b"\x02\x00"),
    "objects": header("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}") + b"cos\nsystem\n",
    "a negative shape": header(SHAPE % -3),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_files_are_refused_by_name(name: str, tmp_path: Path) -> None:
    path = tmp_path / "data.npy"
    path.write_bytes(DAMAGED[name])
    with pytest.raises(ValueError, match=r"'.*data\.npy' cannot be read as a file of NumPy's"):
        load_arrays(path)


def test_an_encrypted_archive_is_refused(tmp_path: Path) -> None:
    path, content = tmp_path / "data.npz", bytearray(archive("y.npy", header(SHAPE % 1) + bytes(8)))
    content[content.index(b"PK\x03\x04") + 6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="cannot be read"):
        load_arrays(path)

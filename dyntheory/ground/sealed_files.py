"""Files that show whether they are whole: a digest of all bytes stands in each of them, and is checked before use.

Numbers and plain values are sealed for an owner (what the computation is) and under their own name, so that a file of
another computation, or of another place in this one, is as good as damaged.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from dyntheory.ground.files import replacing

PIECE = 2**20
NO_COMMENT = b"\0\0"  # how a ZIP archive without a comment ends
DIGITS = 64


class CheckpointError(ValueError):
    """A checkpoint is damaged, belongs to another computation, is in use, or would be overwritten."""


def write_json(path: Path, value: Any) -> None:
    """Write a value that has a JSON form, whole or not at all."""
    content = json.dumps(value, sort_keys=True)
    with replacing(path, force=True) as beside:
        beside.write_text(json.dumps({"sha256": _digest_of(content), "content": value}, indent=1))


def read_json(path: Path, *, remedy: str) -> Any:
    """Return what `write_json` wrote.

    Args:
        path: the file.
        remedy: what to do where it is damaged.

    Raises:
        CheckpointError: it is damaged.
    """
    if path.is_dir():
        raise CheckpointError(f"'{path}' is a folder, not a file: {remedy}.")
    try:
        found = json.loads(path.read_text())
        content = found["content"]
        is_whole = found["sha256"] == _digest_of(json.dumps(content, sort_keys=True))
    except (ValueError, LookupError, TypeError, RecursionError):
        is_whole, content = False, None
    if not is_whole:
        raise CheckpointError(f"'{path}' is damaged: {remedy}.")
    return content


def write_arrays(path: Path, arrays: dict[str, np.ndarray], *, owner: str) -> None:
    """Write arrays as an NPZ file whose comment is the digest, whole or not at all.

    Raises:
        OSError: the disk is full, say; what was there before is kept.
    """
    with replacing(path, force=True) as beside:
        with beside.open("wb") as file:
            np.savez(file, **arrays)  # pyright: ignore[reportArgumentType]: a name may be an option, none here is
        with beside.open("r+b") as file:
            size = file.seek(0, os.SEEK_END) - len(NO_COMMENT)
            digest = _seal(file, size, path.name, owner)
            file.seek(size)
            file.write(struct.pack("<H", DIGITS) + digest.encode())


def read_arrays(path: Path, *, owner: str, remedy: str) -> list[np.ndarray]:
    """Return what `write_arrays` wrote, in the order of the names.

    Raises:
        CheckpointError: it is damaged, or it is a file of another computation or of another name.
    """
    if path.is_dir():
        raise CheckpointError(f"'{path}' is a folder, not a file: {remedy}.")
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END) - len(NO_COMMENT) - DIGITS
        found = _seal(file, size, path.name, owner) if size >= 0 else ""
        file.seek(max(size, 0))
        if file.read() != struct.pack("<H", DIGITS) + found.encode():
            raise CheckpointError(f"'{path}' is damaged: {remedy}.")
        file.seek(0)
        with np.load(file, allow_pickle=False) as arrays:
            return [arrays[name] for name in sorted(arrays.files)]


def _digest_of(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def _seal(file: BinaryIO, size: int, name: str, owner: str) -> str:
    """Return the digest of the first bytes of a file, read piece by piece, with its name and its owner."""
    found = hashlib.sha256(f"{owner}\0{name}\0".encode())
    file.seek(0)
    left = size
    while left > 0 and (piece := file.read(min(left, PIECE))):
        found.update(piece)
        left -= len(piece)
    return found.hexdigest()

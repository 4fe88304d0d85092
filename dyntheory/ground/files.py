"""Write files whole or not at all.

A file is written beside its destination, synced to the disk and renamed over it: a reader sees the old file or the new
one, never a part, and a failure leaves the old one as it was.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path


def check_destination(path: str | Path, *, force: bool = False) -> Path:
    """Require a place where a file may be written; call it before a long computation, not only after.

    Args:
        path: the file to be written.
        force: whether an existing file may be replaced.

    Returns:
        The path.

    Raises:
        FileExistsError: the file exists and `force` is False.
        FileNotFoundError: its directory does not exist.
        IsADirectoryError: the path is a directory.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"A file name is needed, '{path}' is a directory: add a name to it.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"The directory of '{path}' does not exist: create it first.")
    if path.exists() and not force:
        raise _already_exists(path)
    return path


@contextlib.contextmanager
def replacing(path: str | Path, *, force: bool = False) -> Iterator[Path]:
    """Yield a new, empty file beside `path` that takes its place when the block ends without an error.

    Args:
        path: the destination; a symbolic link is followed, so the link stays and its target is replaced.
        force: whether an existing file may be replaced (its permissions are kept).

    Yields:
        The path to write to, in the directory of the destination.

    Raises:
        FileExistsError: the destination exists, or appeared meanwhile, and `force` is False.
        FileNotFoundError: the directory does not exist.
        IsADirectoryError: the destination is a directory.
    """
    path = check_destination(path, force=force)
    target = Path(os.path.realpath(path))
    beside = target.with_name(f".{target.name[:100]}.{secrets.token_hex(8)}.tmp")
    try:
        beside.touch(exist_ok=False)
        yield beside
        sync_file(beside)
        if force:
            _replace(beside, target)
        else:
            _rename_to_new(beside, target, path)
        sync_directory(target.parent)
    finally:
        beside.unlink(missing_ok=True)


def write_whole(path: str | Path, content: bytes | memoryview, *, force: bool = False) -> Path:
    """Write a file whole or not at all; see `replacing`.

    Raises:
        OSError: the file could not be written, a full disk say; what was there before is kept.
    """
    path = Path(path)
    with replacing(path, force=force) as beside:
        try:
            beside.write_bytes(content)
        except OSError as error:
            raise OSError(
                error.errno,
                f"{error.strerror}: {len(content) / 1e6:.3g} MB could not be written and no part of them is left. Make "
                "room or choose another place for",
                str(path),
            ) from error
    return path


def _already_exists(path: Path) -> FileExistsError:
    return FileExistsError(f"'{path}' exists and was left as it is: choose another name, or pass force=True (--force).")


def _replace(beside: Path, target: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        shutil.copymode(target, beside)
    os.replace(beside, target)


def _rename_to_new(beside: Path, target: Path, shown: Path) -> None:
    """Rename only if nobody created the target meanwhile; a hard link, unlike a rename, never replaces."""
    try:
        os.link(beside, target)
    except FileExistsError:
        raise _already_exists(shown) from None
    except OSError:  # a file system without hard links
        if target.exists():
            raise _already_exists(shown) from None
        os.replace(beside, target)


def sync_file(path: Path) -> None:
    """Wait until a file is on the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def sync_directory(path: Path) -> None:
    """Make the rename itself durable, where directories can be synced."""
    if os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)

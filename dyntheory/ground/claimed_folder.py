"""One folder, one computation, one process: what long work keeps its results in.

The folder keeps what the computation is that it belongs to, and is locked while a process writes into it. A computation
that ends by an error before it has saved anything gives the folder back.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dyntheory.ground.sealed_files import CheckpointError, read_json, write_json

IDENTITY, LOCK = "computation.json", "lock"
LEFTOVER = re.compile(r"\..+\.[0-9a-f]+\.tmp")  # see `dyntheory.ground.files.replacing`
DIGEST = re.compile("[0-9a-f]{64}")


@contextlib.contextmanager
def claimed_folder(path: str | Path, identity: dict[str, Any], *, resume: bool) -> Iterator[Path]:
    """Yield the folder of one computation, locked while the block runs.

    Files that a killed process left half-written are removed: nobody else writes into a locked folder.

    Args:
        path: made if it is not there.
        identity: what the computation is, JSON values; compared field by field.
        resume: whether to go on from what the folder holds.

    Raises:
        CheckpointError: the folder is a file, is in use, holds another computation, or holds one and `resume` is
            False; or the file that says which is damaged.
    """
    from filelock import FileLock, Timeout

    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise CheckpointError(f"'{folder}' is a file: a checkpoint needs a folder, choose another name.")
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(str(folder / LOCK), timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise CheckpointError(
            f"Another process writes into '{folder}': wait for it, or choose another folder."
        ) from None
    try:
        is_new = _claim(folder, identity, resume=resume)
        try:
            yield folder
        except BaseException:
            if is_new and {entry.name for entry in folder.iterdir()} <= {IDENTITY, LOCK}:
                (folder / IDENTITY).unlink(missing_ok=True)
            raise
    finally:
        lock.release()


def _claim(folder: Path, identity: dict[str, Any], *, resume: bool) -> bool:
    """Check what the folder holds; write what the computation is into an empty one and return whether it was empty."""
    for entry in folder.iterdir():
        if LEFTOVER.fullmatch(entry.name):
            entry.unlink()
    file = folder / IDENTITY
    if file.exists():
        if not resume:
            raise CheckpointError(
                f"'{folder}' holds a checkpoint: pass resume=True (--resume) to go on, or choose another folder."
            )
        before = read_json(file, remedy=f"remove '{folder}' and begin anew")
        _compare(folder, before, identity)
        return False
    if any(entry.name != LOCK for entry in folder.iterdir()):
        raise CheckpointError(f"'{folder}' holds other files: choose an empty or a new folder for the checkpoint.")
    write_json(file, identity)
    return True


def _compare(folder: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    changed = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
    if not changed:
        return
    pairs = {name: (before.get(name), now.get(name)) for name in changed}
    plain = {name: pair for name, pair in pairs.items() if not any(DIGEST.fullmatch(str(one)) for one in pair)}
    told = "".join(f", {name} was {old}, is {new}" for name, (old, new) in plain.items())
    hint = (
        "Numbers that were given count with all their bits, functions with their code and what they use. "
        if len(plain) < len(pairs)
        else ""
    )
    raise CheckpointError(
        f"'{folder}' was written by another computation: {', '.join(changed)} changed{told}. {hint}Go back to what it "
        "was, or choose another folder."
    )

"""One folder, one computation, one process: what long work keeps its results in.

The folder keeps the fingerprint of the computation it belongs to, and is locked while a process writes into it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dyntheory.ground.files import replacing

IDENTITY, LOCK = "computation.json", "lock"


class CheckpointError(ValueError):
    """A checkpoint belongs to another computation, is in use, or would be overwritten."""


@contextlib.contextmanager
def claimed_folder(path: str | Path, identity: dict[str, Any], *, resume: bool) -> Iterator[Path]:
    """Yield the folder of one computation, locked while the block runs.

    Args:
        path: made if it is not there.
        identity: what the computation is, JSON values; compared field by field.
        resume: whether to go on from what the folder holds.

    Raises:
        CheckpointError: the folder is in use, holds another computation, or holds one and `resume` is False.
    """
    from filelock import FileLock, Timeout

    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(str(folder / LOCK), timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise CheckpointError(
            f"Another process writes into '{folder}': wait for it, or choose another folder."
        ) from None
    try:
        _claim(folder, identity, resume=resume)
        yield folder
    finally:
        lock.release()


def _claim(folder: Path, identity: dict[str, Any], *, resume: bool) -> None:
    file = folder / IDENTITY
    if file.exists():
        if not resume:
            raise CheckpointError(
                f"'{folder}' holds a checkpoint: pass resume=True (--resume) to go on, or choose another folder."
            )
        before = json.loads(file.read_text())
        changed = sorted(name for name in {*before, *identity} if before.get(name) != identity.get(name))
        if changed:
            raise CheckpointError(
                f"'{folder}' was written by another computation: {', '.join(changed)} changed. Go back to what it was, "
                "or choose another folder."
            )
        return
    for leftover in folder.glob(f".{IDENTITY}.*.tmp"):  # of a process killed just here
        leftover.unlink()
    if any(entry.name != LOCK for entry in folder.iterdir()):
        raise CheckpointError(f"'{folder}' holds other files: choose an empty or a new folder for the checkpoint.")
    with replacing(file) as beside:
        beside.write_text(json.dumps(identity, indent=1))

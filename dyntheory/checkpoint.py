"""Checkpoints of a long computation: one folder, one file per solution, each written whole or not at all.

The folder belongs to one computation and one process at a time (`claimed_folder`). A run that is killed loses what it
did since its last file; taken up again it makes the same numbers, bit by bit.
"""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from dyntheory._typing import PyTree
from dyntheory.claimed_folder import claimed_folder
from dyntheory.files import replacing
from dyntheory.limit_run import State
from dyntheory.state_evolution import LimitCurves
from dyntheory.status import DyntheoryWarning

INTERVAL = 120.0


@contextlib.contextmanager
def checkpoint_folder(path: str | Path, identity: dict[str, Any], *, resume: bool) -> Iterator[CheckpointFolder]:
    """Yield what keeps solutions in the folder of one computation; see `claimed_folder`."""
    with claimed_folder(path, identity, resume=resume) as folder:
        yield CheckpointFolder(folder, INTERVAL)


class CheckpointFolder:
    """Where solutions are kept; see `dyntheory.limit_jobs.Store`.

    Args:
        folder: a locked folder.
        interval: seconds between two files of a solution in progress.
    """

    def __init__(self, folder: Path, interval: float) -> None:
        self.folder, self.interval = folder, interval
        self.last_saved = time.monotonic()

    def finished(self, name: str) -> list[np.ndarray] | None:
        """Return the leaves of a solution that was finished before."""
        return _read(self.folder / f"{name}.finished.npz")

    def take_up(self, name: str, first: State) -> State:
        """Return the state from which to go on: the saved one, or the first."""
        leaves = _read(self.folder / f"{name}.state.npz")
        if leaves is None:
            return first
        structure = jax.tree.structure((first.carry, first.records[0]))
        carry, records = jax.tree.unflatten(structure, leaves[1:])
        return first._replace(pieces_done=int(leaves[0]), carry=carry, records=[records])

    def after_piece(self, name: str, state: State) -> None:
        """Save the state if the last file is older than the interval."""
        if time.monotonic() - self.last_saved < self.interval:
            return
        records = jax.tree.map(lambda *leaves: np.concatenate(leaves), *state.records)
        self._write(f"{name}.state.npz", (np.asarray(state.pieces_done), state.carry, records))
        self.last_saved = time.monotonic()

    def finish(self, name: str, curves: LimitCurves) -> None:
        """Save a finished solution and remove its last state."""
        if self._write(f"{name}.finished.npz", curves):
            (self.folder / f"{name}.state.npz").unlink(missing_ok=True)

    def saved(self, name: str, like: PyTree) -> PyTree | None:
        """Return the tree of that name, in the structure of `like`; None when nothing was saved."""
        leaves = _read(self.folder / f"{name}.npz")
        return None if leaves is None else jax.tree.unflatten(jax.tree.structure(like), leaves)

    def save(self, name: str, tree: PyTree, *, is_last: bool = False) -> None:
        """Save the tree if the last file is older than the interval, or if it is the last one."""
        if is_last or time.monotonic() - self.last_saved >= self.interval:
            self._write(f"{name}.npz", tree)
            self.last_saved = time.monotonic()

    def _write(self, name: str, tree: PyTree) -> bool:
        """Write the leaves; a full disk is reported and costs the checkpoint, not the run."""
        leaves: dict[str, Any] = {
            f"leaf_{index:04}": np.asarray(leaf) for index, leaf in enumerate(jax.tree.leaves(tree))
        }
        try:
            with replacing(self.folder / name, force=True) as beside, beside.open("wb") as file:
                np.savez(file, **leaves)
        except OSError as error:
            warnings.warn(
                f"The checkpoint '{self.folder / name}' could not be written ({error}); the one before it is kept and "
                "the run goes on.",
                DyntheoryWarning,
                stacklevel=2,
            )
            return False
        return True


def _read(path: Path) -> list[np.ndarray] | None:
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as file:
        return [file[name] for name in sorted(file.files)]

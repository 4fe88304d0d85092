"""Checkpoints of a long computation: one folder, one file per tree of arrays, each written whole or not at all.

The folder belongs to one computation and one process at a time (`claimed_folder`). A run that is killed loses what it
did since its last file; taken up again it makes the same numbers, bit by bit.
"""

from __future__ import annotations

import contextlib
import json
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from dyntheory.ground.arrays import PyTree
from dyntheory.ground.claimed_folder import claimed_folder
from dyntheory.ground.sealed_files import read_arrays, write_arrays
from dyntheory.ground.status import DyntheoryWarning

INTERVAL = 120.0


@contextlib.contextmanager
def checkpoint_folder(path: str | Path, identity: dict[str, Any], *, resume: bool) -> Iterator[CheckpointFolder]:
    """Yield what keeps trees of arrays in the folder of one computation; see `claimed_folder`."""
    with claimed_folder(path, identity, resume=resume) as folder:
        yield CheckpointFolder(folder, INTERVAL, json.dumps(identity, sort_keys=True))


class CheckpointFolder:
    """Where trees of arrays are kept by name.

    Args:
        folder: a locked folder.
        interval: seconds between two files of a computation in progress.
        owner: what the computation is; files of another one are refused.
    """

    def __init__(self, folder: Path, interval: float, owner: str) -> None:
        self.folder, self.interval, self.owner = folder, interval, owner
        self.last_saved = time.monotonic()

    @property
    def is_due(self) -> bool:
        """Whether the last file is older than the interval."""
        return time.monotonic() - self.last_saved >= self.interval

    def leaves(self, name: str) -> list[np.ndarray] | None:
        """Return the leaves of the tree of that name; None when nothing was saved.

        Raises:
            CheckpointError: the file is damaged.
        """
        path = self._path(name)
        if not path.exists():
            return None
        remedy = f"remove it and resume, and what it held is computed again; or remove '{self.folder}' and begin anew"
        return read_arrays(path, owner=self.owner, remedy=remedy)

    def saved(self, name: str, like: PyTree) -> PyTree | None:
        """Return the tree of that name, in the structure of `like`; None when nothing was saved."""
        leaves = self.leaves(name)
        return None if leaves is None else jax.tree.unflatten(jax.tree.structure(like), leaves)

    def save(self, name: str, tree: PyTree) -> None:
        """Write the tree and count the interval from now."""
        self.write(name, tree)
        self.last_saved = time.monotonic()

    def write(self, name: str, tree: PyTree) -> bool:
        """Write the leaves; a full disk is reported and costs the checkpoint, not the run."""
        leaves: dict[str, Any] = {
            f"leaf_{index:04}": np.asarray(leaf) for index, leaf in enumerate(jax.tree.leaves(tree))
        }
        try:
            write_arrays(self._path(name), leaves, owner=self.owner)
        except OSError as error:
            warnings.warn(
                f"The checkpoint '{self._path(name)}' could not be written ({error}); the one before it is kept and "
                "the run goes on.",
                DyntheoryWarning,
                stacklevel=2,
            )
            return False
        return True

    def remove(self, name: str) -> None:
        """Remove the tree of that name, if it is there."""
        self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.npz"

"""Checkpoints of a prediction: solutions that are finished, and the state of the one in progress."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.ground.arrays import PyTree
from dyntheory.ground.checkpoint import CheckpointFolder, checkpoint_folder
from dyntheory.ground.resources import Resources
from dyntheory.verbs.prediction.pieces import State, structure_between
from dyntheory.verbs.prediction.wanted import Wanted


@contextlib.contextmanager
def solution_store(resources: Resources, wanted: Wanted) -> Iterator[SolutionStore | None]:
    """Yield what keeps the solutions of one computation, None without a folder; every number of nodes has its own."""
    if resources.checkpoint is None:
        yield None
        return
    path = resources.checkpoint / f"nodes_{wanted.num_nodes}"
    with checkpoint_folder(path, wanted.identity(), resume=resources.resume) as folder:
        yield SolutionStore(folder)


class SolutionStore:
    """Where solutions are kept; see `dyntheory.ground.schedule.Store`."""

    def __init__(self, folder: CheckpointFolder) -> None:
        self.folder = folder

    def finished(self, name: str) -> list[np.ndarray] | None:
        """Return the leaves of a solution that was finished before."""
        return self.folder.leaves(f"{name}.finished")

    def take_up(self, name: str, first: State) -> State:
        """Return the state from which to go on: the saved one, or the first."""
        leaves = self.folder.leaves(f"{name}.state")
        if leaves is None:
            return first
        carry, records = jax.tree.unflatten(structure_between(first), list(map(jnp.asarray, leaves[1:])))
        return first._replace(pieces_done=int(leaves[0]), carry=carry, records=[records])

    def after_piece(self, name: str, state: State) -> None:
        """Save the state if the last file is older than the interval."""
        if self.folder.is_due:
            records = jax.tree.map(lambda *leaves: np.concatenate(leaves), *state.records)
            self.folder.save(f"{name}.state", (np.asarray(state.pieces_done), state.carry, records))

    def finish(self, name: str, result: PyTree) -> None:
        """Save a finished solution and remove its last state."""
        if self.folder.write(f"{name}.finished", result):
            self.folder.remove(f"{name}.state")

"""What a computation may use, and where it tells and keeps how far it is: checked once, then handed on."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from jax.sharding import Mesh

from dyntheory.ground.arrays import Progress
from dyntheory.ground.checks import check_positive, check_scalar
from dyntheory.ground.memory import available_memory


class Resources(NamedTuple):
    """Resources of one call of a verb.

    Args:
        max_memory: bytes that may be used.
        mesh: devices, or None for the default one.
        checkpoint: folder that keeps the state of a long computation, or None.
        resume: go on from what the folder holds.
        report: called with (fraction done, what is being done).
    """

    max_memory: int
    mesh: Mesh | None
    checkpoint: Path | None
    resume: bool
    report: Progress

    @classmethod
    def checked(
        cls,
        *,
        max_memory: float | None = None,
        mesh: Mesh | None = None,
        checkpoint: str | Path | None = None,
        resume: bool = False,
        progress: Progress | None = None,
    ) -> Resources:
        """Return the resources of a call from its arguments; most of the free memory by default, and no report.

        Raises:
            TypeError: a memory that is no number, or a `progress` that cannot be called.
            ValueError: a memory that is not positive, or nothing to resume from.
        """
        if max_memory is not None:
            check_scalar("max_memory", max_memory)
            check_positive("max_memory", max_memory, "bytes")
        check_checkpoint(checkpoint, resume=resume, progress=progress)
        memory = available_memory() if max_memory is None else int(max_memory)
        return cls(memory, mesh, None if checkpoint is None else Path(checkpoint), resume, progress or silent)


def check_checkpoint(checkpoint: str | Path | None, *, resume: bool, progress: Progress | None) -> None:
    """Refuse what would only be noticed after a folder was claimed, or never.

    Raises:
        TypeError: `progress` cannot be called.
        ValueError: nothing to resume from.
    """
    if resume and checkpoint is None:
        raise ValueError("`resume` needs `checkpoint`: the folder to go on from.")
    check_progress(progress)


def check_progress(progress: Progress | None) -> None:
    """Refuse what cannot be called, before it is called.

    Raises:
        TypeError: it is neither a function nor None.
    """
    if progress is not None and not callable(progress):
        raise TypeError(f"`progress` must be a function (fraction done, what is being done), got {progress!r}.")


def silent(fraction: float, text: str) -> None:
    """Tell nobody."""
    del fraction, text

"""Long computations that die while they save: what a checkpoint is for."""

from typing import Any

import pytest

from dyntheory.ground.checkpoint import CheckpointFolder


class Killed(Exception):
    """What ends a computation here."""


def die_after(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Raise in the middle of a computation, right after that many files."""
    written, calls = CheckpointFolder.write, []

    def write(self: Any, name: str, tree: Any) -> bool:
        done = written(self, name, tree)
        calls.append(name)
        if len(calls) == count:
            raise Killed
        return done

    monkeypatch.setattr(CheckpointFolder, "write", write)

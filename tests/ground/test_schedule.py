"""Jobs beside each other: the lane that fails is the one that is told; no process waits for ever."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Self, cast

import jax
import numpy as np
import pytest

from dyntheory.ground import schedule


def _silent(fraction: float, text: str) -> None:
    del fraction, text


class _State(NamedTuple):
    fraction: float = 0.5


class _Job(NamedTuple):
    """A job that fails if it is called bad, and else has no end."""

    name: str
    pieces: list[str]
    text: str = "a job"
    size: int = 8

    def solve(self, after_piece: Callable[[Any], None], take_up: Callable[[Any], Any]) -> str:
        if self.name == "bad":
            raise ValueError("of the bad one")
        while True:
            self.pieces.append(self.name)
            after_piece(take_up(_State()))

    def structure(self) -> Any:
        return jax.tree.structure(0)

    def placed(self, sharding: Any) -> Self:
        del sharding
        return self


def test_the_lane_that_fails_tells_and_stops_the_others() -> None:
    pieces: list[str] = []
    for lanes in (["long", "bad"], ["bad", "long"]):
        with pytest.raises(ValueError, match="of the bad one"):
            schedule.run_in_lanes([[_Job(name, pieces)] for name in lanes], _silent)
    assert pieces


class _Group:
    is_local, first_process = True, 0


def test_processes_meet_even_if_one_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    met: list[list[str]] = []

    def exchanged(arrays: dict[str, list[np.ndarray]]) -> dict[str, list[np.ndarray]]:
        met.append(list(arrays))
        return arrays

    def fail(*args: Any) -> None:
        raise ValueError("no room")

    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(schedule, "exchanged", exchanged)
    groups = cast(Any, [_Group()])
    monkeypatch.setattr(schedule, "run_in_lanes", fail)
    with pytest.raises(ValueError, match="no room"):
        schedule.run_on_groups([_Job("one", [])], groups, _silent)
    monkeypatch.setattr(schedule, "run_in_lanes", lambda *args: {})
    with pytest.raises(RuntimeError, match=r"Another process failed.*one were not solved"):
        schedule.run_on_groups([_Job("one", [])], groups, _silent)
    assert met == [[], []]

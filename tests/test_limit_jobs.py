"""Solutions beside each other: the lane that fails is the one that is told; no process waits for ever."""

from typing import Any, cast

import jax
import numpy as np
import pytest

from dyntheory import limit_groups, limit_jobs
from dyntheory.limit_run import State


class _Net:
    num_nodes = 8


def _job(name: str) -> limit_jobs.Job:
    return cast(Any, limit_jobs.Job)(name, None, _Net(), None, False, None)


def _state() -> State:
    return cast(Any, State)(1, 2, None, None, [])


def test_the_lane_that_fails_tells_and_stops_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces: list[str] = []

    def solve(job: limit_jobs.Job, num_steps: int, after_piece: Any) -> str:
        if job.name == "bad":
            raise ValueError("of the bad one")
        while True:
            pieces.append(job.name)
            after_piece(_state())

    monkeypatch.setattr(limit_jobs, "solve_job", solve)
    for lanes in (["long", "bad"], ["bad", "long"]):
        with pytest.raises(ValueError, match="of the bad one"):
            limit_jobs.run_in_lanes([[_job(name)] for name in lanes], 1, lambda fraction, text: None)
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
    monkeypatch.setattr(limit_groups, "exchanged", exchanged)
    groups = cast(Any, [_Group()])
    monkeypatch.setattr(limit_groups, "run_in_lanes", fail)
    with pytest.raises(ValueError, match="no room"):
        limit_groups.run_on_groups([_job("one")], groups, 1, lambda fraction, text: None)
    monkeypatch.setattr(limit_groups, "run_in_lanes", lambda *args: {})
    with pytest.raises(RuntimeError, match=r"Another process failed.*one were not solved"):
        limit_groups.run_on_groups([_job("one")], groups, 1, lambda fraction, text: None)
    assert met == [[], []]

"""A thread that works on the newest request: order, cancelling, failures; events in place of sleeping."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from dyntheory.ground.arrays import Progress
from dyntheory.shell.explorer.lanes import FINISHED, Failed, Lane, Progressed

PATIENCE = 30.0


@pytest.fixture
def lane() -> Iterator[Lane]:
    made = Lane("test")
    yield made
    made.close(PATIENCE)


class Held:
    """Work that waits at its first value until it may go on."""

    def __init__(self) -> None:
        self.begun, self.may_go_on = threading.Event(), threading.Event()
        self.seen: list[str] = []

    def __call__(self, progress: Progress) -> Iterator[Any]:
        self.begun.set()
        assert self.may_go_on.wait(PATIENCE)
        yield "first"
        self.seen.append("between")
        yield "second"


def all_of(results: queue.Queue[Any]) -> list[Any]:
    """Return what is delivered up to the end of a request."""
    return list(iter(lambda: results.get(timeout=PATIENCE), FINISHED))


def test_values_progress_and_the_end_are_delivered_in_order(lane: Lane) -> None:
    results: queue.Queue[Any] = queue.Queue()

    def work(progress: Progress) -> Iterator[int]:
        yield 1
        progress(0.5, "half")
        yield 2

    lane.submit("me", work, results.put)
    assert all_of(results) == [1, Progressed(0.5, "half"), 2]


def test_a_newer_request_ends_the_older_one(lane: Lane) -> None:
    older, newer = queue.Queue(), queue.Queue()
    held = Held()
    lane.submit("me", held, older.put)
    assert held.begun.wait(PATIENCE)
    lane.submit("me", lambda progress: iter(["new"]), newer.put)
    held.may_go_on.set()
    assert all_of(newer) == ["new"]
    assert all_of(older) == []
    assert held.seen == []
    assert older.empty()


def test_what_has_not_begun_is_never_begun(lane: Lane) -> None:
    results: queue.Queue[Any] = queue.Queue()
    held = Held()
    lane.submit("other", held, lambda value: None)
    assert held.begun.wait(PATIENCE)
    begun: list[str] = []
    for name in ("a", "b", "c"):
        lane.submit("me", lambda progress, name=name: iter([begun.append(name) or name]), results.put)
    held.may_go_on.set()
    assert [all_of(results) for _ in range(3)] == [[], [], ["c"]]
    assert begun == ["c"]


def test_owners_take_turns(lane: Lane) -> None:
    order: list[str] = []
    ends: queue.Queue[Any] = queue.Queue()
    held = Held()
    lane.submit("gate", held, lambda value: None)
    assert held.begun.wait(PATIENCE)

    def work(name: str) -> Any:
        def values(progress: Progress) -> Iterator[int]:
            for value in range(2):
                order.append(f"{name}{value}")
                yield value

        return values

    for name in ("a", "b"):
        lane.submit(name, work(name), lambda value: ends.put(value) if value is FINISHED else None)
    held.may_go_on.set()
    assert [ends.get(timeout=PATIENCE) for _ in range(2)] == [FINISHED] * 2
    assert order == ["a0", "b0", "a1", "b1"]


def test_cancelling_leaves_the_verb_at_its_next_word(lane: Lane) -> None:
    results: queue.Queue[Any] = queue.Queue()
    begun, may_go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def work(progress: Progress) -> Iterator[int]:
        begun.set()
        try:
            assert may_go_on.wait(PATIENCE)
            progress(0.1, "a word")
            yield 1
        finally:
            ended.set()

    lane.submit("me", work, results.put)
    assert begun.wait(PATIENCE)
    lane.cancel("me")
    assert all_of(results) == []
    may_go_on.set()
    assert ended.wait(PATIENCE)
    lane.submit("me", lambda progress: iter(["after"]), results.put)
    assert all_of(results) == ["after"]


def test_an_error_is_delivered_and_the_thread_goes_on(lane: Lane) -> None:
    results: queue.Queue[Any] = queue.Queue()

    def work(progress: Progress) -> Iterator[int]:
        yield 1
        raise ValueError("no")

    lane.submit("me", work, results.put)
    first, failed = all_of(results)
    assert first == 1
    assert isinstance(failed, Failed) and str(failed.error) == "no"
    lane.submit("me", lambda progress: iter([2]), results.put)
    assert all_of(results) == [2]


def test_a_page_that_is_gone_stops_nobody(lane: Lane, caplog: pytest.LogCaptureFixture) -> None:
    results: queue.Queue[Any] = queue.Queue()

    def gone(value: Any) -> None:
        if value is not FINISHED:
            raise RuntimeError("the document is gone")

    lane.submit("gone", lambda progress: iter([1]), gone)
    lane.submit("me", lambda progress: iter([2]), results.put)
    assert all_of(results) == [2]
    assert "could not be delivered" in caplog.text

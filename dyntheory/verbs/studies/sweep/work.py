"""Pieces of a sweep on whatever works: threads, processes, a cluster; finished ones are kept and never done again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol

import jax

from dyntheory.ground.arrays import Progress
from dyntheory.ground.checkpoint import CheckpointFolder
from dyntheory.verbs.studies.sweep.answers import Answer, packed, unpacked

ATTEMPTS = 3
WAITING_FOR_EACH = 4  # pieces that wait for a worker
MANY = 64  # workers of an executor that does not say how many it has

Result = list[Answer]


class Piece(Protocol):
    """What is given to a worker: plain data and functions."""

    @property
    def name(self) -> str:
        """A name of its own."""
        ...

    @property
    def places(self) -> tuple[int, ...]:
        """Where its answers belong."""
        ...

    @property
    def num_points(self) -> int:
        """How many points it has."""
        ...

    @property
    def work(self) -> float:
        """How much it is beside others."""
        ...


def solve_all(
    solve: Callable[[Any], Result],
    pieces: Sequence[Piece],
    executor: Executor | int,
    folder: CheckpointFolder | None,
    report: Progress,
) -> list[Answer]:
    """Return the answers of all points in their order; `executor` may be a number, the most threads that fit."""
    answers: dict[int, Answer] = {}
    clock = _Clock(pieces, report)

    def take(piece: Piece, found: Result) -> None:
        answers.update(zip(piece.places, found, strict=True))
        clock.count(piece)

    left = []
    for piece in pieces:
        leaves = None if folder is None else folder.leaves(piece.name)
        if leaves is None:
            left.append(piece)
        else:
            take(piece, unpacked(leaves))
    clock.begin()
    for piece, found in _solved(solve, left, executor):
        if folder is not None:
            folder.write(piece.name, packed(found))
        take(piece, found)
    return [answers[place] for place in sorted(answers)]


class _Clock:
    """Tells how much is done, and how long the rest takes at the pace so far."""

    def __init__(self, pieces: Sequence[Piece], report: Progress) -> None:
        self.report, self.total, self.num_points = report, sum(piece.work for piece in pieces), 0
        self.all_points = sum(piece.num_points for piece in pieces)
        self.done, self.before, self.started = 0.0, 0.0, time.monotonic()

    def begin(self) -> None:
        """Count time from now: what was done before took none."""
        self.before, self.started = self.done, time.monotonic()

    def count(self, piece: Piece) -> None:
        """Count a piece and tell."""
        self.done, self.num_points = self.done + piece.work, self.num_points + piece.num_points
        fresh, elapsed = self.done - self.before, time.monotonic() - self.started
        rest = (self.total - self.done) * elapsed / fresh if fresh > 0 else 0.0
        self.report(self.done / self.total, f"{self.num_points} of {self.all_points} points, {rest:.0f} s left")


def _solved(
    solve: Callable[[Any], Result], pieces: list[Piece], executor: Executor | int
) -> Iterator[tuple[Piece, Result]]:
    """Yield the answers of pieces as they come; one whose worker died is given to another."""
    with _workers(executor) as (pool, count):
        waiting: dict[Future[Result], tuple[Piece, int]] = {}
        left = iter([(piece, 1) for piece in pieces])
        again: list[tuple[Piece, int]] = []
        try:
            while True:
                while len(waiting) < WAITING_FOR_EACH * count and (one := again.pop() if again else next(left, None)):
                    waiting[pool.submit(solve, one[0])] = one
                if not waiting:
                    return
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    piece, attempt = waiting.pop(future)
                    error = future.exception()
                    if error is None:
                        yield piece, future.result()
                    elif isinstance(executor, Executor) and attempt < ATTEMPTS and _is_of_the_worker(error):
                        again.append((piece, attempt + 1))
                    else:
                        raise error
        finally:
            for future in waiting:
                future.cancel()


def _is_of_the_worker(error: BaseException) -> bool:
    """Return whether another worker may have more luck: our own refusals are the same everywhere."""
    return not isinstance(error, ValueError | TypeError)


def _workers(executor: Executor | int) -> AbstractContextManager[tuple[Any, int]]:
    if isinstance(executor, Executor):
        return nullcontext((executor, int(getattr(executor, "_max_workers", MANY) or MANY)))
    return _threads(1 if jax.default_backend() != "cpu" else min(executor, os.cpu_count() or 1))


@contextmanager
def _threads(count: int) -> Iterator[tuple[Executor, int]]:
    pool = ThreadPoolExecutor(count)
    try:
        yield pool, count
    finally:
        pool.shutdown(wait=True, cancel_futures=True)

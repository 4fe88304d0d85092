"""Background threads that always work on what was asked for last.

A request is a generator: every value that it yields is delivered, and between two of them the thread may turn to
another owner's request. A newer request of an owner ends the older one: what it has not begun is never begun, and what
it finds is not delivered.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from typing import Any

from dyntheory.ground.arrays import Progress


class Cancelled(Exception):
    """Raised by the `progress` of a request that was ended, to leave the verb that it is in."""


@dataclasses.dataclass(frozen=True)
class Failed:
    """Delivered in place of a value when a request raised."""

    error: Exception


@dataclasses.dataclass(frozen=True)
class Progressed:
    """Delivered whenever the verb of a request says how far it is."""

    fraction: float
    text: str


class _Finished:
    """Delivered after the last value of a request, and when it was ended or raised."""


FINISHED = _Finished()
Work = Callable[[Progress], Iterator[Any]]


@dataclasses.dataclass
class _Request:
    work: Work
    deliver: Callable[[Any], object]
    ready_at: float
    ended: threading.Event = dataclasses.field(default_factory=threading.Event)
    values: Iterator[Any] | None = None

    def report(self, fraction: float, text: str) -> None:
        if self.ended.is_set():
            raise Cancelled
        self.deliver(Progressed(float(fraction), text))

    def advance(self) -> bool:
        """Compute and deliver the next value; return whether there may be another."""
        try:
            self.values = self.values or self.work(self.report)
            value = next(self.values)
        except (StopIteration, Cancelled):
            return False
        except Exception as error:
            value = Failed(error)
        if self.ended.is_set():
            return False
        self.deliver(value)
        return not isinstance(value, Failed)


class Lane:
    """One thread, and at most one request of every owner.

    Args:
        name: of the thread.
    """

    def __init__(self, name: str) -> None:
        self._changed = threading.Condition()
        self._requests: dict[Hashable, _Request] = {}
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, owner: Hashable, work: Work, deliver: Callable[[Any], object], *, wait: float = 0.0) -> None:
        """Ask for some work, in place of what the owner asked for before.

        Args:
            owner: who asks.
            work: given a `progress` for the verbs, an iterator over what is to be delivered.
            deliver: called in the lane's thread with every value, with `Progressed`, `Failed`, and `FINISHED` last.
            wait: seconds in which nothing newer must come before it begins.
        """
        with self._changed:
            self._end(owner)
            self._requests[owner] = _Request(work, deliver, time.monotonic() + wait)
            self._changed.notify()

    def cancel(self, owner: Hashable) -> None:
        """End what the owner asked for."""
        with self._changed:
            self._end(owner)

    def close(self, timeout: float) -> None:
        """End everything and wait for the thread, at most that many seconds."""
        with self._changed:
            self._closed = True
            for owner in list(self._requests):
                self._end(owner)
            self._changed.notify()
        self._thread.join(timeout)

    def _end(self, owner: Hashable) -> None:
        request = self._requests.pop(owner, None)
        if request is not None:
            request.ended.set()
            request.deliver(FINISHED)

    def _run(self) -> None:
        while (found := self._next()) is not None:
            owner, request = found
            try:
                goes_on = request.advance()
            except Exception:  # of `deliver`: its page is gone, the other pages are not
                logging.getLogger(__name__).exception("a result could not be delivered")
                goes_on = False
            with self._changed:
                if self._requests.get(owner) is not request:
                    continue
                del self._requests[owner]
                if goes_on:
                    self._requests[owner] = request  # behind those of other owners
                else:
                    request.deliver(FINISHED)

    def _next(self) -> tuple[Hashable, _Request] | None:
        """Return the first request whose time has come, when there is one; None once closed."""
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                ready = [(owner, request) for owner, request in self._requests.items() if request.ready_at <= now]
                if ready:
                    return ready[0]
                first = min((request.ready_at for request in self._requests.values()), default=None)
                self._changed.wait(None if first is None else first - now)
            return None

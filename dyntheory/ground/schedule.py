"""Jobs of several pieces: in turn, in lanes beside each other, or on groups of devices; what they compute is theirs.

Between two pieces a job tells how far it is, and may be saved or stopped. Every way of running returns results by name.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, Self, TypeAlias, runtime_checkable

import jax
import numpy as np

from dyntheory.ground.arrays import Progress, PyTree
from dyntheory.ground.devices import NodeSharding, exchanged
from dyntheory.ground.precision import double_precision

Results: TypeAlias = dict[str, Any]


class State(Protocol):
    """A job between two pieces."""

    @property
    def fraction(self) -> float:
        """How much of it is done."""
        ...


class Job(Protocol):
    """One piece of work among others."""

    @property
    def name(self) -> str:
        """A name of its own."""
        ...

    @property
    def text(self) -> str:
        """What it is, for people."""
        ...

    @property
    def size(self) -> int:
        """How much work it is beside the others."""
        ...

    def solve(self, after_piece: Callable[[Any], None], take_up: Callable[[Any], Any]) -> PyTree:
        """Return the result; `after_piece` may raise to stop, `take_up` turns the first state into a later one."""
        ...

    def structure(self) -> Any:
        """Return the tree structure of the result."""
        ...

    def placed(self, sharding: NodeSharding) -> Self:
        """Return the same job on these devices."""
        ...


@runtime_checkable
class Store(Protocol):
    """Where results are kept between the pieces, so that they can be taken up again."""

    def finished(self, name: str) -> list[np.ndarray] | None:
        """Return the leaves of a result that was finished before."""
        ...

    def take_up(self, name: str, first: Any) -> Any:
        """Return the state from which to go on, given the first one."""
        ...

    def after_piece(self, name: str, state: Any) -> None:
        """Take note of a state, and save it if it is time."""
        ...

    def finish(self, name: str, result: PyTree) -> None:
        """Save a finished result."""
        ...


def run_in_turn(jobs: Sequence[Job], report: Progress, *, store: Store | None = None) -> Results:
    """Solve one after the other, saving on the way and taking up what was saved."""
    solved: Results = {}
    for index, (job, (start, share)) in enumerate(zip(jobs, _shares(jobs), strict=True)):
        text = f"{job.text}, solution {index + 1} of {len(jobs)}"

        def after_piece(
            state: State, job: Job = job, text: str = text, start: float = start, share: float = share
        ) -> None:
            report(start + state.fraction * share, text)
            if store is not None:
                store.after_piece(job.name, state)

        leaves = None if store is None else store.finished(job.name)
        if leaves is not None:
            solved[job.name] = jax.tree.unflatten(job.structure(), leaves)
            continue
        solved[job.name] = job.solve(
            after_piece, _first if store is None else functools.partial(store.take_up, job.name)
        )
        if store is not None:
            store.finish(job.name, solved[job.name])
    return solved


class Stopped(Exception):
    """Raised in one lane when another one failed."""


def run_in_lanes(lanes: Sequence[Sequence[Job]], report: Progress) -> Results:
    """Solve lists of jobs beside each other, each in a thread, the first in this one.

    One lane compiles while another runs, and lanes on devices of their own run together.
    """
    stopped = threading.Event()

    def check(state: State) -> None:
        del state
        if stopped.is_set():
            raise Stopped

    def solve_lane(lane: Sequence[Job]) -> Results:
        try:
            with double_precision():
                return {job.name: job.solve(check, _first) for job in lane}
        except BaseException:
            stopped.set()
            raise

    first, *others = lanes
    with ThreadPoolExecutor(max(len(others), 1)) as pool:
        waiting = [pool.submit(solve_lane, lane) for lane in others]
        try:
            solved: Results = {}
            for job, (start, share) in zip(first, _shares(first), strict=True):

                def tell(state: State, job: Job = job, start: float = start, share: float = share) -> None:
                    check(state)
                    report(start + state.fraction * share, f"{job.text}, others beside it")

                solved[job.name] = job.solve(tell, _first)
        except Stopped:
            solved = {}  # the lane that failed tells why
        except BaseException:
            stopped.set()
            raise
        try:
            for lane in sorted(waiting, key=lambda future: isinstance(future.exception(), Stopped)):
                solved |= lane.result()
        except BaseException:
            stopped.set()
            raise
    return solved


def run_on_groups(jobs: Sequence[Job], groups: Sequence[NodeSharding], report: Progress) -> Results:
    """Solve on several groups of devices, each its share of the jobs; every process returns all results."""
    lanes = _lanes(jobs, groups)
    mine = [lane for group, lane in zip(groups, lanes, strict=True) if lane and group.is_local]
    if jax.process_count() == 1:
        return run_in_lanes(mine, report)
    solved, failure = {}, None
    try:
        solved = run_in_lanes(mine, report) if mine else {}
    except Exception as error:  # the other processes wait for an exchange: it tells them
        failure = error
    first = [lane for group, lane in zip(groups, lanes, strict=True) if group.first_process == jax.process_index()]
    own = {job.name: solved[job.name] for lane in first for job in lane if job.name in solved}
    return _exchanged(jobs, own, failure)


def _lanes(jobs: Sequence[Job], groups: Sequence[NodeSharding]) -> list[list[Job]]:
    """Return the jobs of every group, on its devices."""
    lanes: list[list[Job]] = [[] for _ in groups]
    for job, group in zip(jobs, share_out([job.size for job in jobs], len(groups)), strict=True):
        lanes[group].append(job.placed(groups[group]))
    return lanes


def _exchanged(jobs: Sequence[Job], own: Results, failure: Exception | None) -> Results:
    """Return the results of all processes; every process meets the others here, also one that failed.

    Raises:
        RuntimeError: another process failed.
    """
    found = exchanged({name: jax.tree.leaves(result) for name, result in own.items()})
    if failure is not None:
        raise failure
    missing = [job.name for job in jobs if job.name not in found]
    if missing:
        raise RuntimeError(f"Another process failed and says why: {', '.join(missing)} were not solved.")
    return {job.name: jax.tree.unflatten(job.structure(), found[job.name]) for job in jobs}


def share_out(sizes: Sequence[int], num_groups: int) -> list[int]:
    """Return the group of each job: the largest first, always to the group with the least to do."""
    groups, loads = [0] * len(sizes), [0] * num_groups
    for job in sorted(range(len(sizes)), key=lambda job: -sizes[job]):
        groups[job] = loads.index(min(loads))
        loads[groups[job]] += sizes[job]
    return groups


def _first(state: Any) -> Any:
    """Begin at the beginning."""
    return state


def _shares(jobs: Sequence[Job]) -> list[tuple[float, float]]:
    """Return for each job which part of the work comes before it, and which part it is."""
    sizes = np.asarray([job.size for job in jobs], float)
    parts = sizes / sizes.sum()
    return list(zip(np.cumsum(parts) - parts, parts, strict=True))

"""The solutions behind one prediction, one after the other or in lanes beside each other."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import numpy as np

from dyntheory._precision import double_precision
from dyntheory._typing import Progress
from dyntheory.devices import NodeSharding
from dyntheory.dynamics import Records
from dyntheory.gaussian.nodes import NodeSet
from dyntheory.limit_nets import Nets
from dyntheory.limit_run import LimitProblem, State, solve
from dyntheory.state_evolution import LimitCurves


class Job(NamedTuple):
    """One solution: of one head, on all nodes or on one sub-net."""

    name: str
    problem: LimitProblem
    nets: Nets
    test_nodes: NodeSet
    keep_preactivations: bool
    sharding: NodeSharding | None


@runtime_checkable
class Store(Protocol):
    """Where solutions are kept between the pieces of a run, so that they can be taken up again."""

    def finished(self, name: str) -> list[np.ndarray] | None:
        """Return the leaves of a solution that was finished before."""
        ...

    def take_up(self, name: str, first: State) -> State:
        """Return the state from which to go on, given the first one."""
        ...

    def after_piece(self, name: str, state: State) -> None:
        """Take note of a state, and save it if it is time."""
        ...

    def finish(self, name: str, curves: LimitCurves) -> None:
        """Save a finished solution."""
        ...


def solve_job(
    job: Job,
    num_steps: int,
    after_piece: Callable[[State], None],
    take_up: Callable[[State], State] = lambda first: first,
) -> LimitCurves:
    """Solve one job; call inside `double_precision`."""
    return solve(
        job.problem,
        job.nets,
        job.test_nodes,
        num_steps=num_steps,
        keep_preactivations=job.keep_preactivations,
        sharding=job.sharding,
        after_piece=after_piece,
        take_up=take_up,
    )


def run_in_turn(
    jobs: Sequence[Job], num_steps: int, report: Progress, *, store: Store | None = None
) -> dict[str, LimitCurves]:
    """Solve one after the other, saving on the way and taking up what was saved; return solutions by name."""
    solved = {}
    for index, (job, (start, share)) in enumerate(zip(jobs, _shares(jobs), strict=True)):
        text = f"{job.nets.num_nodes} nodes, solution {index + 1} of {len(jobs)}"

        def after_piece(
            state: State, job: Job = job, text: str = text, start: float = start, share: float = share
        ) -> None:
            report(start + state.fraction * share, text)
            if store is not None:
                store.after_piece(job.name, state)

        leaves = None if store is None else store.finished(job.name)
        if leaves is not None:
            solved[job.name] = jax.tree.unflatten(structure_of(job), leaves)
            continue
        take_up = (lambda first: first) if store is None else functools.partial(store.take_up, job.name)
        curves = solve_job(job, num_steps, after_piece, take_up)
        if store is not None:
            store.finish(job.name, curves)
        solved[job.name] = curves
    return solved


def structure_of(job: Job) -> Any:
    """Return the structure of a solution: one leaf for every recorded quantity."""
    leaf: Any = np.zeros(())
    fields: dict[str, Any] = dict.fromkeys(Records._fields, leaf) | {"head": job.problem.head, "weights": None}
    if not job.keep_preactivations:
        fields["preactivations"] = None
    return jax.tree.structure(LimitCurves(Records(**fields), leaf, leaf))


class Stopped(Exception):
    """Raised in one lane when another one failed."""


def run_in_lanes(lanes: Sequence[Sequence[Job]], num_steps: int, report: Progress) -> dict[str, LimitCurves]:
    """Solve lists of jobs beside each other, each in a thread, the first in this one; return solutions by name.

    One lane compiles while another runs, and lanes on devices of their own run together.
    """
    stopped = threading.Event()

    def check(state: State) -> None:
        del state
        if stopped.is_set():
            raise Stopped

    def solve_lane(lane: Sequence[Job]) -> dict[str, LimitCurves]:
        try:
            with double_precision():
                return {job.name: solve_job(job, num_steps, check) for job in lane}
        except BaseException:
            stopped.set()
            raise

    first, *others = lanes
    with ThreadPoolExecutor(max(len(others), 1)) as pool:
        waiting = [pool.submit(solve_lane, lane) for lane in others]
        try:
            solved = {}
            for job, (start, share) in zip(first, _shares(first), strict=True):

                def tell(state: State, job: Job = job, start: float = start, share: float = share) -> None:
                    check(state)
                    report(start + state.fraction * share, f"{job.nets.num_nodes} nodes and their sub-nets")

                solved[job.name] = solve_job(job, num_steps, tell)
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


def _shares(jobs: Sequence[Job]) -> list[tuple[float, float]]:
    """Return for each job which part of the work comes before it, and which part it is."""
    sizes = np.asarray([job.nets.num_nodes for job in jobs], float)
    parts = sizes / sizes.sum()
    return list(zip(np.cumsum(parts) - parts, parts, strict=True))

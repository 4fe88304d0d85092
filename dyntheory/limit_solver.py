"""One prediction on one node set: the limit on N nodes, the same on its sub-nets, errors from the difference."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import numpy as np

from dyntheory._precision import double_precision
from dyntheory._typing import Key, Progress
from dyntheory.assumptions import assess
from dyntheory.devices import NodeSharding
from dyntheory.dynamics import Records
from dyntheory.error_bars import standard_error
from dyntheory.gaussian.nodes import NUM_BLOCKS, NodeSet, draw_nodes, teacher_rows
from dyntheory.limit_nets import Nets
from dyntheory.limit_run import LimitProblem, State, nets_for, solve
from dyntheory.outcome import heavy_tail
from dyntheory.population import num_test_dimensions
from dyntheory.problem import PreparedProblem, provenance
from dyntheory.randomness import seed
from dyntheory.state_evolution import LimitCurves
from dyntheory.trajectory import POSITIVE, PREACTIVATION_BYTES, Trajectory, reported_fields

MIN_TEST_NODES = 2**14


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


def solve_on_nodes(
    problem: PreparedProblem,
    key: Key,
    num_steps: int,
    num_nodes: int,
    keep_preactivations: bool | None,
    report: Progress,
    *,
    drop_below: float = 0.0,
    has_feature_nodes: bool = False,
    store: Store | None = None,
    sharding: NodeSharding | None = None,
) -> Trajectory:
    """Solve on `num_nodes` nodes and on their sub-nets, average over heads, attach errors.

    Feature maps that are not linear need feature nodes.

    Raises:
        ValueError: preactivations are to be kept for several heads.
    """
    method, heads = problem.method, problem.heads
    keep = _keeps_preactivations(keep_preactivations, len(heads), (num_steps + 1) * num_nodes * method.num_units)
    jobs = _jobs(problem, key, num_steps, num_nodes, keep, (drop_below, sharding, has_feature_nodes))
    # Two threads would start the exchanges between devices in an order of their own on every process.
    alone = store is None and sharding is None
    run = _run_beside if alone else functools.partial(_run_in_turn, store)
    solved = run(jobs, num_steps, report)
    report(1.0, "done")
    per_head = [solved[i : i + NUM_BLOCKS + 1] for i in range(0, len(solved), NUM_BLOCKS + 1)]
    whole = [group[0] for group in per_head]
    parts = [jax.tree.map(lambda *leaves: np.stack(leaves), *group[1:]) for group in per_head]
    weights = teacher_rows(jobs[0].nets.samples.rows(0, problem.law.num_teacher_units))[1]
    details = {"num_steps": num_steps, "num_nodes": num_nodes, "num_heads": len(heads), "drop_below": drop_below}
    return _assemble(problem, whole, parts, weights, provenance(problem, key, "prediction", **details))


def _keeps_preactivations(wanted: bool | None, num_heads: int, size: int) -> bool:
    if wanted and num_heads > 1:
        raise ValueError("`keep_preactivations` needs a single head: preactivations of several heads do not average.")
    return wanted if wanted is not None else num_heads == 1 and 8 * size <= PREACTIVATION_BYTES


def _jobs(
    problem: PreparedProblem,
    key: Key,
    num_steps: int,
    num_nodes: int,
    keep: bool,
    how: tuple[float, NodeSharding | None, bool],
) -> list[Job]:
    """Return for each head the solution on all nodes, then those on the sub-nets."""
    (law, method, heads, moment, draw), (drop_below, sharding, has_feature_nodes) = problem, how
    r, size = law.num_teacher_units, max(num_nodes, MIN_TEST_NODES)
    test_nodes = functools.partial(
        draw_nodes, size, num_test_dimensions(law, method), num_heavy=r, seed=seed(key, "test_nodes")
    )
    test, cut = test_nodes(), test_nodes(num_blocks=NUM_BLOCKS)
    nets = nets_for(law, method, num_steps=num_steps, num_nodes=num_nodes, key=key, has_feature_nodes=has_feature_nodes)
    jobs = []
    for index, head in enumerate(heads):
        one = LimitProblem(law, method, head, moment, drop_below, draw)
        jobs.append(Job(f"head_{index}_whole", one, nets, test, keep, sharding))
        for number, block in enumerate(nets.blocks(NUM_BLOCKS)):
            nodes = NodeSet(cut.coordinates[number], cut.weights[number])
            jobs.append(Job(f"head_{index}_block_{number}", one, block, nodes, False, sharding))
    return jobs


def _solve(
    job: Job,
    num_steps: int,
    after_piece: Callable[[State], None],
    take_up: Callable[[State], State] = lambda first: first,
) -> LimitCurves:
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


def _run_in_turn(store: Store | None, jobs: list[Job], num_steps: int, report: Progress) -> list[LimitCurves]:
    """Solve one after the other, saving on the way and taking up what was saved."""
    sizes = np.asarray([job.nets.num_nodes for job in jobs], float)
    before = np.concatenate([[0.0], np.cumsum(sizes)]) / sizes.sum()
    solved = []
    for index, job in enumerate(jobs):

        def after_piece(state: State, index: int = index, job: Job = job) -> None:
            done = before[index] + state.fraction * (before[index + 1] - before[index])
            report(done, f"{job.nets.num_nodes} nodes, solution {index + 1} of {len(jobs)}")
            if store is not None:
                store.after_piece(job.name, state)

        leaves = None if store is None else store.finished(job.name)
        if leaves is not None:
            solved.append(jax.tree.unflatten(_structure(job), leaves))
            continue
        take_up = (lambda first: first) if store is None else functools.partial(store.take_up, job.name)
        curves = _solve(job, num_steps, after_piece, take_up)
        if store is not None:
            store.finish(job.name, curves)
        solved.append(curves)
    return solved


def _structure(job: Job) -> Any:
    """Return the structure of a solution: one leaf for every recorded quantity."""
    leaf: Any = np.zeros(())
    fields: dict[str, Any] = dict.fromkeys(Records._fields, leaf) | {"head": job.problem.head, "weights": None}
    if not job.keep_preactivations:
        fields["preactivations"] = None
    return jax.tree.structure(LimitCurves(Records(**fields), leaf, leaf))


class _Stopped(Exception):
    """Raised in the second thread when the first one failed."""


def _run_beside(jobs: list[Job], num_steps: int, report: Progress) -> list[LimitCurves]:
    """Solve on all nodes and, in a second thread, on the sub-nets: one compiles while the other runs."""
    stopped, total = threading.Event(), len(jobs) // (NUM_BLOCKS + 1)
    whole = [job for job in jobs if job.keep_preactivations or job.nets.num_nodes == jobs[0].nets.num_nodes]
    parts = [job for job in jobs if job.nets.num_nodes != jobs[0].nets.num_nodes]

    def check(state: State) -> None:
        del state
        if stopped.is_set():
            raise _Stopped

    def solve_parts() -> list[LimitCurves]:
        with double_precision():
            return [_solve(job, num_steps, check) for job in parts]

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(solve_parts)
        try:
            solved = []
            for index, job in enumerate(whole):

                def tell(state: State, index: int = index, job: Job = job) -> None:
                    report((index + state.fraction) / total, f"{job.nets.num_nodes} nodes and their sub-nets")

                solved.append(_solve(job, num_steps, tell))
            rest = waiting.result()
        except BaseException:
            stopped.set()
            raise
    grouped = [[solved[i], *rest[i * NUM_BLOCKS : (i + 1) * NUM_BLOCKS]] for i in range(total)]
    return [curves for group in grouped for curves in group]


def _assemble(
    problem: PreparedProblem,
    whole: list[Any],
    parts: list[Any],
    weights: Any,
    origin: dict[str, Any],
) -> Trajectory:
    """Average over heads and compare the nodes with their sub-nets."""
    r = problem.law.num_teacher_units
    values, blocks = (
        jax.tree.map(lambda *leaves: np.mean(leaves, axis=0), *[reported_fields(one, r) for one in solved])
        for solved in (whole, parts)
    )
    if len(whole) > 1:
        values["head"] = blocks["head"] = None
    errors = {
        name: jax.tree.map(functools.partial(standard_error, relative=name in POSITIVE), values[name], blocks[name])
        for name in values
    }
    num_states, records = len(values["train_error"]), whole[0].records
    kept = records.preactivations is not None
    shares, train_errors = ([getattr(one.records, name) for one in whole] for name in ("residual_share", "train_error"))
    return Trajectory(
        steps=np.arange(num_states),
        **values,
        standard_error=Trajectory(steps=np.arange(num_states), **errors),
        status=heavy_tail(records.labels, weights, np.stack(shares), np.stack(train_errors)),
        assumptions=assess(problem.law, problem.method),
        provenance=origin,
        recorded_preactivations=records.preactivations,
        labels=records.labels if kept else None,
        sample_weights=weights if kept else None,
    )

"""One prediction on one node set: the limit on N nodes, the same on its sub-nets, errors from the difference.

Where small directions are dropped, the sub-nets drop ten times larger ones: then the difference, and so the error bars,
contain what dropping costs. Where the second moment of a prior has an error, they take it off by twice as much.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import numpy as np

from dyntheory.dynamics.curves import Curves
from dyntheory.dynamics.observables import rows_of
from dyntheory.gaussian.nodes import NUM_BLOCKS, NodeSet, draw_nodes, teacher_rows
from dyntheory.gaussian.sub_nets import standard_errors
from dyntheory.ground.arrays import Progress
from dyntheory.ground.devices import NodeSharding
from dyntheory.ground.randomness import seed
from dyntheory.ground.schedule import Store, run_in_lanes, run_in_turn, run_on_groups
from dyntheory.problem.assumptions import assess
from dyntheory.problem.prepared import PreparedProblem, provenance
from dyntheory.results.judgement import heavy_tail
from dyntheory.results.trajectory import POSITIVE, Trajectory
from dyntheory.verbs.prediction.jobs import LimitJob
from dyntheory.verbs.prediction.magnification import Straying, magnification, straying
from dyntheory.verbs.prediction.pieces import LimitProblem, nets_for
from dyntheory.verbs.prediction.wanted import Wanted

MIN_TEST_NODES = 2**14


def solve_on_nodes(
    wanted: Wanted, report: Progress, *, store: Store | None = None, groups: list[NodeSharding] | None = None
) -> Trajectory:
    """Solve on all nodes and on their sub-nets, average over heads, attach errors and what becomes of other starts."""
    problem, heads = wanted.problem, wanted.problem.heads
    jobs = _jobs(wanted)
    starts = straying(jobs)
    solved = _run([*jobs, *(job for start in starts for job in start.jobs)], report, store, groups)
    report(1.0, "done")
    curves = [solved[job.name] for job in jobs]
    r = problem.law.num_teacher_units
    moved = magnification([_reported(solved, start, r) for start in starts])
    per_head = [curves[i : i + NUM_BLOCKS + 1] for i in range(0, len(curves), NUM_BLOCKS + 1)]
    whole = [group[0] for group in per_head]
    parts = [jax.tree.map(lambda *leaves: np.stack(leaves), *group[1:]) for group in per_head]
    weights = teacher_rows(jobs[0].nets.samples.rows(0, problem.law.num_teacher_units))[1]
    details = {
        "num_steps": wanted.num_steps,
        "num_nodes": wanted.num_nodes,
        "num_heads": len(heads),
        "drop_below": wanted.drop_below,
    }
    origin = provenance(problem, wanted.key, "prediction", **details)
    result = dataclasses.replace(_assemble(problem, whole, parts, weights, origin), magnification=moved)
    return dataclasses.replace(result, status=wanted.teacher_status) if result.status.ok else result


def _reported(solved: dict[str, Curves], start: Straying, r: int) -> tuple[Any, Any, Any]:
    up, down = (solved[job.name].reported(r) for job in start.jobs)
    return solved[start.name].reported(r), up, down


def _run(
    jobs: list[LimitJob], report: Progress, store: Store | None, groups: list[NodeSharding] | None
) -> dict[str, Curves]:
    """Solve all jobs: on groups of devices, saving on the way, or the sub-nets in a second thread."""
    if groups is not None and len(groups) > 1:
        return run_on_groups(jobs, groups, report)
    if groups is None and store is None:
        whole = [job for job in jobs if job.size == jobs[0].size]
        return run_in_lanes([whole, [job for job in jobs if job.size != jobs[0].size]], report)
    # Two threads would start the exchanges between devices in an order of their own on every process.
    placed = jobs if groups is None else [job.placed(groups[0]) for job in jobs]
    return run_in_turn(placed, report, store=store)


def _jobs(wanted: Wanted) -> list[LimitJob]:
    """Return for each head the solution on all nodes, then those on the sub-nets."""
    (law, method, heads, moment, draw), num_steps, drop_below = wanted.problem, wanted.num_steps, wanted.drop_below
    rows = rows_of("preactivations") if wanted.keeps_preactivations else ()
    test_nodes = functools.partial(
        draw_nodes,
        max(wanted.num_nodes, MIN_TEST_NODES),
        wanted.shape.test_dimensions,
        num_heavy=law.num_teacher_units,
        seed=seed(wanted.key, "test_nodes"),
    )
    test, cut = test_nodes(), test_nodes(num_blocks=NUM_BLOCKS)
    sizes = {"num_steps": num_steps, "num_nodes": wanted.num_nodes}
    nets = nets_for(law, method, key=wanted.key, has_feature_nodes=wanted.has_feature_nodes, **sizes)
    job = functools.partial(LimitJob, num_steps=num_steps, sharding=None, is_brief=wanted.is_brief)
    jobs = []
    for index, head in enumerate(heads):
        one = LimitProblem(law, method, head, moment, drop_below, draw)
        jobs.append(job(f"head_{index}_whole", one, nets, test, record=(*wanted.means, *rows)))
        coarser = one._replace(drop_below=wanted.sub_nets_drop_below, joint_second_moment=wanted.sub_nets_moment)
        for number, block in enumerate(nets.blocks(NUM_BLOCKS)):
            nodes = NodeSet(cut.coordinates[number], cut.weights[number])
            jobs.append(job(f"head_{index}_block_{number}", coarser, block, nodes, record=wanted.means))
    return jobs


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
        jax.tree.map(lambda *leaves: np.mean(leaves, axis=0), *[one.reported(r) for one in solved])
        for solved in (whole, parts)
    )
    if len(whole) > 1:
        values["head"] = blocks["head"] = None
    errors = standard_errors(values, blocks, relative=POSITIVE, scaled=("recorded",))
    num_states, records = len(values["train_error"]), whole[0].records
    rows = records.recorded.get("preactivations")
    shares, train_errors = ([getattr(one.records, name) for one in whole] for name in ("residual_share", "train_error"))
    return Trajectory(
        steps=np.arange(num_states),
        **values,
        standard_error=Trajectory(steps=np.arange(num_states), **errors),
        status=heavy_tail(records.labels, weights, np.stack(shares), np.stack(train_errors)),
        assumptions=assess(problem.law, problem.method),
        provenance=origin,
        recorded_preactivations=rows,
        labels=None if rows is None else records.labels,
        sample_weights=None if rows is None else weights,
    )

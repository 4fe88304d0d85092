"""One prediction on one node set: the limit on N nodes, the same on its sub-nets, errors from the difference.

Where small directions are dropped, the sub-nets drop ten times larger ones: then the difference, and so the error bars,
contain what dropping costs.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import numpy as np

from dyntheory.dynamics.curves import Curves
from dyntheory.gaussian.nodes import NUM_BLOCKS, NodeSet, draw_nodes, teacher_rows
from dyntheory.gaussian.sub_nets import standard_error
from dyntheory.ground.arrays import Key, Progress
from dyntheory.ground.devices import NodeSharding
from dyntheory.ground.randomness import seed
from dyntheory.ground.schedule import Store, run_in_lanes, run_in_turn, run_on_groups
from dyntheory.problem.assumptions import assess
from dyntheory.problem.prepared import PreparedProblem, provenance
from dyntheory.problem.shape import Shape
from dyntheory.results.outcome import heavy_tail
from dyntheory.results.trajectory import POSITIVE, PREACTIVATION_BYTES, Trajectory
from dyntheory.verbs.prediction.jobs import LimitJob
from dyntheory.verbs.prediction.pieces import LimitProblem, nets_for

MIN_TEST_NODES = 2**14
SUB_NET_DROPPING = 10.0


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
    groups: list[NodeSharding] | None = None,
) -> Trajectory:
    """Solve on `num_nodes` nodes and on their sub-nets, average over heads, attach errors.

    Feature maps that are not linear need feature nodes.

    Raises:
        ValueError: preactivations are to be kept for several heads.
    """
    method, heads = problem.method, problem.heads
    keep = _keeps_preactivations(keep_preactivations, len(heads), (num_steps + 1) * num_nodes * method.num_units)
    jobs = _jobs(problem, key, num_steps, num_nodes, keep, (drop_below, has_feature_nodes))
    solved = _run(jobs, report, store, groups)
    report(1.0, "done")
    curves = [solved[job.name] for job in jobs]
    per_head = [curves[i : i + NUM_BLOCKS + 1] for i in range(0, len(curves), NUM_BLOCKS + 1)]
    whole = [group[0] for group in per_head]
    parts = [jax.tree.map(lambda *leaves: np.stack(leaves), *group[1:]) for group in per_head]
    weights = teacher_rows(jobs[0].nets.samples.rows(0, problem.law.num_teacher_units))[1]
    details = {"num_steps": num_steps, "num_nodes": num_nodes, "num_heads": len(heads), "drop_below": drop_below}
    return _assemble(problem, whole, parts, weights, provenance(problem, key, "prediction", **details))


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
    how: tuple[float, bool],
) -> list[LimitJob]:
    """Return for each head the solution on all nodes, then those on the sub-nets."""
    (law, method, heads, moment, draw), (drop_below, has_feature_nodes) = problem, how
    r, size = law.num_teacher_units, max(num_nodes, MIN_TEST_NODES)
    test_nodes = functools.partial(
        draw_nodes, size, Shape.of(law, method, 0).test_dimensions, num_heavy=r, seed=seed(key, "test_nodes")
    )
    test, cut = test_nodes(), test_nodes(num_blocks=NUM_BLOCKS)
    nets = nets_for(law, method, num_steps=num_steps, num_nodes=num_nodes, key=key, has_feature_nodes=has_feature_nodes)
    jobs = []
    for index, head in enumerate(heads):
        one = LimitProblem(law, method, head, moment, drop_below, draw)
        jobs.append(LimitJob(f"head_{index}_whole", one, nets, test, num_steps, keep, None))
        coarser = one._replace(drop_below=SUB_NET_DROPPING * drop_below)
        for number, block in enumerate(nets.blocks(NUM_BLOCKS)):
            nodes = NodeSet(cut.coordinates[number], cut.weights[number])
            jobs.append(LimitJob(f"head_{index}_block_{number}", coarser, block, nodes, num_steps, False, None))
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

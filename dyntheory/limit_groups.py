"""Solutions on groups of devices: each group solves its share of the jobs, all of them beside each other."""

from __future__ import annotations

from collections.abc import Sequence

import jax

from dyntheory._typing import Progress
from dyntheory.devices import NodeSharding, exchanged
from dyntheory.limit_jobs import Job, run_in_lanes, structure_of
from dyntheory.state_evolution import LimitCurves


def run_on_groups(
    jobs: Sequence[Job], groups: Sequence[NodeSharding], num_steps: int, report: Progress
) -> dict[str, LimitCurves]:
    """Solve on several groups of devices; every process returns all solutions, by name."""
    lanes: list[list[Job]] = [[] for _ in groups]
    for job, group in zip(jobs, share_out([job.nets.num_nodes for job in jobs], len(groups)), strict=True):
        lanes[group].append(job._replace(sharding=groups[group]))
    mine = [lane for group, lane in zip(groups, lanes, strict=True) if lane and group.is_local]
    if jax.process_count() == 1:
        return run_in_lanes(mine, num_steps, report)
    solved, failure = {}, None
    try:
        solved = run_in_lanes(mine, num_steps, report) if mine else {}
    except Exception as error:  # the other processes wait for an exchange: it tells them
        failure = error
    first = [lane for group, lane in zip(groups, lanes, strict=True) if group.first_process == jax.process_index()]
    leaves = {job.name: jax.tree.leaves(solved[job.name]) for lane in first for job in lane if job.name in solved}
    found = exchanged(leaves)
    if failure is not None:
        raise failure
    missing = [job.name for job in jobs if job.name not in found]
    if missing:
        raise RuntimeError(f"Another process failed and says why: {', '.join(missing)} were not solved.")
    return {job.name: jax.tree.unflatten(structure_of(job), found[job.name]) for job in jobs}


def share_out(sizes: Sequence[int], num_groups: int) -> list[int]:
    """Return the group of each job: the largest first, always to the group with the least to do."""
    groups, loads = [0] * len(sizes), [0] * num_groups
    for job in sorted(range(len(sizes)), key=lambda job: -sizes[job]):
        groups[job] = loads.index(min(loads))
        loads[groups[job]] += sizes[job]
    return groups

"""One prediction on one node set: the limit on N nodes, the same on its sub-nets, errors from the difference."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import numpy as np

from dyntheory._precision import to_numpy
from dyntheory._typing import Array, Key, Progress, PyTree
from dyntheory.assumptions import assess
from dyntheory.error_bars import standard_error
from dyntheory.gaussian.nodes import NUM_BLOCKS, NodeSet, draw_nodes
from dyntheory.law import TeacherStudent
from dyntheory.matrix.limit import num_dimensions
from dyntheory.method import GeneralFirstOrderMethod
from dyntheory.outcome import heavy_tail
from dyntheory.population import num_test_dimensions
from dyntheory.problem import PreparedProblem, provenance
from dyntheory.randomness import seed
from dyntheory.state_evolution import LimitCurves, state_evolution
from dyntheory.trajectory import CURVES, PREACTIVATION_BYTES, Trajectory, reported_fields

MIN_TEST_NODES = 2**14


class NodePair(NamedTuple):
    """Nodes of the training samples and of a fresh test sample."""

    samples: NodeSet
    test: NodeSet


def solve_on_nodes(
    problem: PreparedProblem,
    key: Key,
    num_steps: int,
    num_nodes: int,
    keep_preactivations: bool | None,
    report: Progress,
) -> Trajectory:
    """Solve on `num_nodes` nodes and on their sub-nets, average over heads, attach errors.

    Raises:
        ValueError: preactivations are to be kept for several heads.
    """
    law, method, heads, moment = problem
    keep = _keeps_preactivations(keep_preactivations, len(heads), (num_steps + 1) * num_nodes * method.num_units)
    nodes, blocks = (_draw(problem, key, num_steps, num_nodes, cut) for cut in (None, NUM_BLOCKS))
    whole, parts = [], []
    for index, head in enumerate(heads):
        report(index / len(heads), f"{num_nodes} nodes")
        solved = _solve(law, method, head, moment, nodes, num_steps=num_steps, keep_preactivations=keep)
        # Dispatched before the first result is asked for: compiling the second program overlaps with running the first.
        solved_blocks = _solve_blocks(law, method, head, moment, blocks, num_steps=num_steps)
        whole.append(to_numpy(solved))
        report((index + 0.5) / len(heads), f"{NUM_BLOCKS} sub-nets for the error bar")
        parts.append(to_numpy(solved_blocks))
    report(1.0, "done")
    details = {"num_steps": num_steps, "num_nodes": num_nodes, "num_heads": len(heads)}
    return _assemble(problem, whole, parts, nodes.samples.weights, provenance(problem, key, "prediction", **details))


def _keeps_preactivations(wanted: bool | None, num_heads: int, size: int) -> bool:
    if wanted and num_heads > 1:
        raise ValueError("`keep_preactivations` needs a single head: preactivations of several heads do not average.")
    return wanted if wanted is not None else num_heads == 1 and 8 * size <= PREACTIVATION_BYTES


def _draw(problem: PreparedProblem, key: Key, num_steps: int, num_nodes: int, num_blocks: int | None) -> NodePair:
    law, method = problem.law, problem.method
    r = law.num_teacher_units
    dimensions = num_dimensions(num_steps, method.num_units, r, law.num_outputs)
    test_dimensions, test_size = num_test_dimensions(law, method), max(num_nodes, MIN_TEST_NODES)
    return NodePair(
        draw_nodes(num_nodes, dimensions, num_heavy=r, seed=seed(key, "nodes"), num_blocks=num_blocks),
        draw_nodes(test_size, test_dimensions, num_heavy=r, seed=seed(key, "test_nodes"), num_blocks=num_blocks),
    )


@functools.partial(jax.jit, static_argnames=("num_steps", "keep_preactivations"))
def _solve(
    law: TeacherStudent,
    method: GeneralFirstOrderMethod,
    head: PyTree,
    moment: Array,
    nodes: NodePair,
    *,
    num_steps: int,
    keep_preactivations: bool,
) -> LimitCurves:
    return state_evolution(
        law, method, head, moment, *nodes, num_steps=num_steps, keep_preactivations=keep_preactivations
    )


@functools.partial(jax.jit, static_argnames=("num_steps",))
def _solve_blocks(
    law: TeacherStudent,
    method: GeneralFirstOrderMethod,
    head: PyTree,
    moment: Array,
    blocks: NodePair,
    *,
    num_steps: int,
) -> LimitCurves:
    return jax.lax.map(lambda nodes: state_evolution(law, method, head, moment, *nodes, num_steps=num_steps), blocks)


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
        name: jax.tree.map(functools.partial(standard_error, relative=name in CURVES), values[name], blocks[name])
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

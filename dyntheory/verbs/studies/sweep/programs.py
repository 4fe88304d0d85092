"""One program for many points: problems that differ in numbers alone, solved one after the other inside of it.

Points share everything but numbers: node sets, shapes, maps. A point is solved on all nodes and on its sub-nets beside
each other, as `predict` does. On processors small points are solved two at a time and large ones one after the other
(more at once leave the cache: measured); on accelerators many are solved together.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.dynamics.observables import Record
from dyntheory.dynamics.state_evolution import state_evolution
from dyntheory.gaussian.nodes import NUM_BLOCKS, NodeSet, draw_nodes, teacher_rows
from dyntheory.gaussian.sobol import SobolNet, normals
from dyntheory.ground.arrays import Array, Key, PyTree
from dyntheory.ground.compiling import compiled
from dyntheory.ground.randomness import seed
from dyntheory.problem.shape import Shape
from dyntheory.verbs.prediction.coordinates import Nets
from dyntheory.verbs.prediction.on_nodes import MIN_TEST_NODES
from dyntheory.verbs.prediction.pieces import LimitProblem, nets_for

TOGETHER_ON_ACCELERATORS = 32
SMALL = 2**12  # nodes


class Task(NamedTuple):
    """Points of one program. Plain data and functions: another process can solve it.

    Args:
        problem: that of the first point; leaves that vary are replaced by those of `numbers`.
        sub_nets_moment: E[(w*, w⁰)(w*, w⁰)ᵀ] of its sub-nets.
        numbers: by place among the leaves of both the values of all points, (points, …); place −1 is no leaf.
        key: data of the key that decides the nodes.
        num_steps: T.
        num_nodes: N.
        has_feature_nodes: whether the feature side takes nodes.
        record: observables, reported as means.
        is_brief: whether it is over before a good program would be compiled.
    """

    problem: LimitProblem
    sub_nets_moment: Any
    numbers: dict[int, np.ndarray]
    key: np.ndarray
    num_steps: int
    num_nodes: int
    has_feature_nodes: bool
    record: Record
    is_brief: bool


class Solved(NamedTuple):
    """What a program returns, axes of points first; `blocks` have an axis of sub-nets behind it."""

    values: dict[str, PyTree]
    blocks: dict[str, PyTree]
    labels: Array
    residual_share: Array


class _Sets(NamedTuple):
    """Nodes of one solution, or of several with a leading axis; no feature nodes for linear feature maps."""

    samples: NodeSet
    test: NodeSet
    features: NodeSet | None


def solve_task(task: Task) -> tuple[Solved, Any]:
    """Solve all points of a task; return the solutions and the weights of the nodes. Call inside `double_precision`."""
    law, method = task.problem.law, task.problem.method
    whole, parts = node_sets(task, Shape.of(law, method, task.num_steps))
    leaves, structure = jax.tree.flatten((task.problem, task.sub_nets_moment))
    varying = tuple(sorted(task.numbers))
    constant = [None if place in task.numbers else leaf for place, leaf in enumerate(leaves)]
    solve = _SOLVE[task.is_brief]
    solved = solve(
        [jnp.asarray(task.numbers[place]) for place in varying],
        constant,
        whole,
        parts,
        structure=structure,
        varying=varying,
        num_steps=task.num_steps,
        record=task.record,
    )
    return solved, whole.samples.weights


def _solve(
    numbers: list[Array],
    constant: list[Any],
    whole: _Sets,
    parts: _Sets,
    *,
    structure: Any,
    varying: tuple[int, ...],
    num_steps: int,
    record: Record,
) -> Solved:
    def point(values: list[Array]) -> Solved:
        leaves = list(constant)
        for place, value in zip(varying, values, strict=True):
            if place >= 0:
                leaves[place] = value
        problem, moment = jax.tree.unflatten(structure, leaves)
        solution = functools.partial(curves_of, num_steps=num_steps, record=record)
        values_, labels, share = solution(problem, whole)
        coarser = problem._replace(joint_second_moment=moment)
        blocks = jax.vmap(lambda sets: solution(coarser, sets)[0])(parts)
        return Solved(values_, blocks, labels, share)

    together = solved_together(whole.samples.num_nodes)
    return jax.lax.map(point, numbers, batch_size=together if together > 1 else None)


def solved_together(num_nodes: int) -> int:
    """Return how many points are solved at the same time."""
    if jax.default_backend() != "cpu":
        return TOGETHER_ON_ACCELERATORS
    return 2 if num_nodes <= SMALL else 1


_SOLVE = {
    is_brief: compiled(_solve, fast=is_brief, static_argnames=("structure", "varying", "num_steps", "record"))
    for is_brief in (False, True)
}


def curves_of(
    problem: LimitProblem, sets: _Sets, *, num_steps: int, record: Record
) -> tuple[dict[str, PyTree], Array, Array]:
    """Return the reported curves, the labels and the residual shares of one solution."""
    curves = state_evolution(
        problem.law,
        problem.method,
        problem.head,
        problem.joint_second_moment,
        sets.samples,
        sets.test,
        num_steps=num_steps,
        record=record,
        feature_nodes=sets.features,
        draw=problem.draw,
    )
    reported = curves.reported(problem.law.num_teacher_units)
    share = curves.records.residual_share
    assert share is not None
    return {name: value for name, value in reported.items() if value is not None}, curves.records.labels, share


def node_sets(task: Task, shape: Shape) -> tuple[_Sets, _Sets]:
    """Return the nodes that `predict` would take, whole and cut into sub-nets."""
    law, method, key = task.problem.law, task.problem.method, jax.random.wrap_key_data(jnp.asarray(task.key))
    nets = nets_for(
        law,
        method,
        num_steps=task.num_steps,
        num_nodes=task.num_nodes,
        key=key,
        has_feature_nodes=task.has_feature_nodes,
    )
    test = functools.partial(_test_nodes, key, task.num_nodes, shape)
    whole = _nodes(nets, shape, test())
    blocks = [_nodes(one, shape, None) for one in nets.blocks(NUM_BLOCKS)]
    parts = jax.tree.map(lambda *leaves: jnp.stack(leaves), *blocks)
    return whole, parts._replace(test=test(num_blocks=NUM_BLOCKS))


def _test_nodes(key: Key, num_nodes: int, shape: Shape, num_blocks: int | None = None) -> NodeSet:
    return draw_nodes(
        max(num_nodes, MIN_TEST_NODES),
        shape.test_dimensions,
        num_heavy=shape.num_teacher_units,
        seed=seed(key, "test_nodes"),
        num_blocks=num_blocks,
    )


def _nodes(nets: Nets, shape: Shape, test: Any) -> _Sets:
    r = shape.num_teacher_units
    values, weights = teacher_rows(nets.samples.rows(0, r))
    others = _normals(nets.samples, r, shape.sample_dimensions)
    samples = NodeSet(np.concatenate([values, others]), weights)
    if nets.features is None:
        return _Sets(samples, test, None)
    first = _normals(nets.features, 0, shape.feature_dimensions)
    return _Sets(samples, test, NodeSet(first, np.full(nets.num_nodes, 1.0 / nets.num_nodes)))


def _normals(net: SobolNet, start: int, stop: int) -> np.ndarray:
    return np.asarray(normals(net.rows(start, stop)))

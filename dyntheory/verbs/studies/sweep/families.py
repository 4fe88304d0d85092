"""Points that share a program: prepared, compared by structure, and cut into tasks whose size no machine decides."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from dyntheory.dynamics.observables import Record, check_record
from dyntheory.ground.arrays import Key, PyTree
from dyntheory.ground.compiling import is_brief
from dyntheory.ground.status import Status
from dyntheory.problem.methods.linearity import feature_map_is_linear
from dyntheory.problem.prepared import PreparedProblem, described, prepare
from dyntheory.problem.shape import Shape
from dyntheory.verbs.prediction.budget import Budget, first_num_nodes, memory_of
from dyntheory.verbs.prediction.pieces import LimitProblem
from dyntheory.verbs.prediction.wanted import Wanted
from dyntheory.verbs.studies.sweep.axes import Values
from dyntheory.verbs.studies.sweep.points import Point, Points
from dyntheory.verbs.studies.sweep.programs import Task, solved_together

MOST_IN_A_TASK = 64
LEAST_TASKS = 8
AT_ONCE = 2  # the sub-nets of a point are solved together: as much as all nodes


class Prepared(NamedTuple):
    """A point that is ready: its problem, and what is said of it that no program computes."""

    problem: LimitProblem
    sub_nets_moment: Any
    num_steps: int
    num_nodes: int
    has_feature_nodes: bool
    teacher_status: Status


class Piece(NamedTuple):
    """A task, the places of its points in the sweep, and what their results need beside the numbers."""

    task: Task
    places: tuple[int, ...]
    teacher_statuses: tuple[Status, ...]
    method: dict[str, Any]

    @property
    def name(self) -> str:
        """A name of its own: its first point."""
        return f"points_from_{self.places[0]:06}"

    @property
    def num_points(self) -> int:
        """How many points it has."""
        return len(self.places)

    @property
    def definition(self) -> Any:
        """What decides the answers."""
        return self.task

    @property
    def work(self) -> float:
        """How much it is beside others."""
        task = self.task
        return float(len(self.places) * task.num_nodes * (task.num_steps + 1) ** 2 * task.problem.method.num_units**2)


class Start(NamedTuple):
    """What points share that differ in light numbers alone."""

    problem: LimitProblem
    sub_nets_moment: Any
    shape: Shape
    has_feature_nodes: bool
    wanted: Wanted
    statuses: dict[int, Status]

    def status_on(self, num_nodes: int) -> Status:
        """Return whether a few features carry the teacher on so many nodes."""
        if num_nodes not in self.statuses:
            self.statuses[num_nodes] = self.wanted._replace(num_nodes=num_nodes).teacher_status
        return self.statuses[num_nodes]


class Preparation:
    """Makes points ready; the start of a run is prepared once for all points that share it."""

    def __init__(self, points: Points, key: Key, num_nodes: int | None, means: Record) -> None:
        self.points, self.key, self.num_nodes, self.means = points, key, num_nodes, means
        self._starts: dict[Any, Start] = {}

    def ready(self, values: Values) -> Prepared:
        """Return the point with these values, ready; call inside `double_precision`.

        Raises:
            TypeError: as `predict` does.
            ValueError: as `predict` does.
        """
        point, token = self.points.problem(values), self.points.start_token(values)
        if token not in self._starts:
            self._starts[token] = self._started(point)
        start = self._starts[token]
        size = self._num_nodes(start.shape._replace(num_steps=point.num_steps))
        problem = start.problem._replace(law=_numbers(point.law), method=_numbers(point.method))
        return Prepared(
            problem, start.sub_nets_moment, point.num_steps, size, start.has_feature_nodes, start.status_on(size)
        )

    def check(self, values: Values, max_memory: int) -> int:
        """Refuse a point that cannot be solved, with all that `predict` would say; return the bytes that it takes."""
        point = self.points.problem(values)
        wanted = self._wanted(point, *self._prepared(point))
        wanted.check()
        needed = AT_ONCE * solved_together(wanted.num_nodes)
        Budget(wanted.num_nodes, max_memory // needed).check(wanted)
        return needed * memory_of(wanted)

    def _started(self, point: Point) -> Start:
        wanted = self._wanted(point, *self._prepared(point))
        law, method, heads, moment, draw = wanted.problem
        problem = LimitProblem(law, method, heads[0], moment, 0.0, draw)
        shape = Shape.of(law, method, point.num_steps)
        return Start(problem, wanted.sub_nets_moment, shape, wanted.has_feature_nodes, wanted, {})

    def _wanted(self, point: Point, problem: PreparedProblem, on_nodes: bool) -> Wanted:
        size = self._num_nodes(Shape.of(problem.law, problem.method, point.num_steps))
        return Wanted(problem, self.key, point.num_steps, size, on_nodes, means=self.means, keep_preactivations=False)

    def _num_nodes(self, shape: Shape) -> int:
        return first_num_nodes(self.num_nodes, shape, drops=False)

    def _prepared(self, point: Point) -> tuple[PreparedProblem, bool]:
        given = {"head": point.head, "first_layer": point.first_layer}
        problem = prepare(point.law, point.method, self.key, **given, num_heads=1)
        on_nodes = not feature_map_is_linear(problem.method, problem.heads[0])
        check_record(self.means, problem.law, problem.method, problem.heads[0], has_feature_rows=on_nodes)
        return problem, on_nodes


def _numbers(tree: PyTree) -> PyTree:
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), tree)


def cut_in_pieces(points: Sequence[Prepared], key: Key, means: Record) -> list[Piece]:
    """Return tasks of points that differ in numbers alone; the last of a family repeats its last point."""
    families: dict[Any, list[int]] = {}
    for place, point in enumerate(points):
        families.setdefault(_family(point), []).append(place)
    return [
        piece
        for places in families.values()
        for piece in _pieces_of([points[place] for place in places], places, key, means)
    ]


def task_of(point: Prepared, key: Key) -> Task:
    """Return the task of one point whose numbers do not vary; nothing is recorded."""
    return Task(
        problem=point.problem,
        sub_nets_moment=point.sub_nets_moment,
        numbers={},
        key=np.asarray(jax.random.key_data(key)),
        num_steps=point.num_steps,
        num_nodes=point.num_nodes,
        has_feature_nodes=point.has_feature_nodes,
        record=(),
        is_brief=False,
    )


def _family(point: Prepared) -> Any:
    leaves, structure = jax.tree.flatten((point.problem, point.sub_nets_moment))
    shapes = tuple((np.shape(leaf), str(np.asarray(leaf).dtype)) for leaf in leaves)
    return structure, shapes, point.num_steps, point.num_nodes, point.has_feature_nodes


def _pieces_of(points: list[Prepared], places: list[int], key: Key, means: Record) -> list[Piece]:
    columns = list(zip(*(jax.tree.leaves((point.problem, point.sub_nets_moment)) for point in points), strict=True))
    varying = {place: np.stack(column) for place, column in enumerate(columns) if not _is_constant(column)}
    first, pieces = points[0], []
    together = solved_together(first.num_nodes)
    size = together * min(MOST_IN_A_TASK // together, math.ceil(len(points) / (LEAST_TASKS * together)))
    work = first.num_nodes * len(points)
    brief = is_brief(work, first.num_steps, first.problem.method.num_units)
    task = task_of(first, key)._replace(record=means, is_brief=brief)
    for start in range(0, len(points), size):
        index = np.minimum(np.arange(start, start + size), len(points) - 1)
        chosen = range(start, min(start + size, len(points)))
        numbers = {place: values[index] for place, values in varying.items()} or {-1: index.astype(float)}
        pieces.append(
            Piece(
                task._replace(numbers=numbers),
                tuple(places[i] for i in chosen),
                tuple(points[i].teacher_status for i in chosen),
                described(first.problem.method),
            )
        )
    return pieces


def _is_constant(column: tuple[Any, ...]) -> bool:
    """Return whether all points share an array; single numbers may always vary, or equal ones would compile anew."""
    first = column[0]
    return np.ndim(first) > 0 and all(leaf is first or np.array_equal(leaf, first) for leaf in column)

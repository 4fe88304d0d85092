"""What the page computes: a prediction on more and more nodes, and a simulation, of one table."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import dyntheory as dt
from dyntheory.ground.arrays import Progress
from dyntheory.problem.shape import Shape
from dyntheory.shell.explorer.warned import heard
from dyntheory.shell.failures import explained
from dyntheory.shell.tables.problem import Problem
from dyntheory.shell.tables.problem_file import parse_problem
from dyntheory.verbs.prediction.budget import first_num_nodes

FIRST_LOOKS = (2**11, 2**12)
MOST_KEPT = 24
THEORY_TABLES = ("law", "network", "method", "first_layer", "run", "predict")
SIMULATION_TABLES = ("law", "network", "method", "first_layer", "run", "simulate")


class Level(NamedTuple):
    """One accuracy of a prediction.

    Args:
        number: 1 for the first look.
        total: how many accuracies there are.
        keywords: of `dyntheory.predict`.
    """

    number: int
    total: int
    keywords: dict[str, Any]

    @property
    def is_last(self) -> bool:
        """Whether it is what `dyntheory predict` gives for the table."""
        return self.number == self.total


class Result(NamedTuple):
    """What a verb returned, and what it said meanwhile."""

    trajectory: dt.Trajectory
    warnings: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Shown:
    """What can be shown of a table.

    Args:
        problem: that the table describes.
        level: accuracy of the theory.
        theory: the prediction.
        simulation: that of the same table, if it was made.
        agreement: of both, or the reason why there is none; None without a simulation.
    """

    problem: Problem
    level: Level
    theory: Result
    simulation: Result | None
    agreement: dt.Agreement | str | None


class Memory:
    """The last results, by what was computed; safe in several threads."""

    def __init__(self, most: int = MOST_KEPT) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._results: OrderedDict[str, Result] = OrderedDict()

    def get(self, key: str) -> Result | None:
        """Return the result under a key, or None."""
        with self._lock:
            if key in self._results:
                self._results.move_to_end(key)
            return self._results.get(key)

    def put(self, key: str, result: Result) -> None:
        """Keep a result; the one that was not used for longest leaves when there are too many."""
        with self._lock:
            self._results[key] = result
            while len(self._results) > self._most:
                self._results.popitem(last=False)


def levels(problem: Problem) -> list[Level]:
    """Return the accuracies of a prediction: on few nodes, then on what `dyntheory predict` takes.

    Raises:
        ValueError: a number of nodes that `dyntheory.predict` refuses.
    """
    asked = problem.predict
    shape = Shape.of(problem.law, problem.method, asked["num_steps"])
    last = first_num_nodes(asked.get("num_nodes"), shape, drops=False)
    least = next(size for size in (2**power for power in range(1, 64)) if _allows(size, shape))
    looks = sorted({max(size, least) for size in FIRST_LOOKS if max(size, least) < last})
    without = {key: value for key, value in asked.items() if key != "rtol"}
    keywords = [*({**without, "num_nodes": size} for size in looks), {"num_nodes": last, **asked}]
    return [Level(number, len(keywords), each) for number, each in enumerate(keywords, start=1)]


def theory_of(table: Mapping[str, Any], memory: Memory, progress: Progress) -> Iterator[Shown]:
    """Predict on more and more nodes, from the best that is known on; a simulation that is known comes along.

    Raises:
        ValueError: the table describes no problem, or one that `dyntheory.predict` refuses.
    """
    problem = parse_problem(table)
    found = levels(problem)
    keys = [_key("theory", problem, THEORY_TABLES, level.keywords.get("num_nodes")) for level in found]
    known = [number for number, key in enumerate(keys) if memory.get(key) is not None]
    simulation = memory.get(simulation_key(problem))
    for level, key in list(zip(found, keys, strict=True))[max(known, default=0) :]:
        result = memory.get(key)
        if result is None:
            with heard() as warnings:
                trajectory = dt.predict(problem.law, problem.method, **level.keywords, progress=progress)
            result = Result(_with_table(trajectory, problem), _beyond_status(trajectory, warnings))
            memory.put(key, result)
        yield Shown(problem, level, result, simulation, _agreement(result, simulation))


def simulation_of(table: Mapping[str, Any], memory: Memory, progress: Progress) -> Iterator[Result]:
    """Simulate, and keep the result in the memory.

    Raises:
        ValueError: the table describes no problem, or one that `dyntheory.simulate` refuses.
    """
    problem = parse_problem(table)
    arguments = problem.simulate_arguments()
    with heard() as warnings:
        trajectory = dt.simulate(problem.law, problem.method, **arguments, progress=progress)
    result = Result(_with_table(trajectory, problem), _beyond_status(trajectory, warnings))
    memory.put(simulation_key(problem), result)
    yield result


def simulation_key(problem: Problem) -> str:
    """Return the key in a `Memory` of a problem's simulation."""
    return _key("simulation", problem, SIMULATION_TABLES, None)


def _allows(num_nodes: int, shape: Shape) -> bool:
    try:
        return first_num_nodes(num_nodes, shape, drops=False) == num_nodes
    except ValueError:
        return False


def _key(kind: str, problem: Problem, tables: tuple[str, ...], num_nodes: int | None) -> str:
    asked = {name: problem.table[name] for name in tables}
    return json.dumps([kind, num_nodes, asked], sort_keys=True)


def _with_table(trajectory: dt.Trajectory, problem: Problem) -> dt.Trajectory:
    """Return the same with the table in its provenance, as the commands leave it there."""
    return dataclasses.replace(trajectory, provenance={**trajectory.provenance, "configuration": problem.table})


def _beyond_status(trajectory: dt.Trajectory, warnings: list[str]) -> tuple[str, ...]:
    """Return the warnings that are not the status, which is shown anyway."""
    return tuple(dict.fromkeys(text for text in warnings if text != str(trajectory.status)))


def _agreement(theory: Result, simulation: Result | None) -> dt.Agreement | str | None:
    if simulation is None:
        return None
    try:
        return dt.compare(theory.trajectory, simulation.trajectory)
    except ValueError as error:  # one run, nothing finite
        return explained(error)[0]

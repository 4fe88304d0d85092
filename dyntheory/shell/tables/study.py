"""The tables [sweep] and [design]: keys of the problem, as --set has them, with values or bounds.

A number of the law or of the method is handed on by its name, so that points share a program; whatever else is named
makes law and method anew, by reading the tables again with that entry replaced.
"""

from __future__ import annotations

import copy
import functools
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from dyntheory.ground.checks import is_number
from dyntheory.problem.methods.schedules import RATE
from dyntheory.shell.tables.optimizers import PIECEWISE
from dyntheory.shell.tables.overrides import assign, locate
from dyntheory.shell.tables.problem import Problem, ProblemError
from dyntheory.shell.tables.problem_file import known_keys, parse_problem
from dyntheory.verbs.studies.sweep.points import is_called, numbers_of_tree

CHANGED = ("law", "network", "method", "first_layer")
STEPS = ("run", "num_steps")
LIGHT = ("samples_per_feature", "noise_std")
RATES = "rates"


class Study(NamedTuple):
    """What a study is of.

    Args:
        law: a law, or a function of names that makes it.
        method: the same of the method.
        first_layer: the same of the start, or None.
        over: names with values or bounds, or points.
    """

    law: Any
    method: Any
    first_layer: Any
    over: Any


def sweep_of(problem: Problem) -> Study:
    """Return what `dyntheory.sweep` takes.

    Raises:
        ProblemError: there is no table [sweep], or it names what cannot be swept over.
    """
    over = _over("sweep", problem, "{ samples_per_feature = [1.0, 2.0, 4.0] }")
    points = over if isinstance(over, list) else None
    names = list(over if points is None else points[0])
    if points is not None and any(set(point) != set(names) for point in points):
        raise ProblemError(
            f"Points of `sweep.over` must name the same keys, those of the first are {', '.join(names)}."
        )
    values = {name: over[name] if points is None else [point[name] for point in points] for name in names}
    keys, study = _study("sweep", problem, values)
    if points is None:
        return study._replace(over={keys[name]: given for name, given in values.items()})
    return study._replace(over=[{keys[name]: value for name, value in point.items()} for point in points])


def design_of(problem: Problem) -> tuple[Study, list[Any]]:
    """Return what `dyntheory.design` takes, and the names that are tied.

    Raises:
        ProblemError: there is no table [design], or it names what cannot be designed.
    """
    bounds = dict(_over("design", problem, "{ learning_rate = [0.0, 2.0] }"))
    ends = bounds.pop(RATES, None)
    rates = {} if ends is None else dict.fromkeys(_rates(problem), tuple(ends))
    keys, study = _study("design", problem, bounds)
    given = problem.table["design"].get("tied", list(rates))
    tied = [one for name in given for one in (list(rates) if name == RATES else [keys.get(name, name)])]
    return study._replace(over={**rates, **{keys[name]: tuple(ends) for name, ends in bounds.items()}}), tied


def _over(table: str, problem: Problem, example: str) -> Any:
    if "rtol" in problem.table["predict"]:
        raise ProblemError(f"`predict.rtol` is for single predictions: leave it out for {table}, and choose num_nodes.")
    if problem.table["run"].get("num_heads", 1) != 1:
        raise ProblemError(
            f"`run.num_heads` is for single predictions: leave it out, all points of a {table} share a head."
        )
    if "over" not in problem.table[table]:
        raise ProblemError(f"[{table}] needs `over`, the keys of the problem that change: over = {example}")
    return problem.table[table]["over"]


def _rates(problem: Problem) -> list[str]:
    names = [path[-1] for path, _ in numbers_of_tree(problem.method.hyperparameters) if path[-1].startswith(RATE)]
    if not names:
        raise ProblemError(
            f"`design.over.{RATES}` needs a schedule with rates: [method] learning_rate = {{ schedule = {PIECEWISE!r}, "
            f"num_steps = {problem.table['run']['num_steps']}, rates = [0.5, 0.5, 0.5] }}."
        )
    return list(dict.fromkeys(names))


def _study(table: str, problem: Problem, values: Mapping[str, Sequence[Any]]) -> tuple[dict[str, str], Study]:
    """Return the name that stands for every key, and the study without what it is over."""
    places = {name: _place(table, problem, name) for name in values}
    keys = _keys(table, problem, list(values))
    made = {keys[name]: place for name, place in places.items() if not _is_light(problem, place, values[name])}
    if not made:
        return keys, Study(problem.law, problem.method, problem.predict.get("first_layer"), None)
    remade = _Remade(problem, made)
    has_start = bool(problem.table["first_layer"]) or any(place[0] == "first_layer" for place in made.values())
    start = remade.function(lambda one: one.predict["first_layer"]) if has_start else None
    method = remade.function(lambda one: one.method)
    return keys, Study(remade.function(lambda one: one.law), method, start, None)


def _keys(table: str, problem: Problem, names: Sequence[str]) -> dict[str, str]:
    """Return by key the name that a study has for it: its last part, or all where that is not enough."""
    places = {name: _place(table, problem, name) for name in names}
    lasts = [place[-1] for place in places.values()]
    return {name: place[-1] if lasts.count(place[-1]) == 1 else "_".join(place) for name, place in places.items()}


def _place(table: str, problem: Problem, name: str) -> tuple[str, ...]:
    try:
        place = tuple(locate([part.strip() for part in name.split(".")], known_keys(problem.table)))
    except ValueError as error:
        raise ProblemError(f"`{table}.over` names {name!r}: {error}") from error
    if place[0] not in CHANGED and place != STEPS:
        raise ProblemError(f"`{table}.over` names {name!r}: keys of {', '.join(CHANGED)} and run.num_steps may change.")
    return place


def _is_light(problem: Problem, place: tuple[str, ...], values: Sequence[Any]) -> bool:
    """Return whether a key is a number that law or method have by the same name."""
    if place == STEPS:
        return True
    if len(place) != 2 or not all(is_number(value) for value in values):
        return False
    table, key = place
    if table == "law":
        return key in LIGHT and hasattr(problem.law, key)
    method = problem.table["method"]
    if table != "method" or f"head_{key}" in method or not is_number(method.get(key)):
        return False
    found = {value for path, value in numbers_of_tree(problem.method.hyperparameters) if is_called(path, key)}
    return len(found) == 1


class _Remade:
    """Problems read again with some entries replaced; once for equal ones."""

    def __init__(self, problem: Problem, made: Mapping[str, tuple[str, ...]]) -> None:
        self.table, self.made = problem.table, made
        self._read = functools.cache(self._problem)

    def _problem(self, values: str) -> Problem:
        table = copy.deepcopy(self.table)
        for name, value in json.loads(values).items():
            assign(table, self.made[name], value)
        return parse_problem(table)

    def function(self, part: Callable[[Problem], Any]) -> Callable[..., Any]:
        """Return a function of the names that makes a part of the problem."""

        def make(**values: Any) -> Any:
            return part(self._read(json.dumps(values)))

        parameters = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in self.made]
        make.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportFunctionMemberAccess]
        return make


def settings_of(problem: Problem, values: Mapping[str, float]) -> list[str]:
    """Return what was chosen as entries of the problem, as --set takes them."""
    names = [name for name in problem.table["design"]["over"] if name != RATES]
    places = {key: name for name, key in _keys("design", problem, names).items()}
    rates = [value for name, value in values.items() if name.startswith(RATE)]
    lines = []
    if rates:
        entries = problem.table["method"]["learning_rate"]
        written = ", ".join(f"{rate:.6g}" for rate in rates)
        schedule = f'schedule = "{PIECEWISE}", num_steps = {entries["num_steps"]}, rates = [{written}]'
        lines.append(f"method.learning_rate = {{ {schedule} }}")
    for name, value in values.items():
        if not name.startswith(RATE):
            place = ".".join(_place("design", problem, places[name]))
            lines.append(f"{place} = {value:.6g}")
    return lines

"""From names and values to problems: numbers of the law, of the algorithm, or arguments of functions that make them."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from dyntheory.ground.arrays import PyTree
from dyntheory.ground.checks import check_count, check_finite, check_nonnegative, check_scalar, is_number, shown
from dyntheory.ground.names import check_name
from dyntheory.problem.laws.first_layer import FirstLayer
from dyntheory.problem.laws.law import TeacherStudent
from dyntheory.problem.methods.hyperparameters import HEAD_PREFIX
from dyntheory.problem.methods.method import GeneralFirstOrderMethod
from dyntheory.problem.methods.randomised import PROBABILITIES
from dyntheory.problem.methods.schedules import RATE, check_part
from dyntheory.verbs.studies.sweep.axes import Values

STEPS = "num_steps"
LIGHT = frozenset(("samples_per_feature", "noise_std", STEPS))  # the start of a run does not depend on them
NOT_NEGATIVE = ("learning_rate", "penalty", "std", "weight_decay", "peak", "final")
MADE = {"law": TeacherStudent, "method": GeneralFirstOrderMethod, "first_layer": FirstLayer}

Path = tuple[str, ...]


class Point(NamedTuple):
    """One problem of a sweep, as `predict` takes it."""

    law: TeacherStudent
    method: GeneralFirstOrderMethod
    head: PyTree
    first_layer: FirstLayer | None
    num_steps: int


class Question(NamedTuple):
    """What was asked: law, method and start, or functions of swept names that make them.

    Args:
        given: by name "law", "method", "first_layer": a value or a function.
        head: the initial head, or None.
        num_steps: T, or None where it is swept.
    """

    given: dict[str, Any]
    head: PyTree
    num_steps: int | None


class Points:
    """The problems of all points; what is made by a function is made once for equal arguments."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self._made: dict[Any, Any] = {}

    def problem(self, values: Values) -> Point:
        """Return the problem with these values.

        Raises:
            TypeError: a function that cannot be called with the swept names, or makes something else.
            ValueError: a name that nothing has, or a value outside its range.
        """
        made = {name: self._make(name, values) for name in MADE}
        law, method = made["law"], made["method"]
        used = {name for given in self.question.given.values() for name in arguments_of(given)}
        num_steps = self.question.num_steps
        for name, value in values.items():
            if name == STEPS:
                num_steps = check_count(STEPS, value, minimum=0)
            elif name in used:
                continue
            elif name in _fields(law):
                _refuse_both(name, method)
                law = dataclasses.replace(law, **{name: value})
            else:
                method = _with_number(method, name, value, law, used)
        if num_steps is None:
            raise ValueError("`num_steps` is missing: give it, or sweep over it.")
        return Point(law, method, self.question.head, made["first_layer"], num_steps)

    def start_token(self, values: Values) -> tuple[Any, ...]:
        """Return what tells the starts of runs apart: everything but light numbers."""
        used = {name for given in self.question.given.values() for name in arguments_of(given)}
        fields = _fields(self._make("law", values))
        return tuple(
            _token(value)
            for name, value in values.items()
            if name in used or (name in fields and name not in LIGHT) or not is_number(value)
        )

    def _make(self, name: str, values: Values) -> Any:
        given = self.question.given[name]
        wanted = arguments_of(given)
        if not wanted:
            return given
        token = (name, *(_token(values[one]) for one in wanted if one in values))
        if token not in self._made:
            self._made[token] = _called(name, given, {one: values[one] for one in wanted if one in values})
        return self._made[token]


def arguments_of(given: Any) -> tuple[str, ...]:
    """Return the names that a function takes; none for a value."""
    if given is None or isinstance(given, tuple(MADE.values())) or not callable(given):
        return ()
    return tuple(inspect.signature(given).parameters)


def needed_of(given: Any) -> tuple[str, ...]:
    """Return the names without which a function cannot be called."""
    if not arguments_of(given):
        return ()
    parameters = inspect.signature(given).parameters.values()
    free = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return tuple(one.name for one in parameters if one.default is inspect.Parameter.empty and one.kind not in free)


def _called(name: str, make: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    made = make(**arguments)
    if not isinstance(made, MADE[name]):
        raise TypeError(f"`{name}` must make a {MADE[name].__name__}, it made {shown(made)}.")
    return made


def _token(value: Any) -> Any:
    """Return something hashable that tells values apart; they live as long as the sweep."""
    try:
        hash(value)
    except TypeError:
        return ("object", id(value))
    return (type(value).__name__, value)


def _fields(law: TeacherStudent) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(law))


def _with_number(
    method: GeneralFirstOrderMethod, name: str, value: Any, law: TeacherStudent, used: set[str]
) -> GeneralFirstOrderMethod:
    """Return the method with one of its numbers replaced."""
    numbers = dict(numbers_of_tree(method.hyperparameters))
    paths = [path for path in numbers if is_called(path, name)]
    if not paths:
        known = {path[-1] for path in numbers} | {".".join(path) for path in numbers}
        check_name("name in `over`", name, {*known, *_fields(law), STEPS, *used})
        raise AssertionError("a known name has a path")
    before = {repr(numbers[path]) for path in paths}
    if len(before) > 1:
        raise ValueError(
            f"The method has {name!r} more than once, with different values: say which, one of "
            f"{', '.join('.'.join(path) for path in paths)}."
        )
    _check_number(name, value)
    hyperparameters = method.hyperparameters
    for path in paths:
        hyperparameters = _replaced(hyperparameters, path, float(value))
    return dataclasses.replace(method, hyperparameters=hyperparameters)


def _refuse_both(name: str, method: GeneralFirstOrderMethod) -> None:
    """Refuse a name that law and method share: whether both are meant, nobody said."""
    if any(is_called(path, name) for path, _ in numbers_of_tree(method.hyperparameters)):
        raise ValueError(
            f"Law and method both have {name!r}: say which by functions of it, law=lambda {name}: …, or method=…."
        )


def is_called(path: Path, name: str) -> bool:
    """Return whether a name means the number at this path: its last part, all of it, or that of the head."""
    if name in (path[-1], ".".join(path)):
        return True
    return name.startswith(HEAD_PREFIX) and path[-2:] == ("head", name.removeprefix(HEAD_PREFIX))


def _check_number(name: str, value: Any) -> None:
    if not is_number(value):
        raise TypeError(f"`over[{name!r}]` must hold numbers, got {shown(value)}.")
    check_scalar(name, value)
    check_finite(name, value)
    last = name.rpartition(".")[2]
    if last.endswith(NOT_NEGATIVE) or last.startswith(RATE):
        check_nonnegative(name, value)
    number = float(value)
    if last == "warmup":
        check_part(name, number)
    if (last == "fraction" and not 0 < number <= 1) or (last == "rate" and not 0 <= number < 1):
        raise ValueError(f"`{name}` is {PROBABILITIES[last]} and must be a part, got {value}.")


def numbers_of_tree(tree: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield the numbers of nested dictionaries with their paths."""
    if isinstance(tree, dict):
        for name, branch in tree.items():
            yield from numbers_of_tree(branch, (*path, str(name)))
    elif is_number(tree):
        yield path, float(tree)


def _replaced(tree: dict[str, Any], path: Path, value: float) -> dict[str, Any]:
    first, rest = path[0], path[1:]
    return {**tree, first: _replaced(tree[first], rest, value) if rest else value}

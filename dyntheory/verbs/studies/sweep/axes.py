"""What `over` says: a grid of values by name, or a list of points; and the coordinates of the result."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from dyntheory.ground.checks import is_number, shown
from dyntheory.results.trajectory import CURVES, OVERLAPS

POINT, SOURCE = "point", "source"
VARIABLES = (*CURVES, "estimation_error", *OVERLAPS, "status", "status_message", "status_step", "verdict")
TAKEN = (*VARIABLES, POINT, SOURCE, "step", "unit", "unit_", "teacher")  # dimensions that a result has anyway
MOST_LETTERS = 60

Values = dict[str, Any]


class Axes(NamedTuple):
    """Points of a sweep in the order of the result.

    Args:
        points: the values of every point by name.
        lengths: of the dimensions by name, in order; their product is the number of points.
        coordinates: by name the dimension along which it lies and its labels.
    """

    points: list[Values]
    lengths: dict[str, int]
    coordinates: dict[str, tuple[str, np.ndarray]]

    @property
    def names(self) -> tuple[str, ...]:
        """What is swept."""
        return tuple(self.coordinates)


def axes_of(over: Any) -> Axes:
    """Read `over`.

    Raises:
        TypeError: neither a mapping of names to values nor a sequence of such points.
        ValueError: nothing to sweep over, a value given twice, points that name different things.
    """
    if isinstance(over, Mapping):
        return _grid({_checked(name): _values(name, values) for name, values in over.items()})
    if isinstance(over, Sequence) and not isinstance(over, str | bytes):
        return _list(over)
    raise TypeError(
        "`over` must be names with their values, {'learning_rate': [0.1, 0.2]}, for a grid, or a list of points, "
        f"[{{'learning_rate': 0.1}}, …], got {shown(over)}."
    )


def _checked(name: Any) -> str:
    if not isinstance(name, str):
        raise TypeError(f"`over` must be keyed by names, got {shown(name)}.")
    if name in TAKEN:
        raise ValueError(f"`over` cannot have {name!r}: results have a variable or dimension of that name.")
    return name


def _values(name: str, values: Any) -> list[Any]:
    if isinstance(values, str | bytes | Mapping) or not hasattr(values, "__iter__") or getattr(values, "ndim", 1) == 0:
        raise TypeError(f"`over[{name!r}]` must be a list of values, got {shown(values)}.")
    found = list(values)
    if not found:
        raise ValueError(f"`over[{name!r}]` has no values.")
    return found


def _grid(values: dict[str, list[Any]]) -> Axes:
    if not values:
        raise ValueError("`over` names nothing to sweep over.")
    coordinates = {name: (name, labels_of(name, given)) for name, given in values.items()}
    for name, (_, labels) in coordinates.items():
        _refuse_repeats(name, labels)
    points = [dict(zip(values, chosen, strict=True)) for chosen in itertools.product(*values.values())]
    return Axes(points, {name: len(given) for name, given in values.items()}, coordinates)


def _refuse_repeats(name: str, labels: np.ndarray) -> None:
    found, counts = np.unique(labels, return_counts=True)
    if counts.max() > 1:
        raise ValueError(
            f"`over[{name!r}]` has {found[counts.argmax()]!s} twice: a coordinate must tell its values apart (those of "
            "functions are their names)."
        )


def _list(over: Sequence[Any]) -> Axes:
    if not len(over):
        raise ValueError("`over` has no points.")
    for number, point in enumerate(over):
        if not isinstance(point, Mapping) or not point:
            raise TypeError(f"Point {number} of `over` must be names with one value each, got {shown(point)}.")
        if set(point) != set(over[0]):
            raise ValueError(
                f"Points of `over` must name the same things: point 0 has {', '.join(map(str, over[0]))}, "
                f"point {number} has {', '.join(map(str, point))}."
            )
    points = [{_checked(name): point[name] for name in over[0]} for point in over]
    coordinates = {name: (POINT, labels_of(name, [point[name] for point in points])) for name in points[0]}
    return Axes(points, {POINT: len(points)}, coordinates)


def labels_of(name: str, values: list[Any]) -> np.ndarray:
    """Return labels for a coordinate: the numbers themselves where all are numbers, else what they are called."""
    if all(is_number(value) for value in values):
        numbers = np.asarray(values)
        if not np.all(np.isfinite(numbers)):
            raise ValueError(f"`over[{name!r}]` must hold finite numbers, got {values!r}.")
        return numbers
    return np.asarray([_label(value) for value in values])


def _label(value: Any) -> str:
    text = value if isinstance(value, str) else getattr(value, "__name__", None) or repr(value)
    text = " ".join(str(text).split())
    return text if len(text) <= MOST_LETTERS else text[:MOST_LETTERS] + "…"

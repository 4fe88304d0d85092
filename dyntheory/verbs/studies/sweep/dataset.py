"""Answers of all points as one labelled dataset: what was swept and the step are its dimensions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dyntheory.results.trajectory import OVERLAPS
from dyntheory.verbs.studies.sweep.answers import ERROR, FIELDS, Answer
from dyntheory.verbs.studies.sweep.axes import Axes

if TYPE_CHECKING:
    import xarray

DIMENSIONS = {"teacher_overlap": ("step", "unit", "teacher"), "weight_overlap": ("step", "unit", "unit_")}


def to_dataset(axes: Axes, answers: Sequence[Answer], provenance: dict[str, Any]) -> xarray.Dataset:
    """Return all answers; NaN where a point has fewer steps or units than others."""
    import xarray

    dimensions, shape = tuple(axes.lengths), tuple(axes.lengths.values())
    names = dict.fromkeys(name for answer in answers for name in answer.arrays)
    variables: dict[str, Any] = {}
    for name in names:
        values = _stacked([answer.arrays.get(name) for answer in answers])
        variables[name] = (
            (*dimensions, *_dimensions(name, values.ndim - 1)),
            values.reshape(*shape, *values.shape[1:]),
        )
    said = [answer.status for answer in answers]
    columns = {
        "status": [str(one.code) for one in said],
        "status_message": [one.message for one in said],
        "status_step": [-1 if one.step is None else one.step for one in said],
    }
    for name, column in columns.items():
        variables[name] = (dimensions, np.asarray(column).reshape(shape))
    steps = max(values.shape[len(shape)] for _, values in variables.values() if values.ndim > len(shape))
    coordinates: dict[str, Any] = {**axes.coordinates, "step": np.arange(steps)}
    return xarray.Dataset(variables, coordinates, {"provenance": json.dumps(provenance)})


def _dimensions(name: str, count: int) -> tuple[str, ...]:
    field = name.removesuffix(ERROR)
    if field in FIELDS:
        return DIMENSIONS[field] if field in OVERLAPS else ("step",)
    return ("step", *(f"{field}_axis_{axis}" for axis in range(1, count)))


def _stacked(arrays: list[np.ndarray | None]) -> np.ndarray:
    """Return the arrays with a leading axis of points, filled with NaN to the largest shape."""
    there = [array for array in arrays if array is not None]
    largest = tuple(max(sizes) for sizes in zip(*(array.shape for array in there), strict=True))
    stacked = np.full((len(arrays), *largest), np.nan)
    for place, array in enumerate(arrays):
        if array is not None:
            stacked[(place, *map(slice, array.shape))] = array
    return stacked

"""Answers of all points as one labelled dataset: what was swept and the step are its dimensions."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dyntheory.ground.status import DyntheoryWarning
from dyntheory.results.trajectory import OVERLAPS
from dyntheory.verbs.studies.sweep.answers import ERROR, FIELDS, Answer
from dyntheory.verbs.studies.sweep.axes import SOURCE, Axes
from dyntheory.verbs.studies.sweep.trained import COMPARED, Z

if TYPE_CHECKING:
    import xarray

REMARK = "ok with a remark"
DIMENSIONS = {"teacher_overlap": ("step", "unit", "teacher"), "weight_overlap": ("step", "unit", "unit_")}


def to_dataset(axes: Axes, answers: Mapping[str, Sequence[Answer]], provenance: dict[str, Any]) -> xarray.Dataset:
    """Return the answers of each source; NaN where a point has fewer steps or units than others."""
    import xarray

    found = {source: _of_one_source(axes, given) for source, given in answers.items()}
    if len(found) == 1:
        return next(iter(found.values())).assign_attrs(provenance=json.dumps(provenance))
    judged = [name for name in ("verdict", *(one + Z for one in COMPARED))]
    beside = {name: one.drop_vars(judged, errors="ignore") for name, one in found.items()}
    options: dict[str, Any] = {"join": "outer", "data_vars": "all", "coords": "minimal", "compat": "equals"}
    joined = xarray.concat(list(beside.values()), dim=SOURCE, **options)
    joined = joined.assign_coords({SOURCE: list(beside)}).transpose(*axes.lengths, SOURCE, ...)
    return joined.assign(found["simulation"][judged].data_vars).assign_attrs(provenance=json.dumps(provenance))


def with_warning(found: xarray.Dataset) -> xarray.Dataset:
    """Return a dataset, and say in one warning how many of its points did not end well, or with a remark."""
    ended = np.where((found.status == "ok") & (found.status_message != ""), REMARK, found.status)
    codes, counts = np.unique(ended.astype(str), return_counts=True)
    bad = {str(code): int(count) for code, count in zip(codes, counts, strict=True) if code != "ok"}
    if bad:
        told = ", ".join(f"{count} {code}" for code, count in bad.items())
        message = f"Of {found.status.size} results {told}: `status_message` of each says why, and what to do."
        warnings.warn(message, DyntheoryWarning, stacklevel=3)
    return found


def _of_one_source(axes: Axes, answers: Sequence[Answer]) -> xarray.Dataset:
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
    if any(answer.verdict for answer in answers):
        columns["verdict"] = [answer.verdict for answer in answers]
    for name, column in columns.items():
        variables[name] = (dimensions, np.asarray(column).reshape(shape))
    steps = max(values.shape[len(shape)] for _, values in variables.values() if values.ndim > len(shape))
    return xarray.Dataset(variables, {**axes.coordinates, "step": np.arange(steps)})


def _dimensions(name: str, count: int) -> tuple[str, ...]:
    field = name.removesuffix(ERROR).removesuffix(Z)
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

"""A trajectory as a labelled dataset, and as a NetCDF file.

Variables carry the names of the fields. Standard errors end in `_standard_error`, single runs in
`_per_run` (their first dimension is `run`). Leaves of the head are variables named by their path;
how they nest is an attribute in JSON, as are status, assumptions and provenance. Nothing is
pickled, and nothing is added about the user, the machine or where the file lies.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from dyntheory.ground.arrays import PyTree
from dyntheory.ground.files import replacing
from dyntheory.ground.status import Assumptions, Status
from dyntheory.results.trajectory import CURVES, POSITIVE, Trajectory

if TYPE_CHECKING:
    import xarray

SCHEMA_VERSION = 1
SCHEMA = "dyntheory_schema_version"
PARTS = ("standard_error", "per_run")
DIMENSIONS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys((*POSITIVE, "held_out_error"), ("step",)),
    "teacher_overlap": ("step", "unit", "teacher"),
    "weight_overlap": ("step", "unit", "unit_"),
    "recorded_preactivations": ("step", "sample", "unit"),
    "recorded_weights": ("step", "feature", "unit"),
    "labels": ("sample", "output"),
    "sample_weights": ("sample",),
}
TABLES = ("covariance",)  # by name of a curve
DESCRIPTION = ("status", "assumptions", "num_diverged", "provenance", "head")
ENCODING = {"zlib": True, "complevel": 1, "shuffle": True, "fletcher32": True, "_FillValue": None}


def to_xarray(trajectory: Trajectory) -> xarray.Dataset:
    """Return a labelled dataset with dimensions step, run, unit, unit_, teacher, sample, output.

    Args:
        trajectory: what a verb returned.

    Returns:
        The dataset, with all metadata as JSON in its attributes. Containers of the head other than
        dicts, lists and tuples are stored as dicts of their named children.

    Raises:
        TypeError: a leaf of the head is not numeric, or the provenance has no JSON form.
        ValueError: a shape contradicts `Trajectory`.
    """
    import xarray

    variables = _Variables()
    attributes = {key: _to_json(value) for key, value in variables.add(trajectory, "").items()}
    for part in PARTS:
        inner = getattr(trajectory, part)
        if inner is not None:
            if any(getattr(inner, nested) is not None for nested in PARTS):
                raise ValueError(f"`{part}` must not have a standard_error or per_run of its own.")
            attributes[part] = _to_json(variables.add(inner, part))
    return xarray.Dataset(variables.found, attrs={SCHEMA: SCHEMA_VERSION, **attributes})


def from_xarray(dataset: xarray.Dataset) -> Trajectory:
    """Return the trajectory that a dataset of `to_xarray` holds.

    Args:
        dataset: the dataset, whole.

    Returns:
        A trajectory with NumPy arrays.

    Raises:
        ValueError: the dataset is not ours, is of a newer schema, or lacks something.
    """
    version = dataset.attrs.get(SCHEMA)
    if not isinstance(version, int | np.integer):
        raise ValueError(
            f"This dataset was not written by dyntheory (it has no attribute {SCHEMA!r}): "
            "pass a file that Trajectory.save wrote."
        )
    if version > SCHEMA_VERSION:
        raise ValueError(
            f"The schema version of this dataset is {version}, this dyntheory reads up to "
            f"{SCHEMA_VERSION}: upgrade dyntheory."
        )
    try:
        found = {part: json.loads(dataset.attrs[part]) for part in PARTS if part in dataset.attrs}
        parts = {part: _read(dataset, description, part) for part, description in found.items()}
        description = {name: json.loads(dataset.attrs[name]) for name in DESCRIPTION}
        return dataclasses.replace(_read(dataset, description, ""), **parts)
    except (LookupError, TypeError, ValueError) as error:
        raise ValueError(f"The dataset is damaged ({error}): compute it again.") from error


def save(trajectory: Trajectory, path: str | Path, *, force: bool = False) -> Path:
    """Write a compressed NetCDF file with checksums, whole or not at all.

    Args:
        trajectory: what a verb returned.
        path: the file to write.
        force: whether an existing file may be replaced.

    Returns:
        The path.

    Raises:
        FileExistsError: the file exists and `force` is False.
        FileNotFoundError: its directory does not exist.
        TypeError: see `to_xarray`.
        ValueError: see `to_xarray`.
    """
    path = Path(path)
    with replacing(path, force=force) as beside:
        dataset = to_xarray(trajectory)
        encoding = {name: ENCODING for name, value in dataset.variables.items() if value.size}
        dataset.to_netcdf(beside, engine="h5netcdf", encoding=encoding)
    return path


def load(path: str | Path) -> Trajectory:
    """Read a file that `save` wrote.

    Args:
        path: the file.

    Returns:
        The trajectory, equal to the one saved: same numbers, types and structure of the head.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, not NetCDF, not ours, or of a newer schema.
    """
    import xarray

    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no file '{path}': check the name.")
    try:
        dataset = xarray.load_dataset(path, engine="h5netcdf", decode_times=False)
    except PermissionError:
        raise
    except Exception as error:  # on damaged bytes the libraries below raise whatever comes first
        raise ValueError(f"'{path}' is not a NetCDF file, or it is damaged or incomplete: compute it again.") from error
    try:
        return from_xarray(dataset)
    except ValueError as error:
        raise ValueError(f"'{path}' cannot be read. {error}") from error


class _Variables:
    """Variables of a dataset, collected part by part; names and dimensions never clash."""

    def __init__(self) -> None:
        self.found: dict[str, tuple[tuple[str, ...], np.ndarray]] = {}
        self.sizes: dict[str, int] = {}

    def add(self, trajectory: Trajectory, part: str) -> dict[str, Any]:
        """Add the arrays of one part; return the rest of it, fit for JSON."""
        lead = ("run",) if part == "per_run" else ()
        if not part or not np.array_equal(trajectory.steps, self.found["step"][1]):
            axes = (*lead, "step")[-trajectory.steps.ndim :]
            self._put(_name("step", part), axes, trajectory.steps)
        for field, names in DIMENSIONS.items():
            value = getattr(trajectory, field)
            if value is not None:
                ndim = value.ndim - len(lead)
                optional = field == "labels" and ndim == 1
                if ndim != len(names) and not optional:
                    expected = ", ".join(lead + names)
                    raise ValueError(f"`{field}` must have axes ({expected}), got shape {value.shape}.")
                self._put(_name(field, part), (lead + names)[: value.ndim], value)
        for field in TABLES:
            for curve, value in (getattr(trajectory, field) or {}).items():
                self._put(f"{curve}_{field}", ("step", "step"), value)
        return {
            "status": dataclasses.asdict(trajectory.status),
            "assumptions": trajectory.assumptions and dataclasses.asdict(trajectory.assumptions),
            "num_diverged": trajectory.num_diverged,
            "provenance": trajectory.provenance,
            "head": self._add_head(trajectory.head, (*lead, "step"), "head", part),
        }

    def _add_head(self, node: PyTree, lead: tuple[str, ...], path: str, part: str) -> list[Any]:
        """Add the leaves below `node`; return how they nest: a kind and its children."""
        if node is None:
            return ["none"]
        kind = {dict: "dict", list: "list", tuple: "tuple"}.get(type(node))
        children = list(_children(node, kind))
        if kind is None and len(children) == 1 and children[0][0] is None:
            return ["leaf", self._add_leaf(np.asarray(node), lead, path, part)]
        nodes = [self._add_head(child, lead, f"{path}_{key}", part) for key, child in children]
        if kind in ("list", "tuple"):
            return [kind, nodes]
        return ["dict", [[key, node] for (key, _), node in zip(children, nodes, strict=True)]]

    def _add_leaf(self, leaf: np.ndarray, lead: tuple[str, ...], path: str, part: str) -> str:
        if leaf.dtype.kind not in "biuf" or leaf.dtype == np.float16:
            raise TypeError(f"Leaf {path!r} must be numeric, float32 or wider, got {leaf.dtype}.")
        if leaf.ndim < len(lead) or leaf.shape[len(lead) - 1] != self.sizes["step"]:
            raise ValueError(f"Leaf {path!r} must have leading axes {', '.join(lead)}, got shape {leaf.shape}.")
        safe = re.sub(r"\W", "_", path, flags=re.ASCII)[:200]
        axes = tuple(f"axis{i}_of_{safe}" for i in range(leaf.ndim - len(lead)))
        name = _name(safe, part)
        while name in self.found:
            name += "_"
        self._put(name, lead + axes, leaf)
        return name

    def _put(self, name: str, dimensions: tuple[str, ...], value: np.ndarray) -> None:
        used: list[str] = []
        for dimension, size in zip(dimensions, value.shape, strict=True):
            if dimension == "step" and self.sizes.get("step", size) != size:
                raise ValueError(f"`{name}` must have {self.sizes['step']} steps, as `steps` says, got {size}.")
            while dimension in used or self.sizes.get(dimension, size) != size:
                dimension += "_"
            self.sizes[dimension] = size
            used.append(dimension)
        self.found[name] = (tuple(used), value)


def _name(field: str, part: str) -> str:
    return f"{field}_{part}" if part else field


def _children(node: PyTree, kind: str | None) -> Iterator[tuple[Any, PyTree]]:
    """Yield keys and children of a container; for a leaf, None and the leaf."""
    if kind == "dict":
        yield from ((k if isinstance(k, str | int) else str(k), v) for k, v in node.items())
    elif kind in ("list", "tuple"):
        yield from enumerate(node)
    else:
        found, _ = jax.tree_util.tree_flatten_with_path(node, is_leaf=lambda x: x is not node)
        for path, child in found:
            yield (jax.tree_util.keystr(path, simple=True) if path else None), child


def _to_json(value: Any) -> str:
    return json.dumps(value, default=_plain, ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(
        f"The provenance must consist of numbers, strings, lists and dicts, got {value!r} of type "
        f"{type(value).__name__}: store its name."
    )


def _read(dataset: xarray.Dataset, description: dict[str, Any], part: str) -> Trajectory:
    steps = _name("step", part)
    arrays: dict[str, Any] = {
        field: dataset.variables[_name(field, part)].values
        for field in DIMENSIONS
        if _name(field, part) in dataset.variables
    }
    covariance = {
        curve: dataset.variables[f"{curve}_covariance"].values
        for curve in CURVES
        if not part and f"{curve}_covariance" in dataset.variables
    }
    assumptions = description["assumptions"]
    return Trajectory(
        dataset.variables[steps if steps in dataset.variables else "step"].values,
        **arrays,
        head=_read_head(dataset, description["head"]),
        status=Status(**description["status"]),
        assumptions=None if assumptions is None else Assumptions(**assumptions),
        provenance=description["provenance"],
        num_diverged=description["num_diverged"],
        covariance=covariance or None,
    )


def _read_head(dataset: xarray.Dataset, node: list[Any]) -> PyTree:
    kind, *rest = node
    if kind == "none":
        return None
    if kind == "leaf":
        return dataset.variables[rest[0]].values
    if kind == "dict":
        return {key: _read_head(dataset, child) for key, child in rest[0]}
    if kind not in ("list", "tuple"):
        raise ValueError(f"the head has an unknown container {kind!r}")
    nodes = [_read_head(dataset, child) for child in rest[0]]
    return nodes if kind == "list" else tuple(nodes)

"""A result as a labelled dataset, and as a NetCDF file.

Variables carry the names of the fields, those of parts with the name of the part behind them: `train_loss`,
`train_loss_standard_error`, `train_loss_per_run`, `train_loss_covariance`. Leaves of a tree are named by their path.
Everything else is an attribute in JSON under the name of its field, and one holds digests of these: HDF5 has checksums
for variables alone. Nothing is pickled, and nothing is added about the user, the machine or where the file lies.
"""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from dyntheory.ground.files import check_destination, write_whole
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.storage.decode import Arrays, class_named, rebuilt
from dyntheory.ground.storage.encode import described
from dyntheory.ground.storage.marks import hints_of

if TYPE_CHECKING:
    import xarray

SCHEMA_VERSION = 2
SCHEMA = "dyntheory_schema_version"
RESULT = "dyntheory_result"
ARRAYS = "arrays"
DIGEST = "dyntheory_digests"
FIRST_RESULT = "Trajectory"  # the only one of version 1
ENCODING = {"zlib": True, "complevel": 1, "shuffle": True, "fletcher32": True, "_FillValue": None}


def to_xarray(result: Any) -> xarray.Dataset:
    """Return a labelled dataset with named dimensions: step, run, unit, unit_, teacher, sample, output and others.

    Args:
        result: what a verb returned.

    Returns:
        The dataset, with all metadata as JSON in its attributes. Containers of a head other than dicts, lists and
        tuples are stored as dicts of their named children.

    Raises:
        TypeError: a leaf of a head is not numeric, a field holds a function, or the provenance has no JSON form.
        ValueError: a shape contradicts the class of the result.
    """
    import xarray

    variables, description = described(result)
    single = [name for name, hint in hints_of(type(result)).items() if hint.is_array]
    arrays = {name: description.pop(name) for name in single}
    attributes = {name: _to_json(name, value) for name, value in {ARRAYS: arrays, **description}.items()}
    digests = json.dumps({name: _digest(text) for name, text in attributes.items()})
    named = {SCHEMA: SCHEMA_VERSION, RESULT: type(result).__name__, DIGEST: digests}
    return xarray.Dataset(variables, attrs={**named, **attributes})


def from_xarray(dataset: xarray.Dataset) -> Any:
    """Return the result that a dataset of `to_xarray` holds.

    Args:
        dataset: the dataset, whole.

    Returns:
        A result of the class that was stored, with NumPy arrays.

    Raises:
        ValueError: the dataset is not ours, is of a newer schema, or lacks something.
    """
    version = dataset.attrs.get(SCHEMA)
    if not isinstance(version, int | np.integer):
        raise ValueError(
            f"This dataset was not written by dyntheory (it has no attribute {SCHEMA!r}): "
            "pass a file that the `save` of a result wrote."
        )
    if version > SCHEMA_VERSION:
        raise ValueError(
            f"The schema version of this dataset is {version}, this dyntheory reads up to "
            f"{SCHEMA_VERSION}: upgrade dyntheory."
        )
    cls = class_named(dataset.attrs.get(RESULT, FIRST_RESULT))
    try:
        arrays = {str(name): variable.values for name, variable in dataset.variables.items()}
        names = [*hints_of(cls), *([ARRAYS] if version > 1 else [])]
        written = {name: dataset.attrs[name] for name in names if name in dataset.attrs}
        if version > 1:
            _check_digests(json.loads(dataset.attrs[DIGEST]), written)
        description = {name: json.loads(text) for name, text in written.items()}
        listed = description.pop(ARRAYS) if version > 1 else _arrays_of_version_1(cls, description, arrays)
        return rebuilt(cls, {**description, **listed}, arrays)
    except (LookupError, TypeError, ValueError) as error:
        raise ValueError(f"The dataset is damaged ({error}): compute it again.") from error


def _arrays_of_version_1(cls: type, description: dict[str, Any], arrays: Arrays) -> dict[str, Any]:
    """Return which array stands where in a file that does not list them, its parts completed in place."""
    single = [name for name, hint in hints_of(cls).items() if hint.is_array]

    def listed(part: str) -> dict[str, Any]:
        named = {name: f"{name}{part}" for name in single}
        found = {name: variable if variable in arrays else None for name, variable in named.items()}
        return {**found, "steps": f"step{part}" if f"step{part}" in arrays else "step"}

    for part in ("standard_error", "per_run"):
        if part in description:
            description[part] |= listed(f"_{part}")
    covariance = {name: f"{name}_covariance" for name in single if f"{name}_covariance" in arrays}
    return {**listed(""), "covariance": covariance or None}


def save(result: Any, path: str | Path, *, force: bool = False) -> Path:
    """Write a compressed NetCDF file with checksums, whole or not at all.

    Args:
        result: what a verb returned.
        path: the file to write.
        force: whether an existing file may be replaced.

    Returns:
        The path.

    Raises:
        FileExistsError: the file exists and `force` is False.
        FileNotFoundError: its directory does not exist.
        OSError: the disk is full, or fails otherwise; what was there before is kept.
        TypeError: see `to_xarray`.
        ValueError: see `to_xarray`.
    """
    path = check_destination(path, force=force)
    dataset = to_xarray(result)
    encoding = {name: ENCODING for name, value in dataset.variables.items() if value.size}
    return write_whole(path, _to_netcdf(dataset, encoding), force=force)


def _to_netcdf(dataset: xarray.Dataset, encoding: dict[Any, Any]) -> memoryview:
    """Return the bytes of the file. HDF5 does not survive a disk that fails under it, so it never sees one."""
    import h5netcdf
    from xarray.backends import H5NetCDFStore

    buffer = io.BytesIO()
    with h5netcdf.File(buffer, mode="w") as file:
        dataset.dump_to_store(H5NetCDFStore(file, mode="w"), encoding=encoding)
    return buffer.getbuffer()


def load(path: str | Path) -> Any:
    """Read a file that the `save` of a result wrote.

    Args:
        path: the file.

    Returns:
        The result, of the class that was saved and equal to it: same numbers, types and structure of the head.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, not NetCDF, not ours, or of a newer schema.
    """
    check_arguments(load, locals())
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


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _check_digests(digests: dict[str, str], written: dict[str, str]) -> None:
    """Require the attributes that were saved, as they were; fields that are newer than the file are not among them."""
    if not isinstance(digests, dict):
        raise ValueError("its digests are none")
    changed = [name for name, digest in digests.items() if digest != _digest(written.get(name, ""))]
    if changed:
        raise ValueError(f"its {', '.join(sorted(changed))} changed after it was saved")


def _to_json(field: str, value: Any) -> str:
    def plain(inner: Any) -> Any:
        if isinstance(inner, np.ndarray | np.generic | jax.Array):
            return inner.tolist()
        raise TypeError(
            f"The {field} must consist of numbers, strings, lists and dicts, got {inner!r} of type "
            f"{type(inner).__name__}: store its name."
        )

    return json.dumps(value, default=plain, ensure_ascii=False)

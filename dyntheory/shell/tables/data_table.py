"""Tables of data: CSV, NPZ and NPY files as rows and labels. Nothing is unpickled, sizes are checked first."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dyntheory.ground.checks import check_name
from dyntheory.ground.memory import available_memory

SUFFIXES = (".csv", ".npz", ".npy")
BLOWN_UP = 10  # bytes in memory for one byte of text
MOST_CATEGORIES = 50


class Table(NamedTuple):
    """Rows and labels of a file.

    Args:
        inputs: (n, d), numbers; categories are indicator columns, the first category left out.
        labels: (n,), as they were in the file.
        columns: names of the d columns.
        notes: what was done to the file, one sentence each.
    """

    inputs: np.ndarray
    labels: np.ndarray
    columns: tuple[str, ...]
    notes: tuple[str, ...]


def read_table(path: str | Path, target: str, *, max_memory: int | None = None) -> Table:
    """Read rows and labels.

    Args:
        path: a CSV file with a header; an NPZ file with a matrix and a vector, or with one vector for each column; an
            NPY file with a matrix.
        target: the column of the labels: a name (CSV, NPZ), or the number of a column (NPY; -1 is the last).
        max_memory: bytes that the rows may take; default most of what is free.

    Raises:
        FileNotFoundError: there is no such file.
        ModuleNotFoundError: pandas or scikit-learn is not installed.
        ValueError: another kind of file, too large, no such column, rows with missing entries, pickled arrays.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"--data takes a file that ends in {', '.join(SUFFIXES)}, got '{path}'.")
    if not path.is_file():
        raise FileNotFoundError(f"There is no file '{path}'.")
    limit = available_memory() if max_memory is None else max_memory
    reader = {".csv": _read_csv, ".npz": _read_npz, ".npy": _read_npy}[path.suffix.lower()]
    try:
        return reader(path, target, limit)
    except (zipfile.BadZipFile, EOFError, UnicodeDecodeError) as error:
        raise ValueError(f"'{path}' cannot be read ({error}): is it a {path.suffix} file?") from error


def _check_size(path: Path, needed: int, limit: int) -> None:
    if needed > limit:
        raise ValueError(
            f"'{path}' needs about {needed / 1e9:.3g} GB in memory and {limit / 1e9:.3g} GB may be used: take fewer "
            "rows."
        )


def _read_csv(path: Path, target: str, limit: int) -> Table:
    try:
        import pandas
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "CSV files are read by pandas, which is not installed: pip install 'dyntheory[data]'."
        ) from error
    _check_size(path, BLOWN_UP * path.stat().st_size, limit)
    try:
        frame = pandas.read_csv(path)
    except (pandas.errors.ParserError, pandas.errors.EmptyDataError) as error:
        raise ValueError(f"'{path}' is not a CSV table: {error}") from error
    frame.columns = [str(name).strip() for name in frame.columns]
    check_name("column", target, list(frame.columns))
    missing = frame.isna().sum()
    if missing.any():
        shown = ", ".join(f"{name} ({count} rows)" for name, count in missing.to_dict().items() if count)
        raise ValueError(f"'{path}' has missing entries: {shown}. Drop or impute them first.")
    labels = frame.pop(target).to_numpy()
    if frame.shape[1] == 0:
        raise ValueError(f"'{path}' has no column beside {target!r}.")
    return _encoded(frame, labels)


def _encoded(frame: Any, labels: np.ndarray) -> Table:
    """Return the numeric columns, then indicators of the categories of the others."""
    is_numeric = [kind.kind in "fiub" for kind in frame.dtypes]
    numeric, text = frame.loc[:, is_numeric], frame.loc[:, [not flag for flag in is_numeric]]
    rows, names, notes = [numeric.to_numpy(dtype=float)], [*numeric.columns], []
    if text.shape[1]:
        from sklearn.preprocessing import OneHotEncoder

        for name in text.columns:
            count = text[name].nunique()
            if count > MOST_CATEGORIES:
                raise ValueError(
                    f"Column {name!r} holds {count} different words: leave it out, or encode it as numbers first."
                )
        encoder = OneHotEncoder(drop="first", sparse_output=False)
        rows.append(encoder.fit_transform(text))
        names += list(encoder.get_feature_names_out())
        notes.append(f"words became indicator columns: {', '.join(text.columns)}")
    matrix = np.hstack(rows)
    return _without_constants(matrix, labels, names, notes)


def _without_constants(matrix: np.ndarray, labels: np.ndarray, names: list[str], notes: list[str]) -> Table:
    kept = matrix.std(axis=0) > 0
    if not kept.all():
        gone = [name for name, flag in zip(names, kept, strict=True) if not flag]
        notes = [*notes, f"constant columns were left out: {', '.join(gone)}"]
    columns = tuple(name for name, flag in zip(names, kept, strict=True) if flag)
    return Table(matrix[:, kept], labels, columns, tuple(notes))


def _load(path: Path) -> Any:
    try:
        return np.load(path, allow_pickle=False)
    except ValueError as error:
        raise ValueError(f"'{path}' cannot be read without unpickling, which is not done: {error}") from error


def _read_npy(path: Path, target: str, limit: int) -> Table:
    _check_size(path, 3 * path.stat().st_size, limit)
    matrix = _load(path)
    if matrix.ndim != 2 or matrix.dtype.kind not in "fiub":
        raise ValueError(f"'{path}' must hold a matrix of numbers, got shape {matrix.shape} of {matrix.dtype}.")
    try:
        column = range(matrix.shape[1])[int(target)]
    except (ValueError, IndexError):
        raise ValueError(
            f"--target must be the number of a column of '{path}', 0 to {matrix.shape[1] - 1} or -1, got {target!r}."
        ) from None
    rest = np.delete(matrix.astype(float), column, axis=1)
    names = [f"column {index}" for index in range(matrix.shape[1]) if index != column]
    return _without_constants(rest, matrix[:, column], names, [])


def _read_npz(path: Path, target: str, limit: int) -> Table:
    with zipfile.ZipFile(path) as archive:
        _check_size(path, 3 * sum(part.file_size for part in archive.infolist()), limit)
    with _load(path) as archive:
        check_name("array", target, archive.files)
        try:
            arrays = {name: archive[name] for name in archive.files}
        except ValueError as error:
            raise ValueError(f"'{path}' holds pickled objects, which are not read: {error}") from error
    labels = arrays.pop(target)
    parts, names = [], []
    for name, array in arrays.items():
        if array.ndim not in (1, 2) or len(array) != len(labels) or array.dtype.kind not in "fiub":
            continue
        wide = array.reshape(len(array), -1).astype(float)
        parts.append(wide)
        names += [name] if array.ndim == 1 else [f"{name} {index}" for index in range(wide.shape[1])]
    if labels.ndim != 1 or not parts:
        shapes = {name: array.shape for name, array in arrays.items()}
        raise ValueError(
            f"'{path}' must hold a vector {target!r} and a matrix with as many rows, got {labels.shape} and {shapes}."
        )
    return _without_constants(np.hstack(parts), labels, names, [])

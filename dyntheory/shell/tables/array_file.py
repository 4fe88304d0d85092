"""NumPy's files. Nothing is unpickled, sizes are checked first, and whatever is wrong with a file names it."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from dyntheory.ground.names import check_name
from dyntheory.shell.tables.dates import REFUSED, days
from dyntheory.shell.tables.raw_columns import RawColumns, listed, quoted
from dyntheory.shell.tables.reading import Reading


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of an NPZ file by name, or that of an NPY file under the name "".

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, of another kind, or holds pickled objects.
    """
    try:
        with path.open("rb") as file:
            found = np.load(file, allow_pickle=False)
            return {"": found} if isinstance(found, np.ndarray) else {name: found[name] for name in found.files}
    except FileNotFoundError:
        raise
    except Exception as error:  # on damaged bytes NumPy and zipfile raise whatever comes first
        told = str(error) or type(error).__name__
        pickled = "pickle" in told.lower() or "object arrays" in told.lower()
        reason = "it holds Python objects, which are not unpickled" if pickled else " ".join(told.split())[:200]
        raise ValueError(f"'{path}' cannot be read as a file of NumPy's: {reason}.") from error


def bytes_unpacked(path: Path) -> int:
    """Return how many bytes the arrays of an NPZ file say that they have.

    Raises:
        ValueError: it is no archive.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return sum(part.file_size for part in archive.infolist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise ValueError(f"'{path}' cannot be read ({error}): is it a .npz file?") from error


def read_npy(path: Path, target: str, reading: Reading) -> RawColumns:
    """Read the columns of a matrix; `target` and what is dropped are numbers of columns.

    Raises:
        ValueError: no matrix of numbers, no such column, or see `load_arrays`.
    """
    arrays = load_arrays(path)
    matrix = arrays.get("")
    if matrix is None or matrix.ndim != 2 or matrix.dtype.kind not in "fiub":
        shown = "several arrays" if matrix is None else f"shape {matrix.shape} of {matrix.dtype}"
        raise ValueError(f"'{path}' must hold a matrix of numbers, got {shown}.")
    column = _index("--target", target, matrix.shape[1])
    dropped = {_index("--drop", name, matrix.shape[1]) for name in reading.drop}
    kept = [index for index in range(matrix.shape[1]) if index != column and index not in dropped]
    names = tuple(f"column {index}" for index in kept)
    return RawColumns(matrix[:, kept].astype(float), names, {}, matrix[:, column], ())


def _index(option: str, name: str, count: int) -> int:
    try:
        return range(count)[int(name.removeprefix("column "))]
    except (ValueError, IndexError):
        raise ValueError(f"{option} must be the number of a column, 0 to {count - 1} or -1, got {name!r}.") from None


def read_npz(path: Path, target: str, reading: Reading) -> RawColumns:
    """Read the vectors and matrices that have a row for each label; `target` and what is dropped are names of arrays.

    Columns of a matrix are dropped by the names that messages have for them, "X 3" for the fourth of X.

    Raises:
        ValueError: no vector of labels, no matrix beside it, no such array, dates that were not asked for.
    """
    arrays = load_arrays(path)
    check_name("array", target, arrays)
    labels = arrays.pop(target)
    labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    columns = _Columns(len(labels) if labels.ndim == 1 else -1)
    for name, array in arrays.items():
        if name not in reading.drop:
            columns.add(name, array, reading.dates)
    if labels.ndim != 1 or not (columns.names or columns.words):
        shapes = {name: array.shape for name, array in arrays.items()}
        raise ValueError(
            f"'{path}' must hold a vector {target!r} and a matrix with as many rows, got {labels.shape} and {shapes}."
        )
    raw = RawColumns(
        np.hstack([np.empty((len(labels), 0)), *columns.parts]), tuple(columns.names), columns.words, labels, ()
    )
    for name in reading.drop:
        check_name("array", name, [*arrays, *raw.names])
    if columns.others:
        others = f"arrays without a number or a word for every row were left out: {listed(columns.others)}"
        raw = raw._replace(notes=(others,))
    return raw.without(set(reading.drop))


class _Columns:
    """Columns with one entry a row, collected from arrays.

    Args:
        num_rows: how many rows there are.
    """

    def __init__(self, num_rows: int) -> None:
        self.num_rows = num_rows
        self.parts: list[np.ndarray] = []
        self.names: list[str] = []
        self.words: dict[str, np.ndarray] = {}
        self.others: list[str] = []

    def add(self, name: str, array: Any, dates: str | None) -> None:
        """Add an array, or note that it has no columns of these rows."""
        kind = array.dtype.kind
        if array.ndim not in (1, 2) or len(array) != self.num_rows or kind not in "fiubMUS":
            self.others.append(name)
            return
        wide = array.reshape(len(array), -1)
        names = [name] if array.ndim == 1 else [f"{name} {index}" for index in range(wide.shape[1])]
        if kind in "US":
            text = np.strings.decode(wide, "utf-8", "replace") if kind == "S" else wide
            self.words |= {name: text[:, index].astype(object) for index, name in enumerate(names)}
            return
        if kind == "M":
            if dates is None:
                raise ValueError(f"Array {name!r} holds dates: {REFUSED.format(name=quoted([name]))}.")
            wide = np.column_stack([days(column) for column in wide.T])
        self.parts.append(wide.astype(float))
        self.names += names

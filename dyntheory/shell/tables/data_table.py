"""Tables of data: CSV, NPZ and NPY files as rows and labels, every decision noted. Sizes are checked first."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from dyntheory.ground.memory import available_memory
from dyntheory.shell.tables.array_file import bytes_unpacked, read_npy, read_npz
from dyntheory.shell.tables.csv_file import read_csv
from dyntheory.shell.tables.label_copies import check_gaps, without_copies
from dyntheory.shell.tables.missing import without_missing
from dyntheory.shell.tables.nearly_numbers import check_words
from dyntheory.shell.tables.raw_columns import RawColumns, listed, quoted
from dyntheory.shell.tables.reading import Reading

READERS = {".csv": read_csv, ".tsv": read_csv, ".npz": read_npz, ".npy": read_npy}
BLOWN_UP = 10  # bytes in memory for one byte of text
COPIES = 4  # of the rows, while they are looked at
MOST_CATEGORIES = 50
CONSTANT = 1e-12  # spread over mean of a column that is constant to rounding


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


def read_table(
    path: str | Path, target: str, *, reading: Reading | None = None, max_memory: int | None = None
) -> Table:
    """Read rows and labels.

    Args:
        path: a CSV file with a header; an NPZ file with a matrix and a vector, or with one vector for each column; an
            NPY file with a matrix.
        target: the column of the labels: a name (CSV, NPZ), or the number of a column (NPY; -1 is the last).
        reading: which columns are left out, what becomes of missing entries and of dates, how numbers are written.
        max_memory: bytes that the rows may take; default most of what is free.

    Raises:
        FileNotFoundError: there is no such file.
        ModuleNotFoundError: pandas is not installed.
        ValueError: another kind of file, too large, no such column, missing entries, a copy of the labels among the
            columns, pickled arrays, numbers or dates that can mean two things.
    """
    path, reading = Path(path), reading or Reading()
    if path.suffix.lower() not in READERS:
        raise ValueError(f"--data takes a file that ends in {', '.join(READERS)}, got '{path}'.")
    if not path.is_file():
        raise FileNotFoundError(f"There is no file '{path}'.")
    if target in reading.drop:
        raise ValueError(f"--drop names the target {target!r}: one or the other.")
    limit = available_memory() if max_memory is None else max_memory
    _check_size(str(path), _bytes_needed(path), limit)
    raw = READERS[path.suffix.lower()](path, target, reading)
    check_gaps(raw, target)
    raw = without_copies(without_missing(raw, target, reading), target)
    return _without_constants(_with_indicators(raw, limit))


def _bytes_needed(path: Path) -> int:
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return COPIES * bytes_unpacked(path)
    return path.stat().st_size * (COPIES if suffix == ".npy" else BLOWN_UP)


def _check_size(what: str, needed: float, limit: int) -> None:
    if needed > limit:
        raise ValueError(
            f"'{what}' needs about {needed / 1e9:.3g} GB in memory and {limit / 1e9:.3g} GB may be used: take fewer "
            "rows."
        )


def _with_indicators(raw: RawColumns, limit: int) -> RawColumns:
    """Return the columns with indicators of words behind the numbers, one for every word but the first."""
    found = {name: np.unique(column.astype(str), return_inverse=True) for name, column in raw.words.items()}
    for name, (words, _) in found.items():
        check_words(name, words.tolist())
        if len(words) > MOST_CATEGORIES:
            raise ValueError(
                f"Column {name!r} holds {len(words)} different words, such as {str(words[0])!r}: leave it out with "
                f"--drop {quoted([name])}, or encode it as numbers first."
            )
    width = sum(len(words) for words, _ in found.values())
    _check_size("indicators of words", 8.0 * COPIES * width * len(raw.labels), limit)
    parts, names = [raw.numbers], list(raw.names)
    for name, (words, index) in found.items():
        parts.append((index[:, None] == np.arange(1, len(words))).astype(float))
        names += [f"{name}_{word}" for word in words[1:]]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"Indicators of words would be called like other columns: rename or --drop {quoted(twice)}.")
    notes, varied = raw.notes, [name for name, (words, _) in found.items() if len(words) > 1]
    if varied:
        notes = (*notes, f"words became indicator columns: {listed(varied)}")
    if len(varied) < len(found):
        notes = (*notes, f"columns of one word were left out: {listed([name for name in found if name not in varied])}")
    return raw._replace(numbers=np.hstack(parts), names=tuple(names), words={}, notes=notes)


def _without_constants(raw: RawColumns) -> Table:
    """Return rows and labels less the columns that are constant, and say which."""
    with np.errstate(over="ignore", invalid="ignore"):
        mean, spread = raw.numbers.mean(axis=0), raw.numbers.std(axis=0)
    huge = [name for name, scale in zip(raw.names, spread, strict=True) if not np.isfinite(scale)]
    if huge:
        raise ValueError(f"Squares of the entries of {listed(huge)} overflow: divide them by a constant, or --drop.")
    kept = np.ptp(raw.numbers, axis=0) > 0
    kept &= spread > CONSTANT * np.abs(mean)
    notes = raw.notes
    if not kept.all():
        gone = [name for name, flag in zip(raw.names, kept, strict=True) if not flag]
        notes = (*notes, f"constant columns were left out: {listed(gone)}")
    columns = tuple(name for name, flag in zip(raw.names, kept, strict=True) if flag)
    if not columns:
        raise ValueError("No column is left beside the labels, or none that varies.")
    return Table(raw.numbers[:, kept], raw.labels, columns, notes)

"""Columns that hold the labels themselves, under another name: nothing would be learned from the others."""

from __future__ import annotations

import numpy as np

from dyntheory.shell.tables.missing import is_missing
from dyntheory.shell.tables.raw_columns import RawColumns, listed, quoted

ALIKE = 1e-6  # 1 − |correlation| of a copy: differences of a thousandth of the spread are rounding
ROWS_PER_CLASS = 2
FEWEST_ROWS = 20  # on fewer a column with gaps can look like the labels by chance


def without_copies(raw: RawColumns, target: str) -> RawColumns:
    """Return the columns where none is a copy of the labels; say which ones depend on the class alone.

    A copy is a multiple of numeric labels plus a constant, a column with the very order of the labels, or one that
    holds another value for every class.

    Args:
        raw: of a file, without missing entries.
        target: the name of the labels.

    Raises:
        ValueError: a column is a copy.
    """
    names = (*raw.names, *raw.words)
    codes = [np.unique(column.astype(str), return_inverse=True)[1] for column in raw.words.values()]
    columns = np.column_stack([raw.numbers, *codes]).astype(float)
    labels = raw.labels
    classes, index = np.unique(labels.astype(str) if labels.dtype.kind == "O" else labels, return_inverse=True)
    if len(classes) < 2:
        return raw
    copied = np.zeros(len(names), dtype=bool)
    if labels.dtype.kind in "fiub":
        numeric = np.arange(len(names)) < len(raw.names)
        copied |= numeric & (_correlated(columns, labels.astype(float)) | _ordered(columns, labels))
    by_class = np.zeros(len(names), dtype=bool)
    if ROWS_PER_CLASS * len(classes) <= len(labels):
        by_class, one_to_one = _of_classes(columns, index)
        copied |= one_to_one
    if copied.any():
        found = [name for name, flag in zip(names, copied, strict=True) if flag]
        raise ValueError(
            f"{listed([repr(name) for name in found])} tell{'s' * (len(found) == 1)} the target {target!r} exactly, as "
            f"a copy of it would: nothing would be learned from the others. Leave it out, --drop {quoted(found)}."
        )
    if not by_class.any():
        return raw
    told = [name for name, flag in zip(names, by_class, strict=True) if flag]
    note = f"the same in all rows of a class, were they made from {target!r}? {listed(told)}"
    return raw._replace(notes=(*raw.notes, note))


def check_gaps(raw: RawColumns, target: str) -> None:
    """Refuse a copy of the labels that misses entries: what would be put in their place hides it.

    Args:
        raw: of a file, with missing entries.
        target: the name of the labels.

    Raises:
        ValueError: a column is a copy where both are there.
    """
    labelled = ~is_missing(raw.labels)
    for name in (*raw.names, *raw.words):
        column = raw.words[name] if name in raw.words else raw.numbers[:, raw.names.index(name)]
        there = labelled & ~is_missing(column)
        if there.sum() < min(len(there), FEWEST_ROWS) or there.all():
            continue
        without_copies(raw.without({*raw.names, *raw.words} - {name}).of_rows(there), target)


def _correlated(columns: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return which columns are a multiple of the labels plus a constant, to rounding."""
    with np.errstate(all="ignore"):
        centred, own = _unit(columns), _unit(labels[:, None])
        return 1 - np.abs(own.T @ centred)[0] < ALIKE


def _unit(columns: np.ndarray) -> np.ndarray:
    """Return columns of mean zero and length one; scaled first, so that no square overflows."""
    scaled = columns / np.abs(columns).max(axis=0)
    centred = scaled - scaled.mean(axis=0)
    return centred / np.linalg.norm(centred, axis=0)


def _ordered(columns: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return which columns rise, or fall, exactly where the labels rise."""
    order = np.argsort(labels, kind="stable")
    rises, steps = labels[order][1:] > labels[order][:-1], columns[order]
    up, down = steps[1:] > steps[:-1], steps[1:] < steps[:-1]
    same = rises[:, None]
    return np.all((up == same) & ~down, axis=0) | np.all((down == same) & ~up, axis=0)


def _of_classes(columns: np.ndarray, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which columns vary but not within a class, and which of them have another value in every class."""
    order = np.argsort(index, kind="stable")
    starts = np.flatnonzero(np.diff(index[order], prepend=-1))
    lowest, highest = (extreme.reduceat(columns[order], starts, axis=0) for extreme in (np.minimum, np.maximum))
    constant = np.all(lowest == highest, axis=0)
    different = np.array([len(np.unique(values)) for values in lowest.T], dtype=int)
    return constant & (different > 1), constant & (different == len(starts))

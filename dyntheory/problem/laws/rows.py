"""Rows and labels of a real data set: checked, and put in the units of the theory."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from dyntheory.ground.arrays import ArrayLike

FEWEST_ROWS = 10
SHOWN = 5


@dataclasses.dataclass(frozen=True)
class Standardisation:
    """How columns were centred and scaled: x ↦ (x − mean)/scale.

    Args:
        mean: of every column, (d,).
        scale: standard deviation of every column, (d,).
    """

    mean: np.ndarray
    scale: np.ndarray

    def __call__(self, inputs: ArrayLike, name: str = "inputs") -> np.ndarray:
        """Return rows of the same columns in the same units; the name is what messages call them.

        Raises:
            ValueError: another number of columns, or entries that are not finite numbers.
        """
        rows = numeric_rows(name, inputs)
        if rows.shape[1] != len(self.mean):
            raise ValueError(f"`{name}` must have {len(self.mean)} columns, as the training rows, got {rows.shape[1]}.")
        return (rows - self.mean) / self.scale


class LabelledRows(NamedTuple):
    """A data set in the units of the theory.

    Args:
        rows: X, (n, d), columns of mean zero and variance one.
        labels: y, (n,) or (n, outputs), as they were given.
        standardisation: what was done to the rows.
    """

    rows: np.ndarray
    labels: np.ndarray
    standardisation: Standardisation


def labelled_rows(inputs: ArrayLike, labels: ArrayLike) -> LabelledRows:
    """Return a data set checked and standardised.

    Raises:
        ValueError: see `standardised` and `checked_labels`.
    """
    rows, standardisation = standardised(inputs)
    return LabelledRows(rows, checked_labels("labels", labels, len(rows)), standardisation)


def numeric_rows(name: str, inputs: ArrayLike) -> np.ndarray:
    """Return the rows as a matrix of finite numbers.

    Raises:
        ValueError: not a matrix, a column that holds no numbers, missing or infinite entries.
    """
    given = np.asarray(inputs)
    if given.ndim != 2:
        raise ValueError(f"`{name}` must have shape (rows, columns), got {given.shape}.")
    try:
        rows = given.astype(float)
    except (TypeError, ValueError):
        raise ValueError(
            f"`{name}` must hold numbers; columns {_shown(_not_numeric(given))} do not: encode categories first, with "
            "scikit-learn's OneHotEncoder say."
        ) from None
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=0))
    if bad.size:
        raise ValueError(
            f"`{name}` must be finite; columns {_shown(bad)} hold missing or infinite entries: drop or impute them, "
            "with scikit-learn's SimpleImputer say."
        )
    return rows


def _not_numeric(given: np.ndarray) -> np.ndarray:
    found = []
    for index in range(given.shape[1]):
        try:
            given[:, index].astype(float)
        except (TypeError, ValueError):
            found.append(index)
    return np.array(found)


def standardised(inputs: ArrayLike) -> tuple[np.ndarray, Standardisation]:
    """Return rows with columns of mean zero and variance one, and how that was done.

    Raises:
        ValueError: too few rows, a constant column, or see `numeric_rows`.
    """
    rows = numeric_rows("inputs", inputs)
    if len(rows) < FEWEST_ROWS:
        raise ValueError(f"`inputs` must have {FEWEST_ROWS} rows or more, got {len(rows)}.")
    if rows.shape[1] == 0:
        raise ValueError("`inputs` must have a column, got none.")
    mean, scale = rows.mean(axis=0), rows.std(axis=0)
    constant = np.flatnonzero(scale <= 1e-12 * np.maximum(np.abs(mean), 1e-300))
    if constant.size:
        raise ValueError(
            f"`inputs` must vary in every column; columns {_shown(constant)} are constant: drop them, with "
            "scikit-learn's VarianceThreshold say."
        )
    found = Standardisation(mean, scale)
    return found(rows), found


def checked_labels(name: str, labels: ArrayLike, num_rows: int) -> np.ndarray:
    """Return labels as finite numbers, (rows,) or (rows, outputs).

    Raises:
        ValueError: another number of rows, or not finite numbers.
    """
    given = np.asarray(labels)
    if given.ndim not in (1, 2) or len(given) != num_rows:
        raise ValueError(
            f"`{name}` must have one label for each of the {num_rows} rows, shape (n,) or (n, outputs), got "
            f"{given.shape}."
        )
    try:
        numbers = given.astype(float)
    except (TypeError, ValueError):
        raise ValueError(
            f"`{name}` must hold numbers (±1 for two classes, indicator vectors for more), got {given.dtype}."
        ) from None
    if not np.isfinite(numbers).all():
        raise ValueError(f"`{name}` must be finite, got {int((~np.isfinite(numbers)).sum())} missing or infinite.")
    return numbers


def _shown(indices: np.ndarray) -> str:
    first = ", ".join(str(index) for index in indices[:SHOWN])
    return first if len(indices) <= SHOWN else f"{first} and {len(indices) - SHOWN} more"

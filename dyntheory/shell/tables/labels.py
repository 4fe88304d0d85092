"""Labels of a file as a loss wants them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dyntheory.shell.tables.missing import is_missing
from dyntheory.shell.tables.raw_columns import listed

CLASSIFIES = ("logistic", "squared_hinge", "cross_entropy")
MOST_CLASSES = 1000
FEW_CLASSES = 10


class Labels(NamedTuple):
    """Labels in the units of the training, and what an error of theirs is in those of the file."""

    values: np.ndarray
    error: str


def read_labels(labels: np.ndarray, target: str, *, loss: str, num_outputs: int | None = None) -> Labels:
    """Return ±1, indicators of classes, or numbers of mean zero and variance one.

    Args:
        labels: as they were in the file.
        target: the name of their column.
        loss: of the training.
        num_outputs: of the network, checked against the number of classes where it is given.

    Raises:
        ValueError: missing labels, dates, or labels that do not fit the loss or the network.
    """
    if labels.dtype.kind not in "fiubOUS":
        what = "dates" if labels.dtype.kind in "Mm" else f"entries of {labels.dtype}"
        raise ValueError(f"{target!r} holds {what}, which are no labels: name a column of numbers or of classes.")
    missing = is_missing(labels)
    if missing.any():
        raise ValueError(f"{target!r} has {int(missing.sum())} missing or infinite labels: leave these rows out.")
    labels = labels if labels.dtype.kind in "fiub" else labels.astype(str)
    classes, index = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"{target!r} is constant: there is nothing to learn.")
    if loss in CLASSIFIES or labels.dtype.kind == "U":
        _check_number(target, len(classes), len(labels))
    if loss in CLASSIFIES:
        return _classes(classes, index, target, loss, num_outputs)
    if labels.dtype.kind == "U":
        raise ValueError(f"{target!r} holds words: {_of_classes(len(classes))}.")
    numbers = labels.astype(float)
    with np.errstate(over="ignore", invalid="ignore"):
        spread = numbers.std()
    if not 0 < spread < np.inf:
        raise ValueError(f"The spread of {target!r} cannot be computed, got {spread}: divide it by a constant.")
    error = f"squared error over the variance of {target}, {spread**2:.4g}"
    return Labels((numbers - numbers.mean()) / spread, error)


def _check_number(target: str, count: int, num_rows: int) -> None:
    """Require classes of which most have several rows."""
    if count > min(MOST_CLASSES, max(num_rows // 2, FEW_CLASSES)):
        raise ValueError(
            f"{target!r} has {count} different values in {num_rows} rows, too many for classes: name another column, "
            'or take method.loss = "squared" where they are numbers.'
        )


def _classes(classes: np.ndarray, index: np.ndarray, target: str, loss: str, num_outputs: int | None) -> Labels:
    count = len(classes)
    shown = listed([str(name) for name in classes])
    if loss == "cross_entropy":
        if num_outputs not in (None, count):
            raise ValueError(
                f"{target!r} has {count} classes ({shown}) and the network {num_outputs} outputs: take --set "
                f"network.num_outputs={count}."
            )
        return Labels(np.eye(count)[index], f"rate of wrong classes of {target}, {count} classes")
    if count != 2:
        raise ValueError(f"method.loss = {loss!r} takes two classes, {target!r} has {count}: {_of_classes(count)}.")
    return Labels(2.0 * index - 1.0, f"rate of wrong signs, {classes[1]} against {classes[0]}")


def _of_classes(count: int) -> str:
    """Return how classes are trained on."""
    if count == 2:
        return "take --set method.loss=logistic"
    return f"take --set method.loss=cross_entropy network.num_outputs={count}"

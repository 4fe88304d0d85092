"""Labels of a file as a loss wants them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

CLASSIFIES = ("logistic", "squared_hinge", "cross_entropy")


class Labels(NamedTuple):
    """Labels in the units of the training, and what an error of theirs is in those of the file."""

    values: np.ndarray
    error: str


def read_labels(labels: np.ndarray, target: str, *, loss: str) -> Labels:
    """Return ±1, indicators of classes, or numbers of mean zero and variance one.

    Args:
        labels: as they were in the file.
        target: the name of their column.
        loss: of the training.

    Raises:
        ValueError: labels that do not fit the loss.
    """
    if loss in CLASSIFIES:
        return _classes(labels, target, loss)
    if labels.dtype.kind not in "fiub":
        raise ValueError(f'{target!r} holds words: take method.loss = "logistic" (two classes) or "cross_entropy".')
    numbers = labels.astype(float)
    spread = numbers.std()
    if not spread > 0:
        raise ValueError(f"{target!r} is constant: there is nothing to learn.")
    error = f"squared error over the variance of {target}, {spread**2:.4g}"
    return Labels((numbers - numbers.mean()) / spread, error)


def _classes(labels: np.ndarray, target: str, loss: str) -> Labels:
    classes, index = np.unique(labels, return_inverse=True)
    if loss == "cross_entropy":
        return Labels(np.eye(len(classes))[index], f"rate of wrong classes of {target}, {len(classes)} classes")
    if len(classes) != 2:
        raise ValueError(
            f"method.loss = {loss!r} takes two classes and {target!r} has {len(classes)} values: take "
            'loss = "cross_entropy" with network.num_outputs equal to that, or a loss for numbers.'
        )
    return Labels(2.0 * index - 1.0, f"rate of wrong signs, {classes[1]} against {classes[0]}")

"""Rows that have to lie on one side of a plane: what labelled inputs are to a perceptron, two classes or many.

A weight separates two classes if w·z_i > 0 for z_i = y_i x_i. It separates K classes, one row of W each, if
(W_y − W_k)·x > 0 for every other class k: rows z_{ik} that hold x in the place of y and −x in that of k.
"""

from __future__ import annotations

import numpy as np

from dyntheory.ground.arrays import ArrayLike

LARGEST = 1e100  # of inputs whose squares, and those of margins and duals, are numbers


def checked_inputs(inputs: ArrayLike) -> np.ndarray:
    """Return rows of finite numbers, or say what is wrong with them.

    Raises:
        ValueError: no matrix, no rows or columns, numbers that are not finite or whose squares are not.
    """
    rows = np.asarray(inputs, float)
    if rows.ndim != 2 or 0 in rows.shape:
        raise ValueError(f"`inputs` must have the shape (samples, features), got {rows.shape}.")
    if not np.isfinite(rows).all():
        raise ValueError("`inputs` must be finite, got NaN or infinity: drop or fill these rows.")
    largest = float(np.abs(rows).max())
    if largest > 0 and not 1 / LARGEST <= largest <= LARGEST:
        raise ValueError(
            f"`inputs` must have a largest entry between {1 / LARGEST:g} and {LARGEST:g}, or their squares are no "
            f"numbers, got {largest:g}: choose another unit."
        )
    return rows


def signed_rows(inputs: ArrayLike, labels: ArrayLike) -> np.ndarray:
    """Return y_i x_i, (n, d).

    Raises:
        ValueError: labels that are not ±1, or as many as there are rows.
    """
    rows, signs = checked_inputs(inputs), np.asarray(labels, float)
    if signs.shape != rows.shape[:1]:
        raise ValueError(f"`labels` must have the shape {rows.shape[:1]}, one for each row, got {signs.shape}.")
    if not np.isin(signs, (-1.0, 1.0)).all():
        raise ValueError("`labels` must be −1 or 1; for classes 0 … K − 1 pass `num_classes`.")
    return signs[:, None] * rows


def class_rows(inputs: ArrayLike, labels: ArrayLike, num_classes: int) -> np.ndarray:
    """Return z_{ik}, (n, K − 1, K d).

    Raises:
        ValueError: labels that are not 0 … K − 1.
    """
    rows, classes = checked_inputs(inputs), np.asarray(labels)
    if classes.shape != rows.shape[:1]:
        raise ValueError(f"`labels` must have the shape {rows.shape[:1]}, one for each row, got {classes.shape}.")
    if not np.isin(classes, np.arange(num_classes)).all():
        raise ValueError(f"`labels` must be whole numbers from 0 to {num_classes - 1}, got {np.unique(classes)[:5]}.")
    units = np.eye(num_classes)
    others = np.array([[k for k in range(num_classes) if k != y] for y in classes.astype(int)])
    signs = units[classes.astype(int)][:, None] - units[others]
    return (signs[..., None] * rows[:, None, None]).reshape(len(rows), num_classes - 1, -1)

"""Rosenblatt's perceptron on given inputs, with what Novikoff's theorem says about it."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import numpy as np

from dyntheory.flows.perceptron.data import class_rows, signed_rows
from dyntheory.flows.perceptron.margins import LargestMargin, margin_of_rows
from dyntheory.ground.arrays import ArrayLike
from dyntheory.ground.checks import check_count
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.status import Outcome, Status
from dyntheory.ground.storage.marks import Axes
from dyntheory.ground.storage.saved import Saved


@dataclasses.dataclass(frozen=True)
class PerceptronRun(Saved):
    """A perceptron that was trained until it made no mistake, or had to stop.

    Args:
        weights: (d,), or (K, d) of K classes.
        num_updates: how often it was wrong, and moved.
        num_passes: how often it went through all samples, the last time without a mistake.
        updates: (n,) how often each sample moved it.
        bound: (R/γ)², by Novikoff's theorem at least `num_updates`; infinite where nothing separates.
        largest_margin: γ and R of the rows that it has to get on one side; None if it was not asked for.
        margin: smallest z_i·w/|w| that it reached itself.
        is_separated: whether all samples are right.
        status: "unresolved" where it had to stop.
    """

    weights: Annotated[np.ndarray, Axes("class", "feature", least=1)]
    num_updates: int
    num_passes: int
    updates: Annotated[np.ndarray, Axes("sample")]
    bound: float
    largest_margin: LargestMargin | None
    margin: float
    is_separated: bool
    status: Status = dataclasses.field(default_factory=Status)


def train(
    inputs: ArrayLike,
    labels: ArrayLike,
    *,
    num_classes: int | None = None,
    max_updates: int = 100_000,
    find_margin: bool = True,
) -> PerceptronRun:
    """Train a perceptron from zero, sample after sample in their order, until a whole pass is right.

    w ← w + y x where y w·x ≤ 0. With K classes W_y ← W_y + x and W_k ← W_k − x, where k ≠ y has the largest W_k·x and
    that is not below W_y·x. Novikoff: at most (R/γ)² updates, R the norm of the largest x (of K classes √2 times that),
    γ the largest margin of any plane through the origin.

    Scaling:
        Neither the number of updates nor the bound knows a learning rate or the units of the inputs.

    Args:
        inputs: (n, d); append a column of ones for an offset.
        labels: (n,), −1 or 1; classes 0 … K − 1 with `num_classes`.
        num_classes: K, two or more.
        max_updates: after which it stops.
        find_margin: look for γ, which on thousands of samples takes longer than the training.

    Returns:
        Weights, counts, margin and bound.

    Raises:
        ValueError: shapes that do not match, or labels that are none.

    Example:
        >>> import numpy as np, dyntheory as dt
        >>> inputs = np.array([[1.0, 2.0], [-1.0, 2.0], [0.5, -3.0]])
        >>> run = dt.perceptron.train(inputs, [1, 1, -1])
        >>> run.is_separated, run.num_updates, run.num_updates <= run.bound
        (True, 1, True)

    Reference: `rosenblatt1958perceptron`; `novikoff1962convergence`; `crammer2003ultraconservative` for classes.
    """
    check_arguments(train, locals())
    most = check_count("max_updates", max_updates)
    if num_classes is None:
        rows = signed_rows(inputs, labels)[:, None]
    else:
        rows = class_rows(inputs, labels, check_count("num_classes", num_classes, minimum=2))
    flat = rows.reshape(-1, rows.shape[-1])
    found = margin_of_rows(flat) if find_margin else None
    weights, updates, passes = _run(rows, most)
    norm = np.linalg.norm(weights)
    reached = float((flat @ weights).min() / norm) if norm > 0 else 0.0
    shaped = weights if num_classes is None else weights.reshape(num_classes, -1)
    bound = found.mistake_bound if found is not None else float("inf")
    count, right = int(updates.sum()), reached > 0
    return PerceptronRun(shaped, count, passes, updates, bound, found, reached, right, _status(found, right, most))


def _run(rows: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the weights, the updates of every sample and the passes; rows are (n, rivals, D)."""
    count = len(rows)
    weights, updates, at, passes = np.zeros(rows.shape[-1]), np.zeros(count, int), 0, 0
    while updates.sum() < most:
        fields = rows @ weights
        wrong = np.flatnonzero(fields.min(axis=1) <= 0)
        if not len(wrong):
            return weights, updates, passes + 1 + (at > 0)
        later = wrong[wrong >= at]
        if not len(later):
            passes, at = passes + 1, 0
            later = wrong
        sample = int(later[0])
        weights = weights + rows[sample, fields[sample].argmin()]
        updates[sample] += 1
        at = sample + 1
    return weights, updates, passes + 1


def _status(found: LargestMargin | None, right: bool, most: int) -> Status:
    if right:
        return Status() if found is None else found.status
    if found is not None and found.is_separable is False:
        return Status(Outcome.UNRESOLVED, "No plane through the origin separates the labels: it will never be right.")
    return Status(Outcome.UNRESOLVED, f"Not right after {most} updates: raise `max_updates`.")

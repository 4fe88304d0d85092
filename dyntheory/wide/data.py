"""The given inputs and labels, and a frame in which the inputs are few numbers."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from dyntheory.ground.arrays import ArrayLike
from dyntheory.ground.checks import holds_numbers, shown

RANK_TOLERANCE = 1e-10


class FixedData(NamedTuple):
    """Inputs, labels and test inputs as float64 arrays, labels always with an axis of outputs.

    `is_scalar` says that labels were given without that axis.
    """

    inputs: Float[np.ndarray, "inputs features"]
    labels: Float[np.ndarray, "inputs outputs"]
    test_inputs: Float[np.ndarray, "tests features"] | None
    test_labels: Float[np.ndarray, "tests outputs"] | None
    is_scalar: bool

    @property
    def num_features(self) -> int:
        """D."""
        return self.inputs.shape[1]


class Frame(NamedTuple):
    """Orthonormal directions of the inputs: x/√D = frame coordinates, and what of test inputs lies outside them.

    Args:
        inputs: (P, rank), whose products are the kernel x·x/D.
        test_inputs: (P*, rank).
        outside: (P*,) norms of the rest.
    """

    inputs: Float[np.ndarray, "inputs rank"]
    test_inputs: Float[np.ndarray, "tests rank"]
    outside: Float[np.ndarray, " tests"]


def fixed_data(
    inputs: ArrayLike,
    labels: ArrayLike,
    test_inputs: ArrayLike | None,
    test_labels: ArrayLike | None,
    *,
    use_bias: bool,
) -> FixedData:
    """Check what was given.

    Raises:
        TypeError: no numbers.
        ValueError: shapes that do not fit, numbers that are not finite, no inputs, or inputs that are all zero.
    """
    rows, targets = rows_of("inputs", inputs), _numbers("labels", labels)
    if targets.ndim not in (1, 2) or len(targets) != len(rows):
        raise ValueError(
            f"`labels` must have shape ({len(rows)},) or ({len(rows)}, outputs), one for every row of `inputs`, got "
            f"{targets.shape}."
        )
    if targets.ndim == 2 and not targets.shape[1]:
        raise ValueError("`labels` have no outputs: pass shape (P,) or (P, outputs).")
    if not rows.any() and not use_bias:
        raise ValueError("`inputs` are all zero: a network without biases has nothing to learn from.")
    if test_inputs is None and test_labels is not None:
        raise ValueError("`test_labels` belong to test inputs: give `test_inputs` with them.")
    tests = None if test_inputs is None else rows_of("test_inputs", test_inputs)
    if tests is not None and tests.shape[1] != rows.shape[1]:
        raise ValueError(f"`test_inputs` must have as many columns as `inputs`, {rows.shape[1]}, got {tests.shape[1]}.")
    wanted = None
    if tests is not None and test_labels is not None:
        wanted = _numbers("test_labels", test_labels)
        if wanted.shape != (len(tests), *targets.shape[1:]):
            raise ValueError(
                f"`test_labels` must have shape {(len(tests), *targets.shape[1:])}, as `test_inputs` and `labels` ask "
                f"for, got {wanted.shape}."
            )
        wanted = wanted.reshape(len(tests), -1)
    return FixedData(rows, targets.reshape(len(rows), -1), tests, wanted, targets.ndim == 1)


def frame_of(data: FixedData) -> Frame:
    """Return the inputs in a frame of their own; inputs that repeat or depend on each other only lower its rank."""
    root = np.sqrt(data.num_features)
    _, sizes, right = np.linalg.svd(data.inputs / root, full_matrices=False)
    directions = right[sizes > RANK_TOLERANCE * max(sizes[0], np.finfo(float).tiny)]
    # Signs are chosen, or another machine would spend its nodes on the other side of a direction.
    largest = np.take_along_axis(directions, np.abs(directions).argmax(axis=1)[:, None], axis=1)
    directions = directions * np.sign(largest)
    rows = data.inputs / root @ directions.T
    tests = np.zeros((0, data.num_features)) if data.test_inputs is None else data.test_inputs / root
    inside = tests @ directions.T
    outside = np.linalg.norm(tests - inside @ directions, axis=1)
    negligible = RANK_TOLERANCE * np.linalg.norm(tests, axis=1)
    return Frame(rows, inside, np.where(outside > negligible, outside, 0.0))


def _numbers(name: str, value: Any) -> np.ndarray:
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"`{name}` is a masked array, whose mask would be lost: fill or drop what is masked.")
    if not holds_numbers(value):
        raise TypeError(f"`{name}` must hold numbers, got {shown(value)}.")
    array = np.asarray(value, dtype=float)
    if not np.isfinite(array).all():
        raise ValueError(f"`{name}` must be finite: {int((~np.isfinite(array)).sum())} entries are NaN or infinite.")
    return array


def rows_of(name: str, value: Any) -> np.ndarray:
    """Return inputs as an array (rows, features) of float64.

    Raises:
        TypeError: no numbers.
        ValueError: another shape, or numbers that are not finite.
    """
    array = _numbers(name, value)
    if array.ndim != 2 or not array.size:
        raise ValueError(
            f"`{name}` must have shape (rows, features), at least one of each, got {array.shape}: flatten images, "
            "x.reshape(len(x), -1), and pass a single input as x[None]."
        )
    return array

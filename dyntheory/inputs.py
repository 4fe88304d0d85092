"""Input laws for simulations: iid entries of mean 0 and variance 1, by name.

The prediction is the Gaussian one for all of them (universality); where tails are too heavy for d the simulation
shows it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import numpy as np

from dyntheory._checks import check_name
from dyntheory._typing import Array, ArrayLike, Key

STUDENT_T_FREEDOM = 5.0
SPARSE_FRACTION = 0.1


def _gaussian(key: Key, shape: tuple[int, int]) -> Array:
    return jax.random.normal(key, shape, float)


def _rademacher(key: Key, shape: tuple[int, int]) -> Array:
    return jax.random.rademacher(key, shape, float)


def _uniform(key: Key, shape: tuple[int, int]) -> Array:
    return jax.random.uniform(key, shape, float, -math.sqrt(3), math.sqrt(3))


def _student_t(key: Key, shape: tuple[int, int]) -> Array:
    variance = STUDENT_T_FREEDOM / (STUDENT_T_FREEDOM - 2)
    return jax.random.t(key, STUDENT_T_FREEDOM, shape, float) / math.sqrt(variance)


def _sparse(key: Key, shape: tuple[int, int]) -> Array:
    where, value = jax.random.split(key)
    kept = jax.random.bernoulli(where, SPARSE_FRACTION, shape)
    return kept * jax.random.normal(value, shape, float) / math.sqrt(SPARSE_FRACTION)


INPUTS: dict[str, Callable[[Key, tuple[int, int]], Array]] = {
    "gaussian": _gaussian,
    "rademacher": _rademacher,
    "uniform": _uniform,
    "student_t": _student_t,
    "sparse": _sparse,
}


def resolve_inputs(inputs: str | ArrayLike, num_features: int) -> str | np.ndarray:
    """Return a known name, or a finite array of rows (N, d).

    Raises:
        ValueError: an unknown name, or an array of another width or with entries that are not finite.
    """
    if isinstance(inputs, str):
        return check_name("inputs", inputs, INPUTS)
    rows = np.asarray(inputs, dtype=float)
    if rows.ndim != 2 or rows.shape[1] != num_features:
        raise ValueError(
            f"`inputs` must be a name or an array of rows of shape (N, num_features) = (N, {num_features}), "
            f"got shape {rows.shape}."
        )
    if not np.all(np.isfinite(rows)):
        raise ValueError("`inputs` must be finite.")
    return rows


def draw_inputs(inputs: str | Array, key: Key, num_train: int, num_test: int, num_features: int) -> tuple[Array, Array]:
    """Draw training rows and test rows; rows of an array are drawn without replacement, the rest are test rows."""
    if isinstance(inputs, str):
        train_key, test_key = jax.random.split(key)
        draw = INPUTS[inputs]
        return draw(train_key, (num_train, num_features)), draw(test_key, (num_test, num_features))
    order = jax.random.permutation(key, inputs.shape[0])
    return inputs[order[:num_train]], inputs[order[num_train : num_train + num_test]]


def num_test_rows(inputs: str | np.ndarray, num_train: int, num_features: int) -> int:
    """Return how many fresh rows measure the test error; none for Gaussian inputs, where it is an expectation.

    Raises:
        ValueError: an array with too few rows.
    """
    if isinstance(inputs, str):
        return 0 if inputs == "gaussian" else max(2000, num_features)
    rest = len(inputs) - num_train
    if rest < 10:
        raise ValueError(
            f"`inputs` has {len(inputs)} rows; {num_train} are needed for training (samples_per_feature × "
            "num_features) and at least 10 more for testing: lower `samples_per_feature`."
        )
    return rest


def check_standardised(rows: np.ndarray) -> str:
    """Return a warning text when the columns are far from mean 0 and variance 1, else an empty string."""
    mean, variance = np.abs(rows.mean(axis=0)).max(), rows.var(axis=0)
    if mean > 0.1 or variance.min() < 0.8 or variance.max() > 1.25:
        return (
            f"`inputs` should have columns of mean 0 and variance 1: largest mean {mean:.2g}, variances "
            f"from {variance.min():.2g} to {variance.max():.2g}. The prediction assumes it; whiten them first."
        )
    return ""

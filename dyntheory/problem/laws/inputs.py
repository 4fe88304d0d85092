"""Input laws for simulations: iid entries of mean 0 and variance 1, by name, as a function, or rows of an array.

The prediction is the Gaussian one for all of them (universality); where tails are too heavy for d, or entries too
dependent, the simulation shows it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.ground.arrays import Array, ArrayLike, Key
from dyntheory.ground.checks import check_positive
from dyntheory.ground.names import check_name

InputLaw: TypeAlias = Callable[..., Array]
"""(key, (rows, columns)) -> rows with columns of mean 0 and variance 1."""


def _gaussian(key: Key, shape: tuple[int, int], dtype: Any = float) -> Array:
    return jax.random.normal(key, shape, dtype)


def _rademacher(key: Key, shape: tuple[int, int], dtype: Any = float) -> Array:
    return jax.random.rademacher(key, shape, dtype)


def _uniform(key: Key, shape: tuple[int, int], dtype: Any = float) -> Array:
    return jax.random.uniform(key, shape, dtype, -math.sqrt(3), math.sqrt(3))


@dataclasses.dataclass(frozen=True)
class StudentT:
    """Student-t entries, scaled to variance 1.

    Args:
        freedom: degrees of freedom ν, above 2; moments of order ν and above are infinite.

    Raises:
        ValueError: two degrees or fewer, whose variance is infinite.
    """

    freedom: float = 5.0

    def __post_init__(self) -> None:
        check_positive("freedom", self.freedom)
        if self.freedom <= 2:
            raise ValueError(f"`freedom` must be above 2, or the variance is infinite, got {self.freedom}.")

    def __call__(self, key: Key, shape: tuple[int, int], dtype: Any = float) -> Array:
        """Draw rows."""
        return jax.random.t(key, self.freedom, shape, dtype) / math.sqrt(self.freedom / (self.freedom - 2))


@dataclasses.dataclass(frozen=True)
class Sparse:
    """Entries that are zero but for a fraction, Gaussian there, scaled to variance 1.

    Args:
        fraction: of entries that are not zero, above 0 and at most 1.

    Raises:
        ValueError: a fraction outside that range.
    """

    fraction: float = 0.1

    def __post_init__(self) -> None:
        check_positive("fraction", self.fraction)
        if self.fraction > 1:
            raise ValueError(f"`fraction` must be at most 1, got {self.fraction}.")

    def __call__(self, key: Key, shape: tuple[int, int], dtype: Any = float) -> Array:
        """Draw rows."""
        where, value = jax.random.split(key)
        kept = jax.random.bernoulli(where, self.fraction, shape)
        return kept * jax.random.normal(value, shape, dtype) / math.sqrt(self.fraction)


INPUTS: dict[str, Callable[..., Array]] = {
    "gaussian": _gaussian,
    "rademacher": _rademacher,
    "uniform": _uniform,
    "student_t": StudentT(),
    "sparse": Sparse(),
}


def resolve_inputs(inputs: str | ArrayLike | InputLaw, num_features: int) -> str | InputLaw | np.ndarray:
    """Return a known name, a law, or a finite array of rows (N, d).

    Raises:
        ValueError: an unknown name, or an array of another width or with entries that are not finite.
    """
    if isinstance(inputs, str):
        return check_name("inputs", inputs, INPUTS)
    if callable(inputs):
        return _check_law(inputs, num_features)
    rows = np.asarray(inputs, dtype=float)
    if rows.ndim != 2 or rows.shape[1] != num_features:
        raise ValueError(
            f"`inputs` must be a name, a function (key, shape) -> rows, or an array of rows of shape (N, num_features) "
            f"= (N, {num_features}), got shape {rows.shape}."
        )
    if not np.all(np.isfinite(rows)):
        raise ValueError("`inputs` must be finite.")
    return rows


def _check_law(law: InputLaw, num_features: int) -> InputLaw:
    shape = (2, num_features)
    drawn = jax.eval_shape(lambda key: law(key, shape), jax.random.key(0))
    if getattr(drawn, "shape", None) != shape or not jnp.issubdtype(drawn.dtype, jnp.floating):
        raise ValueError(
            f"`inputs` must return real rows of the shape it is asked for, {shape}, got {drawn}: it is called "
            "as inputs(key, (rows, columns))."
        )
    return law


def name_of_inputs(inputs: str | InputLaw | np.ndarray) -> str:
    """Return what a record calls them: the name, "array", or the function as it shows itself."""
    if isinstance(inputs, str):
        return inputs
    return "array" if isinstance(inputs, np.ndarray) else str(getattr(inputs, "__qualname__", inputs))


def draw_inputs(
    inputs: str | InputLaw | Array,
    key: Key,
    num_train: int,
    num_test: int,
    num_features: int,
    dtype: Any = float,
) -> tuple[Array, Array]:
    """Draw training rows and test rows; rows of an array are drawn without replacement, the rest are test rows."""
    if isinstance(inputs, str):
        train_key, test_key = jax.random.split(key)
        draw = INPUTS[inputs]
        return draw(train_key, (num_train, num_features), dtype), draw(test_key, (num_test, num_features), dtype)
    if not isinstance(inputs, jax.Array):
        train_key, test_key = jax.random.split(key)
        drawn = (inputs(train_key, (num_train, num_features)), inputs(test_key, (num_test, num_features)))
        return drawn[0].astype(dtype), drawn[1].astype(dtype)
    rows, order = inputs.astype(dtype), jax.random.permutation(key, inputs.shape[0])
    return rows[order[:num_train]], rows[order[num_train : num_train + num_test]]


def num_test_rows(inputs: str | InputLaw | np.ndarray, num_train: int, num_features: int) -> int:
    """Return how many fresh rows measure the test error; none for Gaussian inputs, where it is an expectation.

    Raises:
        ValueError: an array with too few rows.
    """
    if not isinstance(inputs, np.ndarray):
        return 0 if isinstance(inputs, str) and inputs == "gaussian" else max(2000, num_features)
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

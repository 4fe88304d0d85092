"""Array aliases shared by every room.

Shapes are written with jaxtyping (`Float[Array, "rows units"]`) and are checked while the tests run.
Axis order everywhere: run, step, row, unit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import numpy as np
import numpy.typing

Array: TypeAlias = jax.Array
ArrayLike: TypeAlias = jax.Array | np.typing.ArrayLike
Number: TypeAlias = jax.Array | np.ndarray | float
OptionalArray: TypeAlias = Any  # np.ndarray, or None where a field was not computed
PyTree: TypeAlias = Any
Key: TypeAlias = jax.Array
Progress: TypeAlias = Callable[[float, str], None]

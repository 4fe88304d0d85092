"""What a prediction costs, before it is spent: memory from the arrays it keeps, time from how often they are read.

Every step reads the orthonormal basis twice on all nodes and twice on the sub-nets; the rest is small.
"""

from __future__ import annotations

import functools
import time
from typing import NamedTuple

import jax
import jax.numpy as jnp
import psutil

from dyntheory._precision import double_precision
from dyntheory.gaussian.nodes import NUM_BLOCKS
from dyntheory.law import TeacherStudent
from dyntheory.limit_run import plan
from dyntheory.matrix.limit import num_columns
from dyntheory.matrix.spectral_frame import num_spectral_nodes
from dyntheory.method import GeneralFirstOrderMethod, feature_map_is_linear

DOUBLE = 8
READINGS = 4
SHARE_OF_AVAILABLE = 0.8
PROBE_SHAPE = (64, 2**15)


class Cost(NamedTuple):
    """Cost of one prediction on one node set.

    Args:
        num_nodes: N.
        num_columns: orthonormal directions at the end of the run.
        memory: bytes at the peak, of one solution on N nodes and one on a sub-net.
        seconds: a rough figure for this machine, without compiling.
    """

    num_nodes: int
    num_columns: int
    memory: int
    seconds: float


def prediction_cost(
    law: TeacherStudent,
    method: GeneralFirstOrderMethod,
    *,
    num_steps: int,
    num_nodes: int,
    num_heads: int = 1,
    drops: bool = False,
    has_feature_nodes: bool | None = None,
) -> Cost:
    """Return what `predict` with these arguments takes.

    Args:
        law: the data.
        method: the algorithm.
        num_steps: T.
        num_nodes: N.
        num_heads: draws of the head.
        drops: directions are dropped (`drop_below`); a run then ends when they do not fit half of a sub-net.
        has_feature_nodes: whether the feature side takes nodes too, as `predict` does for optimizers that are not
            linear in gradients and weights; None finds out by probing.

    Example:
        >>> import optax, dyntheory as dt
        >>> method = dt.gradient_descent(dt.MLP(hidden=(4,)), optax.sgd, learning_rate=0.1)
        >>> dt.prediction_cost(dt.TeacherStudent(2.0), method, num_steps=100, num_nodes=2**15).num_columns
        807
    """
    cut, k = plan(num_steps), method.num_units
    columns = num_columns(cut.num_steps, k, law.num_teacher_units, law.num_outputs)
    if drops:
        columns = min(columns, num_nodes // NUM_BLOCKS // 2)
    if has_feature_nodes is None:
        head = method.init_head(jax.random.key(0))
        has_feature_nodes = not feature_map_is_linear(method, head, num_steps=num_steps)
    sides = 1 + has_feature_nodes
    rows = sides * (num_nodes + num_nodes // NUM_BLOCKS)
    growths = -(-cut.num_pieces // max(cut.per_growth, 1))
    # While the basis grows its old and its new array are both there.
    copies = 2.0 - 1.0 / max(growths, 1)
    noise = k * cut.length
    small = sides * (2 * columns**2 + k * cut.num_steps * (columns + k * cut.num_steps))
    frame = 0
    if law.features is not None and not has_feature_nodes:
        # The directions asked about, along every coordinate and spectral node; a solution on a sub-net has its own.
        frame = 2 * columns**2 * num_spectral_nodes(law.features, cut.num_steps) // 4
    memory = DOUBLE * (rows * (copies * columns + noise + 20 * k) + copies * (small + frame))
    read = DOUBLE * READINGS * sides * num_heads * num_nodes * columns * num_steps / 2
    return Cost(num_nodes, columns, int(memory), read / _bandwidth())


def available_memory() -> int:
    """Return the bytes a computation may take by default: most of what is free now."""
    return int(SHARE_OF_AVAILABLE * psutil.virtual_memory().available)


@functools.cache
def _bandwidth() -> float:
    """Return bytes per second of a product with a few columns, measured once."""
    with double_precision():
        basis, few = jnp.ones(PROBE_SHAPE), jnp.ones((16, PROBE_SHAPE[0]))
        product = jax.jit(lambda a, b: a @ b)
        product(few, basis).block_until_ready()
        begin = time.perf_counter()
        for _ in range(3):
            product(few, basis).block_until_ready()
        return 3 * basis.nbytes / (time.perf_counter() - begin)

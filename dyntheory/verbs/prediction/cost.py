"""What a prediction costs, before it is spent: memory from the arrays it keeps, time from how often they are read.

Every step reads the orthonormal basis twice on all nodes and twice on the sub-nets, each time for products with 3.5
columns a unit; the rest is small. Beyond some five units the multiplications take longer than the reading. Correlated
features cost nine passes more over the feature-side directions, which have a coordinate for every spectral node and are
as large on a sub-net as on all nodes.
"""

from __future__ import annotations

import functools
import time

import jax
import jax.numpy as jnp

from dyntheory.gaussian.nodes import NUM_BLOCKS
from dyntheory.ground.checks import check_count
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.precision import double_precision
from dyntheory.matrix.spectral_frame import num_spectral_nodes
from dyntheory.problem.laws.law import TeacherStudent
from dyntheory.problem.methods.linearity import feature_map_is_linear
from dyntheory.problem.methods.method import GeneralFirstOrderMethod
from dyntheory.problem.shape import Shape
from dyntheory.results.cost import Cost
from dyntheory.verbs.prediction.pieces import cut_of

DOUBLE = 8
READINGS = 4
FRAME_READINGS = 9  # bytes of a compiled step over those of the directions, measured: 8.9 to 9.3
PROBE_SHAPE = (64, 2**15)
PROBE_COLUMNS = 16
COLUMNS_PER_UNIT = 3.5  # of one reading of the basis; seven for two


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
        drops: directions are dropped (`drop_below`); a run then ends when they do not fit half of a sub-net, and all
            nodes, which drop less, are taken to keep twice as many.
        has_feature_nodes: whether the feature side takes nodes too, as `predict` does for optimizers that are not
            linear in gradients and weights; None finds out by probing.

    Example:
        >>> import optax, dyntheory as dt
        >>> method = dt.gradient_descent(dt.MLP(hidden=(4,)), optax.sgd, learning_rate=0.1)
        >>> dt.prediction_cost(dt.TeacherStudent(2.0), method, num_steps=100, num_nodes=2**15).num_columns
        807
    """
    check_arguments(prediction_cost, locals())
    num_steps, num_nodes = check_count("num_steps", num_steps, minimum=0), check_count("num_nodes", num_nodes)
    num_heads = check_count("num_heads", num_heads)
    cut, k = cut_of(num_steps, drops=drops), method.num_units
    columns = Shape.of(law, method, cut.num_steps).columns
    if drops:
        columns = min(columns, num_nodes // NUM_BLOCKS)
    if has_feature_nodes is None:
        head = method.init_head(jax.random.key(0))
        has_feature_nodes = not feature_map_is_linear(method, head)
    sides = 1 + has_feature_nodes
    rows = sides * (num_nodes + num_nodes // NUM_BLOCKS)
    growths = -(-cut.num_pieces // max(cut.per_growth, 1))
    # While the basis grows its old and its new array are both there.
    copies = 2.0 - 1.0 / max(growths, 1)
    noise = k * cut.length
    small = sides * (2 * columns**2 + k * cut.num_steps * (columns + k * cut.num_steps))
    frame = 0 if has_feature_nodes else _frame_size(law, k, cut.num_steps)
    memory = DOUBLE * (rows * (copies * columns + noise + 20 * k) + copies * (small + 2 * frame))
    products = max(1.0, COLUMNS_PER_UNIT * k / PROBE_COLUMNS)
    read = READINGS * products * sides * num_nodes * columns + FRAME_READINGS * (1 + NUM_BLOCKS) * frame
    return Cost(num_nodes, columns, int(memory), DOUBLE * num_heads * read * num_steps / 2 / _bandwidth())


def _frame_size(law: TeacherStudent, num_units: int, num_steps: int) -> int:
    """Return how many numbers the feature-side directions of one solution are at the end of a run."""
    if law.features is None:
        return 0
    directions = law.num_teacher_units + num_units * (num_steps + 1)
    return directions**2 * num_spectral_nodes(law.features, num_steps)


@functools.cache
def _bandwidth() -> float:
    """Return bytes per second of a product with a few columns, measured once."""
    with double_precision():
        basis, few = jnp.ones(PROBE_SHAPE), jnp.ones((PROBE_COLUMNS, PROBE_SHAPE[0]))
        product = jax.jit(lambda a, b: a @ b)
        product(few, basis).block_until_ready()
        begin = time.perf_counter()
        for _ in range(3):
            product(few, basis).block_until_ready()
        return 3 * basis.nbytes / (time.perf_counter() - begin)

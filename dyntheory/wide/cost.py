"""What a prediction of the wing takes: memory from the arrays it keeps, time from the products of every step."""

from __future__ import annotations

import functools
import time

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.ground.arrays import ArrayLike
from dyntheory.ground.checks import check_count
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.precision import double_precision
from dyntheory.results.cost import Cost
from dyntheory.wide.data import rows_of
from dyntheory.wide.network import WideNetwork
from dyntheory.wide.run import GROWTH

DOUBLE = 8
PRODUCTS = 4  # with the basis of a layer, for each vector of a step
SQUARES = 6  # matrices in coordinates of two bases, for each hidden matrix
COPIES = 3  # of a basis while it grows; of what every step leaves: step by step, put together, on the device
VECTORS = 12  # on the nodes at a time, for each input
SMALL_STEP = 4e-3  # seconds of a step however small
PROBE = (1024, 4096)


def prediction_cost(
    network: WideNetwork,
    inputs: ArrayLike,
    *,
    num_steps: int,
    num_nodes: int,
    num_outputs: int = 1,
    num_directions: int | None = None,
    is_linear: bool = True,
) -> Cost:
    """Return what `dyntheory.wide.predict` with these arguments takes, at most; JAX itself takes half a gigabyte more.

    How many directions a run needs is known only after it: 20 to 200 for a few inputs, one or two thousand for hundreds
    of them. `provenance["num_directions"]` of a short run, or of one on few nodes, tells; they grow slowly with both.

    Args:
        network: the network.
        inputs: (P, D), of which the number P and the rank count.
        num_steps: T.
        num_nodes: M.
        num_outputs: of the labels.
        num_directions: of a layer, at the end; default the most that there may be.
        is_linear: whether the optimizer is linear in the gradients; others (Adam) keep arrays of nodes by nodes.

    Example:
        >>> import numpy as np, dyntheory as dt
        >>> inputs = np.random.default_rng(0).standard_normal((20, 30))
        >>> cost = dt.wide.prediction_cost(dt.WideNetwork(2), inputs, num_steps=50, num_nodes=2**12, num_directions=500)
        >>> round(cost.memory / 1e6)
        264
    """
    check_arguments(prediction_cost, locals())
    num_steps, num_nodes = check_count("num_steps", num_steps, minimum=0), check_count("num_nodes", num_nodes)
    count, outputs = len(rows_of("inputs", inputs)), check_count("num_outputs", num_outputs)
    most = most_directions(inputs, num_steps, num_nodes, outputs)
    directions = most if num_directions is None else min(most, check_count("num_directions", num_directions))
    memory = memory_of(network.depth, count, outputs, num_steps, num_nodes, directions, is_linear=is_linear)
    flops = 2 * PRODUCTS * network.depth * num_nodes * count * directions
    if not is_linear:
        flops += 4 * (network.depth - 1) * num_nodes**2 * count
    seconds = 2 * (num_steps + 1) * (SMALL_STEP + flops / 2 / _speed())
    return Cost(num_nodes, directions, memory, seconds)


def most_directions(inputs: ArrayLike, num_steps: int, num_nodes: int, num_outputs: int) -> int:
    """Return how many directions a layer may have: each vector of each step once, and no more than nodes tell apart."""
    count, features = np.shape(inputs)
    return min(1 + min(count, features) + num_outputs + 4 * count * (num_steps + 1), num_nodes // 2)


def memory_of(
    depth: int, count: int, num_outputs: int, num_steps: int, num_nodes: int, directions: int, *, is_linear: bool
) -> int:
    """Return bytes of a run with `count` inputs and so many directions in every layer."""
    states, room = num_steps + 1, int(GROWTH * directions)
    bases = COPIES * depth * num_nodes * room
    squares = SQUARES * (depth - 1) * room**2
    side = room if is_linear else num_nodes
    sides = COPIES * 2 * depth * states * count * side
    entries = 0 if is_linear else 4 * (depth - 1) * num_nodes**2
    vectors = VECTORS * depth * count * num_nodes * max(1, num_outputs // 4)
    return DOUBLE * (bases + squares + sides + entries + vectors)


@functools.cache
def _speed() -> float:
    """Return floating-point operations a second of a product with a basis, measured once."""
    with double_precision():
        basis, few = jnp.ones(PROBE), jnp.ones((PROBE[1], 16))
        product = jax.jit(lambda a, b: a @ b)
        product(basis, few).block_until_ready()
        begin = time.perf_counter()
        for _ in range(5):
            product(basis, few).block_until_ready()
        return 5 * 2 * basis.size * 16 / (time.perf_counter() - begin)

"""How many nodes a run with error bars needs: room for its directions on each of the sub-nets."""

from __future__ import annotations

import math

from dyntheory.gaussian.nodes import NUM_BLOCKS
from dyntheory.ground.checks import check_count

DEFAULT_NODES = 2**14
NODES_PER_COLUMN = 6


def choose_num_nodes(wanted: int | None, num_columns: int, *, least_per_column: int = NODES_PER_COLUMN) -> int:
    """Return N, a power of two: what is wanted if it fits, else 2^14 or what the directions ask for.

    Args:
        wanted: what the user asked for, or None.
        num_columns: orthonormal columns at the end of the run, see `dyntheory.problem.shape.Shape.columns`.
        least_per_column: nodes of a sub-net per column below which what is wanted is refused.

    Raises:
        TypeError: not an integer.
        ValueError: not a power of two, or too few nodes for the directions.
    """
    if wanted is None:
        return max(DEFAULT_NODES, _power_of_two(NODES_PER_COLUMN * num_columns))
    wanted = check_count("num_nodes", wanted)
    if wanted & (wanted - 1):
        raise ValueError(f"`num_nodes` must be a power of two, got {wanted}.")
    least = _power_of_two(least_per_column * num_columns)
    if wanted < least:
        raise ValueError(
            f"`num_nodes` must be at least {least} for the {num_columns} directions of this run on each of "
            f"{NUM_BLOCKS} sub-nets, got {wanted}."
        )
    return wanted


def _power_of_two(nodes_of_a_block: int) -> int:
    return 2 ** math.ceil(math.log2(max(NUM_BLOCKS * nodes_of_a_block, 1)))

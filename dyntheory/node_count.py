"""How many nodes a run with error bars needs: room for its directions on each of the sub-nets."""

from __future__ import annotations

import math

from dyntheory._checks import check_count
from dyntheory.gaussian.nodes import NUM_BLOCKS

DEFAULT_NODES = 2**14
NODES_PER_COLUMN = 6


def choose_num_nodes(wanted: int | None, num_columns: int) -> int:
    """Return N, a power of two: what is wanted if it fits, else 2^14 or what the directions ask for.

    Args:
        wanted: what the user asked for, or None.
        num_columns: orthonormal columns at the end of the run, see `dyntheory.matrix.limit.num_columns`.

    Raises:
        TypeError: not an integer.
        ValueError: not a power of two, or too few nodes for the directions.
    """
    least = 2 ** math.ceil(math.log2(NUM_BLOCKS * NODES_PER_COLUMN * num_columns))
    if wanted is None:
        return max(DEFAULT_NODES, least)
    check_count("num_nodes", wanted)
    if wanted & (wanted - 1) or wanted < least:
        raise ValueError(
            f"`num_nodes` must be a power of two of at least {least} for this run ({num_columns} directions on each of "
            f"{NUM_BLOCKS} sub-nets), got {wanted}."
        )
    return wanted

"""What a computation costs, before it is spent."""

from __future__ import annotations

import dataclasses

from dyntheory.ground.storage.saved import Saved


@dataclasses.dataclass(frozen=True)
class Cost(Saved):
    """Cost of one prediction on one node set.

    Args:
        num_nodes: N.
        num_columns: orthonormal directions at the end of the run.
        memory: bytes of arrays at the peak, of one solution on N nodes and one on a sub-net; the process and what it
            compiles take some 0.6 GB more.
        seconds: a rough figure for this machine, without compiling. On correlated features it was 1 to 3 times what a
            run took, and 8 times where their directions stay in the cache.
    """

    num_nodes: int
    num_columns: int
    memory: int
    seconds: float

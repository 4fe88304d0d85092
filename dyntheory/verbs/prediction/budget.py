"""How many nodes a prediction takes: to begin with, next, and at most."""

from __future__ import annotations

import math
from typing import NamedTuple

from dyntheory.gaussian.node_count import choose_num_nodes
from dyntheory.gaussian.nodes import NUM_BLOCKS
from dyntheory.ground.devices import NodeSharding
from dyntheory.problem.shape import Shape
from dyntheory.results.cost import Cost
from dyntheory.verbs.prediction.cost import prediction_cost
from dyntheory.verbs.prediction.wanted import Wanted

LEAST_NODES_PER_COLUMN = 2
CONVERGENCE_RATE = 0.6


def first_num_nodes(num_nodes: int | None, shape: Shape, *, drops: bool) -> int:
    """Return the number of nodes asked for, or what the run asks for; where directions are dropped any will do."""
    return choose_num_nodes(num_nodes, shape.columns, least_per_column=0 if drops else LEAST_NODES_PER_COLUMN)


class Budget(NamedTuple):
    """What may be spent on a prediction.

    Args:
        max_nodes: as asked for.
        max_memory: bytes for one solution on all nodes and one on a sub-net.
    """

    max_nodes: int
    max_memory: int

    @classmethod
    def of(cls, max_nodes: int, max_memory: int, groups: list[NodeSharding] | None, num_heads: int) -> Budget:
        """Return the budget of each of the solutions that are there at the same time."""
        count = 1 if groups is None else len(groups)
        beside = min(count, num_heads) + max(0, count - num_heads) / NUM_BLOCKS
        return cls(max_nodes, int(max_memory / beside))

    def check(self, wanted: Wanted) -> None:
        """Refuse what does not fit.

        Raises:
            ValueError: it needs more memory than there is.
        """
        needed, memory = _cost(wanted), memory_of(wanted)
        if memory > self.max_memory:
            raise ValueError(
                f"This prediction needs about {memory / 1e9:.3g} GB ({wanted.num_nodes} nodes × "
                f"{needed.num_columns} directions) and {self.max_memory / 1e9:.3g} GB may be used: lower `num_nodes` "
                "or num_steps × num_units, spread the nodes over more devices with `mesh`, or raise `max_memory`."
            )

    def next(self, wanted: Wanted, reached: float, rtol: float | None) -> Wanted | None:
        """Return the same on more nodes, or None when the accuracy or the budget is reached."""
        size, most = wanted.num_nodes, self._largest(wanted)
        if rtol is None or reached <= rtol or 2 * size > most or not math.isfinite(reached):
            return None
        doublings = max(1, math.ceil(math.log2(reached / rtol) / CONVERGENCE_RATE))
        return wanted._replace(num_nodes=min(most, size * 2**doublings))

    def _largest(self, wanted: Wanted) -> int:
        """Return the largest number of nodes that `max_nodes` and the memory allow."""
        size = 2 ** math.floor(math.log2(self.max_nodes))
        while size > 1 and memory_of(wanted._replace(num_nodes=size)) > self.max_memory:
            size //= 2
        return size


def _cost(wanted: Wanted) -> Cost:
    return prediction_cost(
        wanted.problem.law,
        wanted.problem.method,
        num_steps=wanted.num_steps,
        num_nodes=wanted.num_nodes,
        drops=wanted.drop_below > 0,
        has_feature_nodes=wanted.has_feature_nodes,
    )


def memory_of(wanted: Wanted) -> int:
    """Return the bytes of one solution on all nodes and one on a sub-net."""
    return _cost(wanted).memory + wanted.recorded_memory

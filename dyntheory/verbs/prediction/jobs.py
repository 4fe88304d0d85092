"""The solutions behind one prediction, as jobs: of each head one on all nodes and one on each sub-net."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Self

import jax
import numpy as np

from dyntheory.dynamics.curves import Curves
from dyntheory.dynamics.loop import Records
from dyntheory.dynamics.observables import Record, structure_of
from dyntheory.gaussian.nodes import NodeSet
from dyntheory.ground.devices import NodeSharding
from dyntheory.verbs.prediction.coordinates import Nets
from dyntheory.verbs.prediction.pieces import LimitProblem, State, solve


class LimitJob(NamedTuple):
    """One solution: of one head, on all nodes or on one sub-net; see `dyntheory.ground.schedule.Job`."""

    name: str
    problem: LimitProblem
    nets: Nets
    test_nodes: NodeSet
    num_steps: int
    record: Record
    sharding: NodeSharding | None
    is_brief: bool = False

    @property
    def size(self) -> int:
        """The number of nodes."""
        return self.nets.num_nodes

    @property
    def text(self) -> str:
        """What it is, for people."""
        return f"{self.size} nodes"

    def solve(self, after_piece: Callable[[State], None], take_up: Callable[[State], State]) -> Curves:
        """Solve it; call inside `double_precision`."""
        return solve(
            self.problem,
            self.nets,
            self.test_nodes,
            num_steps=self.num_steps,
            record=self.record,
            sharding=self.sharding,
            is_brief=self.is_brief,
            after_piece=after_piece,
            take_up=take_up,
        )

    def structure(self) -> Any:
        """Return the structure of a solution: one leaf for every recorded quantity."""
        leaf: Any = np.zeros(())
        law, method, head = self.problem[:3]
        recorded = structure_of(self.record, law, method, head)
        fields: dict[str, Any] = dict.fromkeys(Records._fields, leaf) | {"head": head, "recorded": recorded}
        return jax.tree.structure(Curves(Records(**fields), leaf, leaf))

    def placed(self, sharding: NodeSharding) -> Self:
        """Return the same solution with its nodes spread over these devices."""
        return self._replace(sharding=sharding)

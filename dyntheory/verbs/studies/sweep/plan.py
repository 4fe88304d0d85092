"""What a sweep will do: checked at its corners before anything runs, cut into pieces, and by whom they are solved."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from dyntheory.dynamics.observables import Record
from dyntheory.ground.arrays import Key
from dyntheory.verbs.studies.sweep.answers import Answer, solve_piece
from dyntheory.verbs.studies.sweep.axes import VARIABLES, Axes, labels_of
from dyntheory.verbs.studies.sweep.families import Preparation, cut_in_pieces
from dyntheory.verbs.studies.sweep.points import Points
from dyntheory.verbs.studies.sweep.trained import check_keywords, check_trained, train, trained_pieces

THEORY, SIMULATION = "theory", "simulation"


class Plan(NamedTuple):
    """What is solved.

    Args:
        solve: answers a piece.
        pieces: plain data.
        most_threads: that fit the memory.
        sources: "theory", "simulation" or both; the answers of a point are in this order.
    """

    solve: Callable[[Any], list[Answer]]
    pieces: Sequence[Any]
    most_threads: int
    sources: tuple[str, ...]

    def by_source(self, answers: Sequence[Answer]) -> dict[str, list[Answer]]:
        """Return the answers of all points for each source."""
        return {name: list(answers[place :: len(self.sources)]) for place, name in enumerate(self.sources)}


class Asked(NamedTuple):
    """What was asked of a sweep; see its arguments."""

    axes: Axes
    points: Points
    key: Key
    num_nodes: int | None
    record: Any
    means: Record
    simulation: Mapping[str, Any] | None
    theory: bool

    def plan(self, max_memory: int) -> Plan:
        """Check everything and return the plan; call inside `double_precision`.

        Raises:
            TypeError: as the verbs do.
            ValueError: as the verbs do; nothing asked for.
        """
        corners = [self.axes.points[one] for one in _corners(self.axes)]
        if not self.theory and self.simulation is None:
            raise ValueError("`theory=False` leaves nothing to do: give `simulation` the keywords of `simulate`.")
        for name in self.record or {}:
            if name in VARIABLES:
                raise ValueError(f"`record` cannot have {name!r}: results have a variable of that name.")
        preparation = Preparation(self.points, self.key, self.num_nodes, self.means)
        needed = max(preparation.check(one, max_memory) for one in corners) if self.theory else 1
        if self.simulation is None:
            ready = [preparation.ready(values) for values in self.axes.points]
            pieces = cut_in_pieces(ready, self.key, self.means)
            return Plan(solve_piece, pieces, max(1, max_memory // needed), (THEORY,))
        check_keywords("simulation", self.simulation, compared=self.theory)
        for values in corners:
            check_trained(self.points.problem(values), self.key, self.simulation, self.record)
        points = [self.points.problem(values) for values in self.axes.points]
        theory = {"num_nodes": self.num_nodes, "max_memory": max_memory} if self.theory else None
        trained = trained_pieces(points, self.key, self.simulation, theory, self.record)
        return Plan(train, trained, 1, (THEORY, SIMULATION) if self.theory else (SIMULATION,))

    def said_of_simulation(self) -> dict[str, Any]:
        """Return what joins the provenance of a dataset with trained networks."""
        if self.simulation is None:
            return {}
        plain = (str, int, float, bool, type(None))
        return {"simulation": {n: v if isinstance(v, plain) else repr(v) for n, v in self.simulation.items()}}


def _corners(axes: Axes) -> list[int]:
    """Return points of which everything is checked: for every name one of each label, or those with the ends."""
    chosen = {0}
    for name in axes.names:
        labels = labels_of(name, [point[name] for point in axes.points])
        is_text = labels.dtype.kind == "U"
        chosen |= set(np.unique(labels, return_index=True)[1] if is_text else (labels.argmin(), labels.argmax()))
    return sorted(map(int, chosen))

"""What the memories answer: fixed points branch by branch, a path of iterations, runs of finite size."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from dyntheory.ground.arrays import OptionalArray
from dyntheory.ground.checks import is_concrete
from dyntheory.ground.names import check_name
from dyntheory.ground.pytrees import register_data
from dyntheory.ground.status import Assumptions, Status
from dyntheory.ground.storage.marks import Axes, Coordinate
from dyntheory.ground.storage.saved import Saved

ByBranch = Annotated[np.ndarray, Axes("branch", "point", "point_2", "point_3", least=1)]
AtPoints = Annotated[np.ndarray, Axes("point", "point_2", "point_3", least=0)]
ByStep = Annotated[OptionalArray, Axes("step")]
ByRun = Annotated[OptionalArray, Axes("run", "step")]


class Solution(NamedTuple):
    """One branch, arrays in the shape of the load; NaN where it is no solution; see `FixedPoints`."""

    overlap: Any
    square: Any
    field_ratio: Any
    bit_error: Any
    free_energy: Any
    replicon: Any


@register_data
@dataclasses.dataclass(frozen=True)
class FixedPoints(Saved):
    """All stable solutions, one branch beside the other, and which of them is that of equilibrium.

    Arrays have the branches in front and then the shape of load and temperature; NaN where a branch is no solution.

    Args:
        names: of the branches.
        overlap: m, mean spin along what was stored or sent.
        square: q, mean square of the mean spins; m where the noise is known.
        field_ratio: y, mean over standard deviation of the field on a spin, whose sign is wrong in Φ(−y) of all cases.
        bit_error: Φ(−y).
        free_energy: per spin; of detection the mutual information of bit and signal in nats, which differs by a number.
        replicon: positive where the solution is stable against broken replica symmetry.
        best: (…) number of the branch of least free energy, −1 where there is none.
        assumptions: what this rests on.
    """

    names: tuple[str, ...] = dataclasses.field(metadata={"static": True})
    overlap: ByBranch
    square: ByBranch
    field_ratio: ByBranch
    bit_error: ByBranch
    free_energy: ByBranch
    replicon: ByBranch
    best: AtPoints
    assumptions: Assumptions | None = dataclasses.field(default=None, metadata={"static": True})

    def __getitem__(self, name: str) -> Solution:
        """Return one branch.

        Raises:
            ValueError: no branch has this name.
        """
        index = self.names.index(check_name("branch", name, self.names))
        return Solution(*(getattr(self, field)[index] for field in Solution._fields))

    @property
    def equilibrium(self) -> Solution:
        """The branch of least free energy, point by point."""
        xp = np if is_concrete(self.best) else jnp

        def chosen(field: str) -> Any:
            branches = list(getattr(self, field))
            return xp.select([self.best == number for number in range(len(branches))], branches, xp.nan)

        return Solution(*map(chosen, Solution._fields))


@register_data
@dataclasses.dataclass(frozen=True)
class RecallPath(Saved):
    """Order parameters of message passing before each step, the limit of many spins.

    Args:
        steps: 0 … T.
        overlap: (T+1,) m_t.
        square: (T+1,) q_t.
        field_ratio: (T+1,) y_t of the field that made the spins of step t; NaN at the start, which is given.
        bit_error: (T+1,) Φ(−y_t); of the start, (1 − m₀)/2.
    """

    steps: Annotated[np.ndarray, Coordinate("step")]
    overlap: ByStep
    square: ByStep
    field_ratio: ByStep
    bit_error: ByStep


@dataclasses.dataclass(frozen=True)
class RecallRuns(Saved):
    """Means over runs of finite size.

    Args:
        steps: 0 … T, sweeps over all spins or steps of message passing.
        overlap: (T+1,) mean over spins of spin (or mean spin) times what was stored.
        overlap_error: (T+1,) standard error of the mean over runs.
        per_run: (runs, T+1) overlaps of single runs.
        bit_error: (T+1,) share of spins whose sign is wrong.
        bit_error_error: (T+1,) its standard error.
        decided_error: share of wrong signs of the spins averaged over the second half of the sweeps; None for message
            passing, whose spins are averages.
        decided_error_error: its standard error.
        still: share of runs that came to rest: no spin moved in the last sweep, or none by more than 1e-6.
        size: number of spins.
        status: how it ended.
    """

    steps: Annotated[np.ndarray, Coordinate("step")]
    overlap: ByStep
    overlap_error: ByStep
    per_run: ByRun
    bit_error: ByStep
    bit_error_error: ByStep
    decided_error: float | None
    decided_error_error: float | None
    still: float
    size: int
    status: Status = dataclasses.field(default_factory=Status)

    @property
    def num_runs(self) -> int:
        """Number of runs."""
        return len(self.per_run)

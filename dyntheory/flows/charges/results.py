"""The result of the wing: paths of electrons, and how each of them ended."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

import numpy as np

from dyntheory.ground.status import Assumptions, Status
from dyntheory.ground.storage.marks import Axes, Coordinate
from dyntheory.ground.storage.saved import Saved

CONVERGED, STUCK, SADDLE, MOVING, DIVERGED = "converged", "stuck", "saddle", "moving", "diverged"


@dataclasses.dataclass(frozen=True)
class ChargePaths(Saved):
    """Electrons along time, from one or several starts, or of several runs of SGD.

    Endings are "converged" (the loss is gone), "stuck" (the force is gone and no direction leads down: a bad minimum,
    or a plateau), "saddle" (the force is gone, a direction leads down), "moving" (give it more time: in as long again,
    or in |θ|²/E f² where that is longer, the loss would change by more than a thousandth), "diverged".

    Args:
        times: (T,) learning rate times steps where there are steps.
        positions: θ, (runs, T, m, d); runs are starts where nothing is random.
        charges: a, (runs, T, m).
        loss: (runs, T) population loss, without noise of labels.
        force_norm: (runs, T) norm of its gradient in what is trained; the loss falls at the rate of its square.
        distances: (runs, T, m) of every electron to the nearest proton; w and −w count as one where they are one unit.
        matching: (runs, m) proton of every electron when each proton takes one, nearest in sum at the last time; −1 for
            electrons that are too many.
        matched_distance: (runs, m) to that proton; infinite where there is none.
        least_curvature: (runs,) smallest eigenvalue of the Hessian at the last time, in what is trained; NaN where the
            potential has none.
        protons: (n, d).
        proton_charges: (n,).
        endings: one for every run.
        status: "diverged" or "unresolved" where numbers are not to be trusted, with what to change.
        assumptions: what it rests on.
        provenance: what was asked; `position_error` is the largest numerical error of a position.
    """

    times: Annotated[np.ndarray, Coordinate("time")]
    positions: Annotated[np.ndarray, Axes("run", "time", "electron", "feature")]
    charges: Annotated[np.ndarray, Axes("run", "time", "electron")]
    loss: Annotated[np.ndarray, Axes("run", "time")]
    force_norm: Annotated[np.ndarray, Axes("run", "time")]
    distances: Annotated[np.ndarray, Axes("run", "time", "electron")]
    matching: Annotated[np.ndarray, Axes("run", "electron")]
    matched_distance: Annotated[np.ndarray, Axes("run", "electron")]
    least_curvature: Annotated[np.ndarray, Axes("run")]
    protons: Annotated[np.ndarray, Axes("proton", "feature")]
    proton_charges: Annotated[np.ndarray, Axes("proton")]
    endings: tuple[str, ...]
    status: Status = dataclasses.field(default_factory=Status)
    assumptions: Assumptions | None = None
    provenance: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def num_runs(self) -> int:
        """Number of starts, or of runs."""
        return len(self.endings)

    @property
    def num_converged(self) -> int:
        """How many of them learned the teacher."""
        return self.endings.count(CONVERGED)

"""What a finished prediction rests on: no theorem where the run leaves the scale that theorems are about.

The published theorem holds at a fixed number of steps, with constants that grow with every step. A run that diverges,
whose loss or whose weights grow a hundredfold, has left what they say of any finite network.
"""

from __future__ import annotations

import numpy as np

from dyntheory.ground.status import Assumptions, Outcome
from dyntheory.results.trajectory import Trajectory

GROWTH = 100.0  # of the loss, and of root mean square weights
LITTLE = "a theorem at fixed steps, with constants that grow along them, says little of finite networks"


def supported(result: Trajectory) -> Assumptions | None:
    """Return the assumptions of a prediction, lowered where the run does not stay where theorems hold."""
    before = result.assumptions
    if before is None or before.level != "theorem":
        return before
    if result.status.code == Outcome.DIVERGED:
        return Assumptions("heuristic", "the run diverges, and a theorem at fixed steps says little of finite networks")
    loss = np.asarray(result.train_loss, dtype=float)
    if np.nanmax(loss) > GROWTH * loss[0] > 0.0:
        return Assumptions("heuristic", f"the loss grows {np.nanmax(loss) / loss[0]:.0f}-fold: {LITTLE}")
    overlap = np.asarray(result.weight_overlap, dtype=float)
    powers = np.trace(overlap, axis1=1, axis2=2) / overlap.shape[-1]
    teacher = np.asarray(result.provenance.get("law", {}).get("teacher_second_moment", [[1.0]]), dtype=float)
    scale = max(1.0, float(powers[0]), float(np.diag(teacher).max()))
    grown = np.sqrt(float(np.nanmax(powers)) / scale)
    return Assumptions("heuristic", f"weights grow {grown:.0f}-fold: {LITTLE}") if grown > GROWTH else before

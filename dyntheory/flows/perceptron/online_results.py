"""The curve of a perceptron that learns from a teacher, one fresh example after the other."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import numpy as np

from dyntheory.ground.status import Status
from dyntheory.ground.storage.marks import Axes, Coordinate, Stacked
from dyntheory.ground.storage.saved import Saved

AtTimes = Annotated[np.ndarray, Axes("time")]


@dataclasses.dataclass(frozen=True)
class OnlineCurve(Saved):
    """A learning curve against α, the number of examples per feature.

    Args:
        times: α.
        test_error: probability of a wrong answer on a fresh example, angle between student and teacher over π.
        overlap: cosine of that angle.
        length: |J|/√d.
        standard_error: of a prediction the error of the solver, of simulations that of the mean; None of a single run.
        per_run: single runs of a simulation.
        status: how it ended.
    """

    times: Annotated[np.ndarray, Coordinate("time")]
    test_error: AtTimes
    overlap: AtTimes
    length: AtTimes
    standard_error: OnlineCurve | None = None
    per_run: Annotated[OnlineCurve | None, Stacked("run")] = None
    status: Status = dataclasses.field(default_factory=Status)

"""The result of the wing: order parameters and errors of one pass over the data, on a grid of times α = steps/d."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

import numpy as np

from dyntheory.ground.arrays import OptionalArray
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.status import Assumptions, Status
from dyntheory.ground.storage.marks import Axes, Coordinate, Stacked
from dyntheory.ground.storage.saved import Saved

CURVES = ("test_error", "excess_error")
ORDER_PARAMETERS = ("weight_overlap", "teacher_overlap", "teacher_moment", "head")
MEASURED = (*CURVES, *ORDER_PARAMETERS)

OptionalCurve = Annotated[OptionalArray, Axes("time")]


@dataclasses.dataclass(frozen=True)
class OnlineTrajectory(Saved):
    """One pass over the data at times α = steps/d.

    Args:
        times: α, (T,).
        test_error: E(F − y)² on a fresh sample, label noise included and without ½, as everywhere in the library, (T,).
        excess_error: E(F − φ)², without the noise, (T,).
        weight_overlap: Q, mean of w wᵀ over features, (T, k, k).
        teacher_overlap: R, mean of w w*ᵀ, (T, k, r).
        teacher_moment: T, mean of w* w*ᵀ, (r, r).
        head: output weights a, (T, k).
        standard_error: the same structure: numerical error of a prediction, sampling error of a mean over runs; None
            for a single run.
        status: how it ended.
        assumptions: what it rests on.
        provenance: kind ("prediction" or "simulation"), versions, sizes, rates, how averages were taken.
        per_run: single runs of a simulation, or single starts of a prediction.
        num_diverged: how many runs diverged, None for a prediction.
    """

    times: Annotated[np.ndarray, Coordinate("time")]
    test_error: OptionalCurve = None
    excess_error: OptionalCurve = None
    weight_overlap: Annotated[OptionalArray, Axes("time", "unit", "unit")] = None
    teacher_overlap: Annotated[OptionalArray, Axes("time", "unit", "teacher")] = None
    teacher_moment: Annotated[OptionalArray, Axes("teacher", "teacher")] = None
    head: Annotated[OptionalArray, Axes("time", "unit")] = None
    standard_error: OnlineTrajectory | None = None
    status: Status = dataclasses.field(default_factory=Status)
    assumptions: Assumptions | None = None
    provenance: dict[str, Any] = dataclasses.field(default_factory=dict)
    per_run: Annotated[OnlineTrajectory | None, Stacked("run")] = None
    num_diverged: int | None = None

    @property
    def generalization_error(self) -> np.ndarray:
        """ε_g = ½ E(F − φ)², the error of the physics papers: half of `excess_error`."""
        return 0.5 * np.asarray(self.excess_error)

    @property
    def specialisation(self) -> np.ndarray:
        """(T,) how unlike the students' overlaps with the teacher's units are: zero on a symmetric plateau.

        Root mean square over students of the spread of |R_im|/√(Q_ii T_mm) over m.
        """
        students = np.einsum("...ii->...i", self.weight_overlap)[..., :, None]
        teachers = np.einsum("...mm->...m", self.teacher_moment)[..., None, None, :]
        sizes = np.sqrt(students * teachers)
        cosines = np.abs(self.teacher_overlap) / np.where(sizes > 0, sizes, np.inf)
        return np.sqrt(np.mean(np.var(cosines, axis=-1), axis=-1))

    def z_scores(self, theory: OnlineTrajectory) -> dict[str, np.ndarray]:
        """Return (this − theory) over both standard errors, for errors, overlaps and head where both have them.

        Where both have no error and agree to rounding the score is zero.

        Raises:
            ValueError: other times, or a result without standard errors.
        """
        check_arguments(OnlineTrajectory.z_scores, locals())
        if theory.times.shape != self.times.shape or not np.allclose(theory.times, self.times, rtol=1e-9, atol=1e-12):
            raise ValueError("`theory` must have the times of this result: pass the same `time` to both.")
        if self.standard_error is None:
            raise ValueError("There are no standard errors: simulate two runs or more.")
        found = {}
        for name in (*CURVES, "weight_overlap", "teacher_overlap", "head"):
            if getattr(self, name) is None or getattr(theory, name) is None:
                continue
            off = getattr(self, name) - getattr(theory, name)
            bars = [getattr(one.standard_error, name) for one in (self, theory) if one.standard_error is not None]
            bar = np.sqrt(sum(np.square(one) for one in bars if one is not None))
            rounding = 1e-12 * np.maximum(1.0, np.abs(getattr(theory, name)))
            found[name] = np.where(np.abs(off) <= rounding, 0.0, off / np.where(bar > 0, bar, 1e-300))
        return found

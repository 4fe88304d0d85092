"""What one run of the loop says: its records, its test metrics, and the fields of a result that follow from them."""

from __future__ import annotations

from typing import Any, NamedTuple

from jaxtyping import Float

from dyntheory.dynamics.loop import Records
from dyntheory.dynamics.observables import ROWS
from dyntheory.ground.arrays import Array


class Curves(NamedTuple):
    """One run, of the limit or of finite size; axes before the states are runs."""

    records: Records
    test_loss: Float[Array, "*runs states"]
    test_error: Float[Array, "*runs states"]

    def reported(self, num_teacher_units: int) -> dict[str, Any]:
        """Return the fields of a `Trajectory`, whatever the leading axes.

        The estimation error takes the teacher's power of the same rows: of the nodes, or of the run.
        """
        gram, r = self.records.gram, num_teacher_units
        return {
            "train_loss": self.records.train_loss,
            "test_loss": self.test_loss,
            "train_error": self.records.train_error,
            "test_error": self.test_error,
            "teacher_overlap": gram[..., r:, :r],
            "weight_overlap": gram[..., r:, r:],
            "estimation_error": _squared_distance(gram, r) if has_estimation_error(gram.shape[-1] - r, r) else None,
            "head": self.records.head,
            "recorded": {name: path for name, path in self.records.recorded.items() if name not in ROWS} or None,
        }


def has_estimation_error(num_units: int, num_teacher_units: int) -> bool:
    """Return whether w and w* can be subtracted: as many units as teacher directions."""
    return num_units == num_teacher_units


def _squared_distance(gram: Any, r: int) -> Any:
    """Return tr E(w − w*)(w − w*)ᵀ from the second moments of (w*, w)."""
    parts = (gram[..., r:, r:], gram[..., :r, :r], gram[..., r:, :r])
    power, teacher, crossed = (part.trace(axis1=-2, axis2=-1) for part in parts)
    return power + teacher - 2 * crossed

"""Which finite matrix is cheaper: counts of numbers read from memory, the work that decides on today's machines."""

from __future__ import annotations

from typing import NamedTuple

from dyntheory.finite_run import Sizes

MATRICES = ("auto", "dense", "revealed")
NORMAL_COST = 20  # drawing one normal number, in units of reading one
BASIS_PASSES = 7  # passes over the growing basis per step, on either side


class RunShape(NamedTuple):
    """What decides the cost of a run."""

    sizes: Sizes
    num_steps: int
    num_units: int
    num_teacher_units: int

    @property
    def num_directions(self) -> int:
        """Basis rows on each side at the end of a revealed run."""
        return self.num_teacher_units + self.num_units * (2 * self.num_steps + 1)

    def entries(self, matrix: str) -> int:
        """Return how many numbers a run keeps in memory."""
        samples, test, features = self.sizes
        if matrix == "dense":
            return (samples + test) * features
        return (samples + features) * self.num_directions

    def cost(self, matrix: str) -> int:
        """Return how many numbers a run reads, drawing included."""
        if matrix == "dense":
            return self.entries(matrix) * (NORMAL_COST + 2 * self.num_steps)
        points = self.sizes.num_samples + self.sizes.num_features
        drawn = NORMAL_COST * points * self.num_units * (self.num_steps + 1)
        return drawn + BASIS_PASSES * self.entries(matrix) * max(self.num_steps, 1) // 2


def choose_matrix(matrix: str, inputs: str, shape: RunShape) -> str:
    """Return "dense" or "revealed".

    Raises:
        ValueError: "revealed" is asked for inputs that are not Gaussian.
    """
    if matrix == "revealed" and inputs != "gaussian":
        raise ValueError(
            f'`matrix="revealed"` has the law of Gaussian inputs; for inputs={inputs!r} pass matrix="dense".'
        )
    if matrix != "auto":
        return matrix
    if inputs != "gaussian":
        return "dense"
    return min(("dense", "revealed"), key=shape.cost)

"""What decides how large a computation is: the numbers behind a run in the limit, and the sizes of a finite one."""

from __future__ import annotations

from typing import NamedTuple

from dyntheory.problem.laws.law import TeacherStudent
from dyntheory.problem.methods.method import GeneralFirstOrderMethod


class Shape(NamedTuple):
    """Shape of a run in the limit; all that it needs is counted from it.

    Args:
        num_steps: T.
        num_units: k.
        num_teacher_units: r.
        num_outputs: numbers in one label.
        sample_noise: uniforms of the sample map, a row and step.
        feature_noise: the same of the feature map.
        has_spectrum: whether features are correlated.
    """

    num_steps: int
    num_units: int
    num_teacher_units: int
    num_outputs: int = 1
    sample_noise: int = 0
    feature_noise: int = 0
    has_spectrum: bool = False

    @classmethod
    def of(cls, law: TeacherStudent, method: GeneralFirstOrderMethod, num_steps: int) -> Shape:
        """Return the shape of a run of that many steps."""
        return cls(
            num_steps,
            method.num_units,
            law.num_teacher_units,
            law.num_outputs,
            method.sample_noise,
            method.feature_noise,
            law.features is not None,
        )

    @property
    def first_sample_dimensions(self) -> int:
        """Coordinates of a sample before the first step: z, ξ, k innovations."""
        return self.num_teacher_units + self.num_outputs + self.num_units

    @property
    def sample_dimensions(self) -> int:
        """Coordinates of a sample: those before the first step, then k innovations and the uniforms of every step."""
        return self.first_sample_dimensions + (self.num_units + self.sample_noise) * self.num_steps

    @property
    def first_feature_dimensions(self) -> int:
        """Coordinates of a feature before the first step: the eigenvalue if features are correlated, and (w*, w⁰)."""
        return self.has_spectrum + self.num_teacher_units + self.num_units

    @property
    def feature_dimensions(self) -> int:
        """Coordinates of a feature: those first, k innovations and the uniforms of every step, k innovations more."""
        steps = (self.num_units + self.feature_noise) * self.num_steps
        return self.first_feature_dimensions + steps + self.num_units

    @property
    def test_dimensions(self) -> int:
        """Coordinates of a test sample: (z, h), and ξ last."""
        return self.num_teacher_units + self.num_units + self.num_outputs

    @property
    def columns(self) -> int:
        """Orthonormal columns that nodes carry at the end of a run, on either side about as many."""
        return 1 + self.first_sample_dimensions + 2 * self.num_units * self.num_steps


class Sizes(NamedTuple):
    """Sizes of a finite run; no test rows means Gaussian inputs, whose population error needs none."""

    num_samples: int
    num_test: int
    num_features: int

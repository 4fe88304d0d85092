"""What the means of classes add to the answers of a matrix, for laws whose inputs know their labels.

Reference: `mignacco2020role`, see `dyntheory.problem.laws.mixture`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from dyntheory.ground.arrays import Array, Number


class ClassMeans(NamedTuple):
    """Rows of X have means s W* y/√d; `separation` s is None where they have none."""

    separation: Number | None
    labels: Array
    teacher_weights: Array
    samples_per_feature: Array

    def of_samples(self, matrix: Any, weights: Array) -> Array | float:
        """Return s y (W*ᵀ W/d), what they add to X W/√d."""
        if self.separation is None:
            return 0.0
        overlaps = matrix.column_gram(self.teacher_weights, weights)
        return self.separation * self._by_class() @ overlaps

    def of_features(self, matrix: Any, g: Array) -> Array | float:
        """Return s α W* mean_i y_i g_iᵀ, what they add to Xᵀ g/√d."""
        if self.separation is None:
            return 0.0
        moments = matrix.row_mean(self._by_class()[:, :, None] * g[:, None, :])
        return self.separation * self.samples_per_feature * self.teacher_weights @ moments

    def _by_class(self) -> Array:
        return self.labels.reshape(-1, self.teacher_weights.shape[1])

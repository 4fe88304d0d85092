"""Formulas of the field with no algorithm to run: one theory a file."""

from dyntheory.closed_forms.compressed_sensing import RecoveryThreshold, compressed_sensing_threshold
from dyntheory.closed_forms.lasso import LassoRisk, ThresholdingPath, lasso, lasso_state_evolution
from dyntheory.closed_forms.mei_montanari import mei_montanari_excess
from dyntheory.closed_forms.random_features import (
    HermiteCoefficients,
    RandomFeaturesRisk,
    hermite_coefficients,
    random_features,
)

__all__ = [
    "HermiteCoefficients",
    "LassoRisk",
    "RandomFeaturesRisk",
    "RecoveryThreshold",
    "ThresholdingPath",
    "compressed_sensing_threshold",
    "hermite_coefficients",
    "lasso",
    "lasso_state_evolution",
    "mei_montanari_excess",
    "random_features",
]

"""Kernels of wide networks: what they predict without training, and what a finite network's tangent kernel says.

`dyntheory.kernels.bridge` runs one problem both ways, by state evolution and by its tangent kernel.
"""

from dyntheory.kernels.empirical import empirical_ntk
from dyntheory.kernels.empirical_products import ntk_product
from dyntheory.kernels.evolution import KernelEvolution, kernel_evolution
from dyntheory.kernels.kernels import Kernels
from dyntheory.kernels.learning_curves import (
    LearningCurve,
    Spectrum,
    learning_curve,
    overfitting_kind,
    power_law,
    spectrum_of,
)
from dyntheory.kernels.minibatch import MinibatchMoments, sgd_moments
from dyntheory.kernels.other_losses import LossPath, train_on_loss
from dyntheory.kernels.posterior import posterior
from dyntheory.kernels.solvers import Solution, solve
from dyntheory.kernels.trained import Prediction, TrainedKernel
from dyntheory.kernels.training import train

__all__ = [
    "KernelEvolution",
    "Kernels",
    "LearningCurve",
    "LossPath",
    "MinibatchMoments",
    "Prediction",
    "Solution",
    "Spectrum",
    "TrainedKernel",
    "empirical_ntk",
    "kernel_evolution",
    "learning_curve",
    "ntk_product",
    "overfitting_kind",
    "posterior",
    "power_law",
    "sgd_moments",
    "solve",
    "spectrum_of",
    "train",
    "train_on_loss",
]

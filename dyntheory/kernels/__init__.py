"""Kernels of wide networks: what they predict without training, and what a finite network's tangent kernel says."""

from dyntheory.kernels.kernels import Kernels
from dyntheory.kernels.minibatch import MinibatchMoments, sgd_moments
from dyntheory.kernels.posterior import posterior
from dyntheory.kernels.solvers import Solution, solve
from dyntheory.kernels.trained import Prediction, TrainedKernel
from dyntheory.kernels.training import train

__all__ = [
    "Kernels",
    "MinibatchMoments",
    "Prediction",
    "Solution",
    "TrainedKernel",
    "posterior",
    "sgd_moments",
    "solve",
    "train",
]

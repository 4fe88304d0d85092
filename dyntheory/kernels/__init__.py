"""Infinitely wide networks and tangent kernels.

An architecture described once is a finite network and its two kernels (`serial`, `dense`, `relu`, …); `empirical_ntk`
gives the tangent kernel of any network, `train` what training does to it, `learning_curve` what it learns from n
samples. Conventions: the kernel of inputs is ⟨x, x′⟩/d, a linear layer is z = σ_w/√fan_in · W h + σ_b b, kernels are
per output unit, and positions stand before channels. `dyntheory.kernels.bridge` runs one problem both ways, by state
evolution and by its tangent kernel.
"""

from dyntheory.kernels.activations import (
    abs,
    cos,
    elementwise,
    erf,
    exp,
    gaussian,
    gelu,
    hermite,
    leaky_relu,
    monomial,
    polynomial,
    rbf,
    relu,
    sigmoid_like,
    sign,
    sin,
)
from dyntheory.kernels.attention_layer import attention
from dyntheory.kernels.combinators import add, concatenate, residual, serial
from dyntheory.kernels.convolution import conv, flatten
from dyntheory.kernels.empirical import empirical_ntk
from dyntheory.kernels.empirical_products import ntk_product
from dyntheory.kernels.evolution import KernelEvolution, kernel_evolution
from dyntheory.kernels.gaussian_process import posterior
from dyntheory.kernels.kernel_pair import Kernels
from dyntheory.kernels.layer import Layer
from dyntheory.kernels.learning_curves import LearningCurve, learning_curve, overfitting_kind
from dyntheory.kernels.linear import dense, identity
from dyntheory.kernels.minibatch import MinibatchMoments, sgd_moments
from dyntheory.kernels.pooling import average_pool, global_average_pool, global_sum_pool, sum_pool
from dyntheory.kernels.regularization import dropout, layer_norm
from dyntheory.kernels.solvers import Solution, solve
from dyntheory.kernels.spectra import KernelSpectrum as Spectrum
from dyntheory.kernels.spectra import kernel_spectrum, power_law, spectrum_of
from dyntheory.kernels.tiling import tiled_kernel
from dyntheory.kernels.trained import Prediction, TrainedKernel
from dyntheory.kernels.training import train
from dyntheory.kernels.training_on_loss import LossPath, train_on_loss

__all__ = [
    "KernelEvolution",
    "Kernels",
    "Layer",
    "LearningCurve",
    "LossPath",
    "MinibatchMoments",
    "Prediction",
    "Solution",
    "Spectrum",
    "TrainedKernel",
    "abs",
    "add",
    "attention",
    "average_pool",
    "concatenate",
    "conv",
    "cos",
    "dense",
    "dropout",
    "elementwise",
    "empirical_ntk",
    "erf",
    "exp",
    "flatten",
    "gaussian",
    "gelu",
    "global_average_pool",
    "global_sum_pool",
    "hermite",
    "identity",
    "kernel_evolution",
    "kernel_spectrum",
    "layer_norm",
    "leaky_relu",
    "learning_curve",
    "monomial",
    "ntk_product",
    "overfitting_kind",
    "polynomial",
    "posterior",
    "power_law",
    "rbf",
    "relu",
    "residual",
    "serial",
    "sgd_moments",
    "sigmoid_like",
    "sign",
    "sin",
    "solve",
    "spectrum_of",
    "sum_pool",
    "tiled_kernel",
    "train",
    "train_on_loss",
]

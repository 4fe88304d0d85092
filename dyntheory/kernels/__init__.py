"""Infinitely wide networks: an architecture described once is a finite network and its two kernels.

Conventions: the kernel of inputs is ⟨x, x′⟩/d, a linear layer is z = σ_w/√fan_in · W h + σ_b b, kernels are per output
unit, and positions stand before channels.
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
from dyntheory.kernels.attention import attention
from dyntheory.kernels.combinators import add, concatenate, residual, serial
from dyntheory.kernels.convolution import conv, flatten
from dyntheory.kernels.kernels import Kernels
from dyntheory.kernels.layer import Layer
from dyntheory.kernels.linear import dense, identity
from dyntheory.kernels.pooling import average_pool, global_average_pool, global_sum_pool, sum_pool
from dyntheory.kernels.regularization import dropout, layer_norm
from dyntheory.kernels.tiling import tiled_kernel

__all__ = [
    "Kernels",
    "Layer",
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
    "erf",
    "exp",
    "flatten",
    "gaussian",
    "gelu",
    "global_average_pool",
    "global_sum_pool",
    "hermite",
    "identity",
    "layer_norm",
    "leaky_relu",
    "monomial",
    "polynomial",
    "rbf",
    "relu",
    "residual",
    "serial",
    "sigmoid_like",
    "sign",
    "sin",
    "sum_pool",
    "tiled_kernel",
]

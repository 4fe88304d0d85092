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
from dyntheory.kernels.combinators import add, concatenate, residual, serial
from dyntheory.kernels.kernels import Kernels
from dyntheory.kernels.layer import Layer
from dyntheory.kernels.linear import dense, identity

__all__ = [
    "Kernels",
    "Layer",
    "abs",
    "add",
    "concatenate",
    "cos",
    "dense",
    "elementwise",
    "erf",
    "exp",
    "gaussian",
    "gelu",
    "hermite",
    "identity",
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
]

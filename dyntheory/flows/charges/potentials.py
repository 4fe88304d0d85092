"""Potentials: what a pair of units knows of each other, Φ(θ, w) = E[σ(θ, x) σ(w, x)] over inputs x.

A potential is data. Numbers stand in `parameters` and go into programs as arguments, so one program serves every gain,
screening length or series of the same length.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from dyntheory.ground.arrays import Array, Key, PyTree

Between = Callable[[PyTree, Array, Array], Array]
Units = Callable[[PyTree, Array, Array], Array]
Draw = Callable[[PyTree, Key, tuple[int, int]], Array]


def normal_inputs(parameters: PyTree, key: Key, shape: tuple[int, int]) -> Array:
    """Return standard normal inputs, (batch, d)."""
    del parameters
    return jax.random.normal(key, shape)


class Potential(NamedTuple):
    """How two units of weights θ and w repel or attract each other.

    Args:
        name: what it is called.
        value: Φ between all rows, (parameters, (p, d), (q, d)) -> (p, q).
        gradient: ∇₁Φ, the gradient in the first argument, -> (p, q, d).
        parameters: numbers of both.
        units: (parameters, weights (p, d), inputs (batch, ·)) -> outputs (batch, p), a network whose potential this is;
            None where no gradient of samples has the population's as its mean.
        draw: (parameters, key, (batch, d)) -> the inputs of that network; default standard normal.
        on_sphere: whether it is a potential of directions: weights are unit vectors and stay so.
        symmetry: "even" if w and −w are the same unit, "odd" if they are opposite ones, else "none".
        screening: λ where ΔΦ = λΦ away from w, None elsewhere.
        is_smooth: whether the force is continuous where two charges meet.
        error: where Φ is a truncated series of σ, what that leaves out of E σ² or of E σ′², relative to it; else 0.
        num_features: d, where Φ is that potential in d dimensions only, None elsewhere.
        reach: (parameters, squared norms (p,)) -> that bound for weights of any norm, or None.
    """

    name: str
    value: Between
    gradient: Between
    parameters: PyTree = ()
    units: Units | None = None
    draw: Draw = normal_inputs
    on_sphere: bool = False
    symmetry: str = "none"
    screening: float | None = None
    is_smooth: bool = True
    error: float = 0.0
    num_features: int | None = None
    reach: Callable[[PyTree, Array], Array] | None = None


def ridge_units(function: Callable[[PyTree, Array], Array]) -> Units:
    """Return units σ(θ·x) of a function σ(parameters, z)."""

    def units(parameters: PyTree, weights: Array, inputs: Array) -> Array:
        return function(parameters, jnp.matmul(inputs, weights.T))

    return units

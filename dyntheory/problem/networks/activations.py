"""Activations by name, with what the theory needs to know of each: is it smooth?

`smooth` means four bounded derivatives, the assumption of the published theorem
(Han & Imaizumi 2025, `han2025precise`); None means nobody said. `has_kink` means that the derivative jumps: then
derivatives through a prediction are refused (`dyntheory.dynamics.differentiation`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from dyntheory.ground.arrays import Array
from dyntheory.ground.elementwise import check_elementwise
from dyntheory.ground.names import check_name
from dyntheory.ground.smoothness import known_kink


@dataclasses.dataclass(frozen=True)
class Activation:
    """A scalar function applied to every unit."""

    name: str
    function: Callable[[Array], Array]
    smooth: bool | None = None
    has_kink: bool | None = None

    def __repr__(self) -> str:
        return self.name

    def __call__(self, preactivation: Array) -> Array:
        """Return the function of every entry."""
        return self.function(preactivation)

    @property
    def is_kinked(self) -> bool | None:
        """Whether the derivative jumps; None when nobody said."""
        return known_kink(self.has_kink, self.smooth)


def _linear(x: Array) -> Array:
    return x


def _gelu(x: Array) -> Array:
    return jax.nn.gelu(x, approximate=False)


def _leaky_relu(x: Array) -> Array:
    return jax.nn.leaky_relu(x, negative_slope=0.1)


ACTIVATIONS = {
    activation.name: activation
    for activation in (
        Activation("linear", _linear, True),
        Activation("tanh", jnp.tanh, True),
        Activation("erf", jax.scipy.special.erf, True),
        Activation("gelu", _gelu, True),
        Activation("sigmoid", jax.nn.sigmoid, True),
        Activation("softplus", jax.nn.softplus, True),
        Activation("silu", jax.nn.silu, True),
        Activation("sin", jnp.sin, True),
        Activation("quadratic", jnp.square, False, has_kink=False),
        Activation("relu", jax.nn.relu, False),
        Activation("leaky_relu", _leaky_relu, False),
        Activation("abs", jnp.abs, False),
        Activation("sign", jnp.sign, False),
    )
}


def resolve_activation(activation: str | Callable[[Array], Array] | Activation) -> Activation:
    """Return the activation of that name, or wrap a callable.

    Raises:
        TypeError: a function that is not written in JAX.
        ValueError: the name is not known, or the function's value at an entry depends on other entries (softmax).
    """
    if isinstance(activation, Activation):
        if ACTIVATIONS.get(activation.name) is not activation:
            check_elementwise("activation", activation.function)
        return activation
    if callable(activation):
        check_elementwise("activation", activation)
        return Activation(getattr(activation, "__name__", "custom"), activation)
    return ACTIVATIONS[check_name("activation", activation, ACTIVATIONS)]

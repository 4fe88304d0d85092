"""Links: how a label depends on the teacher preactivations, y = φ(z) + σ ξ (single or multi index).

A named link with several teacher directions is the soft committee φ(z) = r^{-1/2} Σ_a φ(z_a).
A callable receives the scalar z when there is one teacher direction and the vector (r,) otherwise;
it may return a scalar or a vector of outputs.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from dyntheory._checks import check_name
from dyntheory._typing import Array
from dyntheory.smoothness import known_kink


@dataclasses.dataclass(frozen=True)
class Link:
    """The deterministic part φ of a label; `smooth` means smooth with bounded derivatives.

    `has_jump` means that φ is not continuous. A kink of a continuous link does no harm to derivatives of a prediction:
    no map differentiates the link.
    """

    name: str
    function: Callable[[Array], Array]
    smooth: bool | None = None
    is_scalar_function: bool = False
    has_jump: bool | None = None

    @property
    def jumps(self) -> bool | None:
        """Whether φ jumps; None when nobody said."""
        return known_kink(self.has_jump, self.smooth)

    def __call__(self, teacher_preactivation: Array) -> Array:
        """Return φ(z) for one row z of shape (r,)."""
        num_directions = teacher_preactivation.shape[0]
        if num_directions == 1:
            return jnp.asarray(self.function(teacher_preactivation[0]))
        if self.is_scalar_function:
            return jnp.sum(self.function(teacher_preactivation)) / math.sqrt(num_directions)
        return jnp.asarray(self.function(teacher_preactivation))


def _linear(z: Array) -> Array:
    return z


def _cubic(z: Array) -> Array:
    return z**3


def _hermite2(z: Array) -> Array:
    return (z**2 - 1) / math.sqrt(2)


def _hermite3(z: Array) -> Array:
    return (z**3 - 3 * z) / math.sqrt(6)


def _hermite4(z: Array) -> Array:
    return (z**4 - 6 * z**2 + 3) / math.sqrt(24)


def _sin_mixture(z: Array) -> Array:
    return z + 0.5 * jnp.sin(2 * z)


LINKS = {
    name: Link(name, function, smooth, is_scalar_function=True, has_jump=name == "sign")
    for name, function, smooth in (
        ("linear", _linear, True),
        ("tanh", jnp.tanh, True),
        ("erf", jax.scipy.special.erf, True),
        ("sin", jnp.sin, True),
        ("sin_mixture", _sin_mixture, True),
        ("relu", jax.nn.relu, False),
        ("abs", jnp.abs, False),
        ("sign", jnp.sign, False),
        ("quadratic", jnp.square, False),
        ("cubic", _cubic, False),
        ("hermite2", _hermite2, False),
        ("hermite3", _hermite3, False),
        ("hermite4", _hermite4, False),
        ("exp", jnp.exp, False),
    )
}


def resolve_link(link: str | Callable[[Array], Array] | Link) -> Link:
    """Return the link of that name, or wrap a callable.

    Raises:
        ValueError: the name is not known.
    """
    if isinstance(link, Link):
        return link
    if callable(link):
        return Link(getattr(link, "__name__", "custom"), link)
    return LINKS[check_name("link", link, LINKS)]

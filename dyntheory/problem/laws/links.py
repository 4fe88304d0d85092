"""Links: how a label depends on the teacher preactivations, y = φ(z) + σ ξ or φ(z, ξ) (single or multi index).

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

from dyntheory.ground.arrays import Array
from dyntheory.ground.names import check_name
from dyntheory.ground.smoothness import known_kink
from dyntheory.ground.storage.marks import storable


@storable
@dataclasses.dataclass(frozen=True)
class Link:
    """The deterministic part φ of a label; `smooth` means smooth with bounded derivatives.

    `takes_noise` means that the function is (z, ξ, σ) -> y with the noise inside, ξ a standard normal row (outputs,).
    `has_jump` means that φ is not continuous. A kink of a continuous link does no harm to derivatives of a prediction:
    no map differentiates the link.
    """

    name: str
    function: Callable[..., Array]
    smooth: bool | None = None
    is_scalar_function: bool = False
    has_jump: bool | None = None
    takes_noise: bool = False

    @property
    def jumps(self) -> bool | None:
        """Whether φ jumps; None when nobody said."""
        return known_kink(self.has_jump, self.smooth)

    def __call__(self, teacher_preactivation: Array) -> Array:
        """Return φ(z) for one row z of shape (r,)."""
        if self.takes_noise:
            return self.noisy(teacher_preactivation, jnp.zeros(1), jnp.zeros(()))
        num_directions = teacher_preactivation.shape[0]
        if num_directions == 1:
            return jnp.asarray(self.function(teacher_preactivation[0]))
        if self.is_scalar_function:
            return jnp.sum(self.function(teacher_preactivation)) / math.sqrt(num_directions)
        return jnp.asarray(self.function(teacher_preactivation))

    def noisy(self, teacher_preactivation: Array, noise: Array, noise_std: Array) -> Array:
        """Return φ(z, ξ) for one row z of shape (r,) of a link that takes its noise inside."""
        row = teacher_preactivation[0] if teacher_preactivation.shape[0] == 1 else teacher_preactivation
        return jnp.asarray(self.function(row, noise, noise_std))


@storable
@dataclasses.dataclass(frozen=True)
class HermiteSeries:
    """φ(z) = c_1 h_1(z) + c_2 h_2(z) + c_3 h_3(z), h_k the Hermite polynomials of variance one."""

    coefficients: tuple[float, float, float]

    def __call__(self, z: Array) -> Array:
        """Return φ(z)."""
        first, second, third = self.coefficients
        return first * z + second * (z**2 - 1) / 2**0.5 + third * (z**3 - 3 * z) / jnp.sqrt(6.0)


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


def _argmax(z: Array) -> Array:
    return jax.nn.one_hot(jnp.argmax(z), z.shape[0], dtype=z.dtype)


def _probit(z: Array, noise: Array, noise_std: Array) -> Array:
    return jnp.sign(z + noise_std * noise[0])


def _logistic(z: Array, noise: Array, noise_std: Array) -> Array:
    del noise_std
    return jnp.sign(z + jax.scipy.special.log_ndtr(noise[0]) - jax.scipy.special.log_ndtr(-noise[0]))


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
LINKS["argmax"] = Link("argmax", _argmax, smooth=False, has_jump=True)
for _name, _function in (("probit", _probit), ("logistic", _logistic)):
    LINKS[_name] = Link(_name, _function, smooth=False, has_jump=True, takes_noise=True)


def stored_link(link: Link) -> Link | str:
    """Return the name of a link where the name says it all."""
    return link.name if LINKS.get(link.name) == link else link


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

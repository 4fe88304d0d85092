"""Closed-form potentials for standard normal inputs and units σ(θ·x), with their gradients.

With c the cosine of the angle ϑ between θ and w, A = 1 + 2g²|θ|², B = 1 + 2g²|w|², D = |θ|²|w|² − (θ·w)²:

    sign                (2/π) arcsin c = 1 − 2ϑ/π
    erf(g z)            (2/π) arcsin (2g² θ·w/√(AB)) = (2/π) arctan (2g² θ·w/√(1 + 2g²(|θ|² + |w|²) + 4g⁴D))
    p z₊ − q z₋         ½(p² + q²) θ·w + (p − q)²/(2π) |θ||w| (sin ϑ − ϑ cos ϑ), z₋ = max(−z, 0)
    exp z               exp(½|θ + w|²)
    cos z, sin z        ½ (exp(−½|θ − w|²) ± exp(−½|θ + w|²))
    z²                  |θ|²|w|² + 2(θ·w)²

Reference: `panigrahy2018convergence`; `williams1996computing` for erf, `cho2009kernel` for the rectifier.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from dyntheory.flows.charges.geometry import (
    Pair,
    angle,
    between,
    determinant,
    inverse_length,
    norm,
    tangent,
    unit_vector,
)
from dyntheory.flows.charges.potentials import Potential, ridge_units
from dyntheory.ground.arrays import Array, PyTree
from dyntheory.ground.checks import check_positive, check_scalar
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.names import check_name

TWO_PI = 2 * math.pi
GAINS = (1e-30, 1e30)  # g⁴|θ|²|w|² has to be a number


def _sign(_: PyTree, u: Array, v: Array) -> Array:
    return 1.0 - (2 / math.pi) * angle(u, v)


def _sign_gradient(_: PyTree, u: Array, v: Array) -> Array:
    return (2 / math.pi) * inverse_length(u) * unit_vector(tangent(u, v))


def _root(gain: Array, u: Array, v: Array) -> Array:
    square = gain * gain
    return jnp.sqrt(1.0 + 2 * square * (u @ u + v @ v) + 4 * square * square * determinant(u, v))


def _erf(gain: Array, u: Array, v: Array) -> Array:
    return (2 / math.pi) * jnp.arctan2(2 * gain * gain * (u @ v), _root(gain, u, v))


def _erf_gradient(gain: Array, u: Array, v: Array) -> Array:
    square = gain * gain
    along = 2 * square * (u @ v) / (1 + 2 * square * (u @ u))
    return (4 / math.pi) * square * (v - along * u) / _root(gain, u, v)


def _erf_unit(gain: Array, z: Array) -> Array:
    return jax.scipy.special.erf(gain * z)


def _rectifier(slopes: PyTree, u: Array, v: Array) -> Array:
    negative, positive = slopes
    theta, bend = angle(u, v), (positive - negative) ** 2 / TWO_PI
    straight = 0.5 * (negative**2 + positive**2) * (u @ v)
    return straight + bend * norm(u) * norm(v) * (jnp.sin(theta) - theta * jnp.cos(theta))


def _rectifier_gradient(slopes: PyTree, u: Array, v: Array) -> Array:
    negative, positive = slopes
    theta, bend = angle(u, v), (positive - negative) ** 2 / TWO_PI
    curved = norm(v) * jnp.sin(theta) * unit_vector(u) - theta * v
    return 0.5 * (negative**2 + positive**2) * v + bend * curved


def _rectifier_unit(slopes: PyTree, z: Array) -> Array:
    negative, positive = slopes
    return positive * jnp.maximum(z, 0.0) + negative * jnp.minimum(z, 0.0)


def _exp(_: PyTree, u: Array, v: Array) -> Array:
    return jnp.exp(0.5 * (u + v) @ (u + v))


def _exp_gradient(_: PyTree, u: Array, v: Array) -> Array:
    return _exp((), u, v) * (u + v)


def _wave(side: Array, u: Array, v: Array) -> Array:
    near, far = jnp.exp(-0.5 * (u - v) @ (u - v)), jnp.exp(-0.5 * (u + v) @ (u + v))
    return 0.5 * (near + side * far)


def _wave_gradient(side: Array, u: Array, v: Array) -> Array:
    near, far = jnp.exp(-0.5 * (u - v) @ (u - v)), jnp.exp(-0.5 * (u + v) @ (u + v))
    return -0.5 * (near * (u - v) + side * far * (u + v))


def _quadratic(_: PyTree, u: Array, v: Array) -> Array:
    return (u @ u) * (v @ v) + 2 * (u @ v) ** 2


def _quadratic_gradient(_: PyTree, u: Array, v: Array) -> Array:
    return 2 * (v @ v) * u + 4 * (u @ v) * v


def _named(
    name: str,
    pair: Pair,
    gradient: Pair,
    unit: Callable[[PyTree, Array], Array] | None,
    parameters: PyTree = (),
    symmetry: str = "none",
) -> Potential:
    units = None if unit is None else ridge_units(unit)
    return Potential(name, between(pair), between(gradient), parameters, units, symmetry=symmetry)


def _plain(function: Callable[[Array], Array]) -> Callable[[PyTree, Array], Array]:
    return lambda _, z: function(z)


_RECTIFIER = _named("relu", _rectifier, _rectifier_gradient, _rectifier_unit, (0.0, 1.0))
_ERF = _named("erf", _erf, _erf_gradient, _erf_unit, 1.0, "odd")
_COS = _named("cos", _wave, _wave_gradient, _plain(jnp.cos), 1.0, "even")
POTENTIALS: dict[str, Potential] = {
    one.name: one
    for one in (
        _named("sign", _sign, _sign_gradient, None, (), "odd")._replace(is_smooth=False),
        _ERF,
        _RECTIFIER,
        _RECTIFIER._replace(name="leaky_relu", parameters=(0.1, 1.0)),
        _RECTIFIER._replace(name="abs", parameters=(-1.0, 1.0), symmetry="even"),
        _RECTIFIER._replace(name="linear", parameters=(1.0, 1.0), symmetry="odd"),
        _named("exp", _exp, _exp_gradient, _plain(jnp.exp)),
        _COS,
        _COS._replace(name="sin", parameters=-1.0, symmetry="odd", units=ridge_units(_plain(jnp.sin))),
        _named("quadratic", _quadratic, _quadratic_gradient, _plain(jnp.square), (), "even"),
    )
}


def resolve_potential(potential: str | Potential) -> Potential:
    """Return the potential of that name, or the one given.

    Raises:
        ValueError: an unknown name.
    """
    return POTENTIALS[check_name("potential", potential, POTENTIALS)] if isinstance(potential, str) else potential


@functools.cache
def _erf_of(gain: float) -> Potential:
    return _ERF._replace(name=f"erf({gain:g} z)", parameters=gain)


def error_function(gain: float = 1.0) -> Potential:
    """Return the potential of σ(z) = erf(g z): of sign as the gain grows, but with a force that is smooth everywhere.

    Args:
        gain: g, positive; 1/√2 is the unit of soft committee machines (`dt.online`).

    Raises:
        ValueError: a gain that is not positive, or beyond 1e-30 and 1e30.

    Example:
        >>> error_function(0.5).name
        'erf(0.5 z)'

    Reference: `williams1996computing`, eq. 11.
    """
    check_arguments(error_function, locals())
    check_scalar("gain", gain)
    check_positive("gain", gain)
    if not GAINS[0] <= gain <= GAINS[1]:
        raise ValueError(f"`gain` must be from {GAINS[0]:g} to {GAINS[1]:g}, got {gain!r}: large ones are 'sign'.")
    return _erf_of(float(gain))

"""Potentials of any activation by Hermite series, on the sphere and in space.

For standard normal inputs and |θ| = |w| = 1, σ = Σ_k c_k he_k/√k! has Φ = Σ_k c_k² cᵏ, c = θ·w: every power series with
terms that are not negative is a potential. At other norms c_k² becomes a_k(|θ|) a_k(|w|), a_k(s) = E σ(sZ) he_k(Z)/√k!,
by Mehler's formula. What a sum of `degree` terms leaves out is known: E σ² − Σ_k a_k².

Reference: `daniely2016toward`, section 4, for the series.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.flows.charges.geometry import between, cosine, inverse_length, tangent, unit_vector
from dyntheory.flows.charges.named import POTENTIALS
from dyntheory.flows.charges.potentials import Between, Potential, ridge_units
from dyntheory.gaussian.hermite import hermite_rule
from dyntheory.ground.arrays import Array, PyTree
from dyntheory.ground.checks import check_count
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.precision import double_precision
from dyntheory.problem.networks.activations import ACTIVATIONS, Activation, resolve_activation

NUM_NODES, DEGREE = 1041, 256
MOST_ERROR = 1e-3
SAME = 1e-12

_cosines = between(lambda _, u, v: cosine(u, v))
_tangents = between(lambda _, u, v: tangent(u, v) * inverse_length(u))


def _horner(coefficients: Array, x: Array) -> Array:
    def add(total: Array, one: Array) -> tuple[Array, None]:
        return total * x + one, None

    return jax.lax.scan(add, jnp.zeros_like(x), coefficients, reverse=True)[0]


def sphere_value(powers: PyTree, one: Array, other: Array) -> Array:
    """Return Σ_k p_k cᵏ."""
    return _horner(powers, _cosines((), one, other))


def sphere_gradient(powers: PyTree, one: Array, other: Array) -> Array:
    """Return Σ_k k p_k cᵏ⁻¹ (ŵ − c θ̂)/|θ|, which is tangent to the sphere."""
    orders = jnp.arange(1, powers.shape[0], dtype=powers.dtype)
    slope = _horner(orders * powers[1:], _cosines((), one, other))
    return slope[..., None] * _tangents((), one, other)


def polynomial_unit(powers: PyTree, z: Array) -> Array:
    """Return Σ_k √p_k he_k(z)/√k!, the unit whose potential on the sphere is Σ_k p_k cᵏ."""

    def add(carry: tuple[Array, Array, Array], one: tuple[Array, Array]) -> tuple[tuple[Array, Array, Array], None]:
        before, now, total = carry
        order, factor = one
        after = (z * now - jnp.sqrt(order) * before) / jnp.sqrt(order + 1)
        return (now, after, total + factor * now), None

    orders = jnp.arange(powers.shape[0], dtype=z.dtype)
    start = (jnp.zeros_like(z), jnp.ones_like(z), jnp.zeros_like(z))
    return jax.lax.scan(add, start, (orders, jnp.sqrt(powers).astype(z.dtype)))[0][2]


POLYNOMIAL_UNITS = ridge_units(polynomial_unit)


def of_powers(name: str, powers: np.ndarray, **fields: Any) -> Potential:
    """Return the potential Σ_k p_k cᵏ of unit vectors."""
    symmetry = "none"
    if not np.any(powers[1::2]):
        symmetry = "even"
    elif not np.any(powers[0::2]):
        symmetry = "odd"
    given: dict[str, Any] = {"units": POLYNOMIAL_UNITS, "symmetry": symmetry, "on_sphere": True} | fields
    return Potential(name, sphere_value, sphere_gradient, powers, **given)


@functools.cache
def _hermite_of(degree: int) -> Potential:
    return of_powers(f"hermite({degree})", np.eye(1, degree + 1, degree)[0])


def hermite(degree: int) -> Potential:
    """Return the potential cᵏ of the unit he_k(z)/√k! on the sphere, for standard normal inputs.

    Args:
        degree: k, at least one.

    Raises:
        ValueError: a degree below one.

    Example:
        >>> hermite(3).symmetry
        'odd'

    Reference: `panigrahy2018convergence`.
    """
    check_arguments(hermite, locals())
    return _hermite_of(check_count("degree", degree))


def potential_of(
    activation: str | Callable[[Array], Array] | Activation, *, on_sphere: bool = False, degree: int = DEGREE
) -> Potential:
    """Return the potential of units σ(θ·x) of any activation, for standard normal inputs.

    In space a name with a closed form gives that, on the sphere only one with a kink. Everything else is a Hermite
    series, at the norms that weights have.

    Args:
        activation: a name, or a smooth scalar function written in JAX.
        on_sphere: whether weights are unit vectors; then the series is Σ_k c_k² cᵏ.
        degree: terms of the series.

    Returns:
        The potential; `error` is what the series leaves out of E σ² or of E σ′², relative to it, at |θ| = 1.

    Raises:
        TypeError: a function that is not written in JAX.
        ValueError: an unknown name, or a function with so sharp a kink that the series misses a thousandth of it.

    Example:
        >>> potential_of("tanh").error < 1e-12
        True

    Reference: `daniely2016toward`; `panigrahy2018convergence`.
    """
    check_arguments(potential_of, locals())
    degree = check_count("degree", degree, minimum=2)
    own = {"exp": jnp.exp, "cos": jnp.cos}
    if isinstance(activation, str) and activation in own:
        found, is_known = Activation(activation, own[activation], True), True
    else:
        found = resolve_activation(activation)
        is_known = ACTIVATIONS.get(found.name) is found and found.name in POTENTIALS
    if is_known and (found.is_kinked or not on_sphere):
        return POTENTIALS[found.name]._replace(on_sphere=True) if on_sphere else POTENTIALS[found.name]
    return _series(found.name, found.function, on_sphere, degree)


@functools.lru_cache(maxsize=64)
def _series(name: str, function: Callable[[Array], Array], on_sphere: bool, degree: int) -> Potential:
    with double_precision():
        value, gradient, reach = _in_space(function, degree)
        powers = np.square(np.asarray(_sides(function, degree, jnp.ones(1))[0][0]))
        error = float(reach((), jnp.ones(1))[0])
        symmetry = _symmetry(function)
    if not error <= MOST_ERROR:
        raise ValueError(
            f"`activation` {name} jumps or bends so sharply that a series of {degree} terms misses {error:.1e} of it: "
            f"raise `degree`, smooth it, or take one of {', '.join(POTENTIALS)}."
        )
    units = ridge_units(_ignoring(function))
    if on_sphere:
        return of_powers(name, powers, units=units, symmetry=symmetry, error=error)
    return Potential(name, value, gradient, (), units, symmetry=symmetry, error=error, reach=reach)


def _ignoring(function: Callable[[Array], Array]) -> Callable[[PyTree, Array], Array]:
    return lambda _, z: function(z)


def _symmetry(function: Callable[[Array], Array]) -> str:
    points = jnp.linspace(0.05, 4.0, 80)
    there, opposite = np.asarray(function(points)), np.asarray(function(-points))
    scale = SAME * np.abs(there).max()
    if np.abs(there - opposite).max() <= scale:
        return "even"
    return "odd" if np.abs(there + opposite).max() <= scale else "none"


def _sides(function: Callable[[Array], Array], degree: int, norms: Array) -> tuple[Array, Array, Array, Array]:
    """Return a_k(s) and their derivatives, (p, J), E σ(sZ)² and E σ′(sZ)², (p,)."""
    nodes, matrix = (jnp.asarray(part) for part in hermite_rule(degree, NUM_NODES))
    points = norms[:, None] * nodes[None]
    values, slopes = jax.jvp(function, (points,), (jnp.ones_like(points),))
    power, slope_power = (jnp.matmul(jnp.square(part), matrix[:, 0]) for part in (values, slopes))
    return jnp.matmul(values, matrix), jnp.matmul(slopes * nodes[None], matrix), power, slope_power


def _in_space(function: Callable[[Array], Array], degree: int) -> tuple[Between, Between, Callable[..., Array]]:
    """Return value, gradient and error of the series at any norms."""

    def norms(rows: Array) -> Array:
        return jnp.sqrt(jnp.sum(jnp.square(rows), axis=1))

    def value(_: PyTree, one: Array, other: Array) -> Array:
        left, right = (_sides(function, degree, norms(rows))[0] for rows in (one, other))
        return _mehler(left, right, _cosines((), one, other))

    def gradient(_: PyTree, one: Array, other: Array) -> Array:
        left, longer, _, _ = _sides(function, degree, norms(one))
        right, cosines = _sides(function, degree, norms(other))[0], _cosines((), one, other)
        orders = jnp.arange(1, degree, dtype=left.dtype)[None]
        along = _mehler(longer, right, cosines)[..., None] * jax.vmap(unit_vector)(one)[:, None]
        across = _mehler(orders * left[:, 1:], right[:, 1:], cosines)
        return along + across[..., None] * _tangents((), one, other)

    def reach(_: PyTree, squares: Array) -> Array:
        length = jnp.sqrt(squares)
        fine, _, power, slope_power = _sides(function, degree, length)
        slopes = _sides(lambda x: jax.jvp(function, (x,), (jnp.ones_like(x),))[1], degree, length)[0]
        parts = ((fine, power), (slopes, slope_power))
        missed = [(total - jnp.sum(jnp.square(part), axis=1)) / (total + 1e-300) for part, total in parts]
        # Between nodes a fast wave looks like a slow one; its slope s²E σ′² = Σ k a_k² does not.
        known, steep = jnp.square(fine) @ jnp.arange(degree, dtype=fine.dtype), squares * slope_power
        return jnp.maximum(jnp.maximum(missed[0], missed[1]), jnp.abs(steep - known) / (steep + known + 1e-300))

    return value, gradient, reach


def _mehler(left: Array, right: Array, cosines: Array) -> Array:
    """Return Σ_k a_k b_k cᵏ over pairs, by Horner's rule."""

    def add(total: Array, pair: tuple[Array, Array]) -> tuple[Array, None]:
        one, other = pair
        return total * cosines + one[:, None] * other[None], None

    return jax.lax.scan(add, jnp.zeros_like(cosines), (left.T, right.T), reverse=True)[0]

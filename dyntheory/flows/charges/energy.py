"""Energy and forces: the population loss of two-layer networks, and minus its gradient.

    L = Σ_{ii'} a_i a_{i'} Φ(θ_i, θ_{i'}) − 2 Σ_{ij} a_i b_j Φ(θ_i, w_j) + Σ_{jj'} b_j b_{j'} Φ(w_j, w_{j'}),
    θ̇_i = 2a_i [Σ_j b_j ∇₁Φ(θ_i, w_j) − Σ_{i'} a_{i'} ∇₁Φ(θ_i, θ_{i'})],
    ȧ_i = 2 [Σ_j b_j Φ(θ_i, w_j) − Σ_{i'} a_{i'} Φ(θ_i, θ_{i'})].

Reference: `panigrahy2018convergence`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.flows.charges.configuration import Charges, checked
from dyntheory.flows.charges.potentials import Between, Potential
from dyntheory.ground.arrays import Array, ArrayLike, PyTree
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.precision import as_double, double_precision


class Fixed(NamedTuple):
    """What does not move: protons, their charges, numbers of the potential; 1 if charges are trained, else 0."""

    protons: Array
    proton_charges: Array
    parameters: PyTree
    trains_charges: Array


class Moving(NamedTuple):
    """What moves: electrons (m, d) and their charges (m,), or both with an axis of starts in front."""

    positions: Array
    charges: Array


class Forces(NamedTuple):
    """Minus the gradient of the loss, in positions (m, d) and in charges (m,)."""

    positions: np.ndarray
    charges: np.ndarray


class Rules(NamedTuple):
    """What a program depends on: the two functions of a potential, and where electrons live."""

    value: Between
    gradient: Between
    on_sphere: bool

    @classmethod
    def of(cls, potential: Potential, on_sphere: bool) -> Rules:
        """Return those of a potential."""
        return cls(potential.value, potential.gradient, on_sphere)


def energy(rules: Rules, moving: Moving, fixed: Fixed) -> Array:
    """Return L of one configuration."""
    sites = jnp.concatenate([moving.positions, fixed.protons])
    charges = jnp.concatenate([moving.charges, -fixed.proton_charges])
    return charges @ rules.value(fixed.parameters, sites, sites) @ charges


def force(rules: Rules, moving: Moving, fixed: Fixed) -> Moving:
    """Return minus the gradient of one configuration; along the sphere where electrons live on it."""
    positions, charges = moving
    sites = jnp.concatenate([positions, fixed.protons])
    sources = jnp.concatenate([-charges, fixed.proton_charges])
    field = jnp.einsum("mqd,q->md", rules.gradient(fixed.parameters, positions, sites), sources)
    if rules.on_sphere:
        field = tangent_part(positions, field)
    potential = rules.value(fixed.parameters, positions, sites) @ sources
    return Moving(2 * charges[:, None] * field, 2 * fixed.trains_charges * potential)


def tangent_part(positions: Array, field: Array) -> Array:
    """Return what is left of vectors without their part along positions."""
    along = jnp.sum(positions * field, axis=-1) / jnp.sum(jnp.square(positions), axis=-1)
    return field - along[..., None] * positions


@functools.lru_cache(maxsize=128)
def field_of(rules: Rules) -> Callable[[Array, PyTree, PyTree], PyTree]:
    """Return the right side of the flow of several starts, one function for one set of rules."""

    def field(_: Array, moving: PyTree, fixed: PyTree) -> PyTree:
        return jax.vmap(functools.partial(force, rules), in_axes=(0, None))(moving, fixed)

    return field


@functools.lru_cache(maxsize=128)
def energies_of(rules: Rules) -> Callable[[Moving, Fixed], tuple[Array, Moving]]:
    """Return the compiled function that gives L and forces along two leading axes."""

    def both(moving: Moving, fixed: Fixed) -> tuple[Array, Moving]:
        return energy(rules, moving, fixed), force(rules, moving, fixed)

    along = jax.vmap(jax.vmap(both, in_axes=(0, None)), in_axes=(0, None))
    return jax.jit(along)


def fixed_of(charges: Charges, trains_charges: bool) -> Fixed:
    """Return what does not move, in float64; call inside `double_precision`."""
    parts = (charges.protons, charges.proton_charges, charges.potential.parameters, float(trains_charges))
    return Fixed(*(as_double(part) for part in parts))


def moving_of(charges: Charges) -> Moving:
    """Return what moves, in float64; call inside `double_precision`."""
    return Moving(as_double(charges.electrons), as_double(charges.electron_charges))


def loss(
    potential: str | Potential,
    protons: ArrayLike,
    *,
    electrons: ArrayLike,
    proton_charges: ArrayLike | None = None,
    electron_charges: ArrayLike | None = None,
) -> Any:
    """Return the population loss E (Σ_i a_i σ(θ_i, x) − Σ_j b_j σ(w_j, x))², without a half.

    Scaling:
        Differences of terms of order Σ b² Φ: below 1e-14 of that it is rounding.

    Args:
        potential: a name of `POTENTIALS`, or a Potential.
        protons: w_j, (n, d).
        electrons: θ_i, (m, d) or several starts (S, m, d).
        proton_charges: b_j, (n,); default one.
        electron_charges: a_i, (m,) or (S, m); default one.

    Returns:
        A number, or one for every start, (S,).

    Raises:
        ValueError: shapes that do not match, or entries that are not finite.

    Example:
        >>> import numpy as np
        >>> round(float(loss("linear", np.eye(2), electrons=np.zeros((1, 2)))), 12)
        2.0

    Reference: `panigrahy2018convergence`.
    """
    check_arguments(loss, locals())
    found, _ = _at(locals(), None)
    return found if np.ndim(electrons) > 2 else float(found[0])


def forces(
    potential: str | Potential,
    protons: ArrayLike,
    *,
    electrons: ArrayLike,
    proton_charges: ArrayLike | None = None,
    electron_charges: ArrayLike | None = None,
    on_sphere: bool | None = None,
) -> Forces:
    """Return minus the gradient of the population loss in positions and charges of electrons.

    Args:
        potential: a name of `POTENTIALS`, or a Potential.
        protons: w_j, (n, d).
        electrons: θ_i, (m, d) or several starts (S, m, d).
        proton_charges: b_j, (n,); default one.
        electron_charges: a_i, (m,) or (S, m); default one.
        on_sphere: whether to keep only what is tangent to the sphere; default what the potential says.

    Returns:
        (m, d) and (m,), with the axis of starts in front where there is one.

    Raises:
        ValueError: shapes that do not match, entries that are not finite, or vectors that are not unit vectors.

    Example:
        >>> import numpy as np
        >>> forces("linear", np.eye(2), electrons=np.zeros((1, 2))).positions.tolist()
        [[2.0, 2.0]]

    Reference: `panigrahy2018convergence`.
    """
    check_arguments(forces, locals())
    _, found = _at(locals(), on_sphere)
    return found if np.ndim(electrons) > 2 else Forces(found.positions[0], found.charges[0])


def _at(given: dict[str, Any], on_sphere: bool | None) -> tuple[np.ndarray, Forces]:
    charges, is_on_sphere = checked(given, on_sphere)
    with double_precision():
        moving = jax.tree.map(lambda leaf: leaf[None], moving_of(charges))
        rules = Rules.of(charges.potential, is_on_sphere)
        found, pull = energies_of(rules)(moving, fixed_of(charges, True))
    if not np.isfinite(found).all():
        raise ValueError(f"`electrons` and `protons` must be shorter: Φ of {charges.potential.name} overflows.")
    return np.asarray(found[0]), Forces(np.asarray(pull.positions[0]), np.asarray(pull.charges[0]))

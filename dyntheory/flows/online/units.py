"""Units whose averages have closed forms, and teachers that are sums of them.

erf(s x), max(x, 0) and x are known by their functions; a teacher is known where its link is a sum of such units, as the
named links are, and those that `committee` makes. Everything else goes to nodes.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.ground.arrays import Array, ArrayLike
from dyntheory.ground.checks import check_finite, check_positive, check_scalar
from dyntheory.ground.kinds import check_arguments
from dyntheory.problem.laws.links import LINKS, Link
from dyntheory.problem.networks.activations import ACTIVATIONS, Activation, resolve_activation

ERF, RELU, LINEAR = "erf", "relu", "linear"


@dataclasses.dataclass(frozen=True)
class ScaledErf:
    """x ↦ erf(s x)."""

    scale: float

    def __call__(self, preactivation: Array) -> Array:
        """Return erf(s x) of every entry."""
        return jax.scipy.special.erf(self.scale * preactivation)


@dataclasses.dataclass(frozen=True)
class WeightedSum:
    """z ↦ Σ_m v_m g(z_m), one number."""

    activation: Activation
    weights: tuple[float, ...]

    def __call__(self, teacher_preactivation: Array) -> Array:
        """Return the sum for one row z (r,), a number where r = 1."""
        row = jnp.reshape(teacher_preactivation, (-1,))
        if row.shape[0] != len(self.weights):
            raise ValueError(f"this committee has {len(self.weights)} units")
        return jnp.sum(jnp.asarray(self.weights, row.dtype) * self.activation(row))


class Family(NamedTuple):
    """A kind of unit, erf(s x) with its scale s (else one)."""

    kind: str
    scale: float


def scaled_erf(scale: float = 2.0**-0.5) -> Activation:
    """Return the activation erf(s x); the default is the one of committee machines in physics, erf(x/√2).

    Args:
        scale: s, positive.

    Returns:
        An activation for `MLP` and for `committee`, with closed forms here.

    Raises:
        ValueError: a scale that is not positive.

    Example:
        >>> import dyntheory as dt
        >>> dt.MLP((2,), dt.online.scaled_erf()).activation
        erf(0.707107 x)

    Reference: `saad1995exact`.
    """
    check_arguments(scaled_erf, locals())
    check_scalar("scale", scale)
    check_positive("scale", scale)
    return Activation(f"erf({float(scale):g} x)", ScaledErf(float(scale)), smooth=True)


def committee(activation: Activation | str | Callable[[Array], Array], weights: ArrayLike) -> Link:
    """Return the link of a teacher with hidden units, φ(z) = Σ_m v_m g(z_m).

    Args:
        activation: g, as for `MLP`.
        weights: v, (r,); `TeacherStudent` needs as many directions, `teacher_second_moment=np.eye(r)` say.

    Returns:
        The link for `TeacherStudent`.

    Raises:
        ValueError: weights that are no row of finite numbers, or an unknown activation.

    Example:
        >>> import numpy as np, dyntheory as dt
        >>> link = dt.online.committee("erf", np.ones(2))
        >>> dt.TeacherStudent(1.0, link, teacher_second_moment=np.eye(2)).num_teacher_units
        2

    Reference: `saad1995exact`; `goldt2019dynamics`.
    """
    check_arguments(committee, locals())
    check_finite("weights", weights)
    row = np.asarray(weights, dtype=float)
    if row.ndim != 1:
        raise ValueError(f"`weights` must have shape (r,), one for each unit, got shape {row.shape}.")
    unit = resolve_activation(activation)
    has_jump = {True: False, None: None}.get(unit.smooth, unit.name == "sign")
    return Link(f"committee of {unit.name}", WeightedSum(unit, tuple(row.tolist())), unit.smooth, has_jump=has_jump)


def family_of(function: Any) -> Family | None:
    """Return of what kind a function of one number is, None where no closed form is known."""
    while isinstance(function, Activation):
        function = function.function
    if isinstance(function, ScaledErf):
        return Family(ERF, function.scale)
    for kind in (ERF, RELU, LINEAR):
        if function in (ACTIVATIONS[kind].function, LINKS[kind].function):
            return Family(kind, 1.0)
    return None


def teacher_units(link: Link, num_directions: int) -> tuple[Family, tuple[float, ...]] | None:
    """Return the units that a link sums and their weights v, None where it is no such sum."""
    if link.takes_noise:
        return None
    if isinstance(link.function, WeightedSum):
        family, weights = family_of(link.function.activation), link.function.weights
        return None if family is None or len(weights) != num_directions else (family, weights)
    if num_directions > 1 and not link.is_scalar_function:
        return None
    family = family_of(link.function)
    return None if family is None else (family, (1.0 / math.sqrt(num_directions),) * num_directions)

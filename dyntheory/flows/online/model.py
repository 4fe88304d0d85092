"""What is learned and by whom, as values that programs are kept by: network, teacher, and how averages are taken.

Units h = x·W/√d of the student, z = x·W*/√d of the teacher, output F = Σ_i a_i g(h_i), label y = φ(z) + σ ξ. Averages
are over (z, h) ~ N(0, C), C = [[T, Rᵀ], [R, Q]]: closed forms where units are known, nodes elsewhere.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.flows.online.units import family_of, teacher_units
from dyntheory.ground.arrays import Array
from dyntheory.problem.laws.links import Link
from dyntheory.problem.networks.activations import Activation

CLOSED, GRID, NET = "closed forms", "a grid of Gauss and Hermite", "Sobol nodes"


@dataclasses.dataclass(frozen=True)
class Model:
    """Activation, link, numbers of units, and a rate that changes with time if there is one."""

    activation: Activation
    link: Link
    num_units: int
    num_teacher_units: int
    schedule: Callable[[Any], Any] | None = None

    @property
    def kind(self) -> str | None:
        """The kind of all units, None where student and teacher are no sums of units of one known kind."""
        student, teacher = family_of(self.activation), teacher_units(self.link, self.num_teacher_units)
        same = student is not None and teacher is not None and student.kind == teacher[0].kind
        return student.kind if same and student is not None else None

    @property
    def teacher_weights(self) -> np.ndarray:
        """V of the teacher's units, (r,); of a link that is a sum of known ones."""
        found = teacher_units(self.link, self.num_teacher_units)
        assert found is not None
        return np.asarray(found[1])

    @property
    def scales(self) -> np.ndarray:
        """Scales s of all units, students first, (k + r,)."""
        student, teacher = family_of(self.activation), teacher_units(self.link, self.num_teacher_units)
        assert student is not None and teacher is not None
        return np.repeat([student.scale, teacher[0].scale], [self.num_units, self.num_teacher_units])

    def output(self, head: Array, preactivation: Array) -> Array:
        """Return F for rows h (..., k)."""
        return jnp.sum(head * self.activation(preactivation), axis=-1)

    def clean_labels(self, teacher_preactivation: Array) -> Array:
        """Return φ for rows z (rows, r)."""
        return jax.vmap(self.link)(teacher_preactivation)

    def slope(self, preactivation: Array) -> Array:
        """Return g' of every entry."""
        return jax.jvp(self.activation, (preactivation,), (jnp.ones_like(preactivation),))[1]


class Overlaps(NamedTuple):
    """Order parameters: Q (k, k), R (k, r), T (r, r), the head a (k,)."""

    weight: Array
    teacher: Array
    teacher_moment: Array
    head: Array

    @property
    def students_first(self) -> Array:
        """The covariance of (h, z)."""
        return jnp.block([[self.weight, self.teacher], [self.teacher.T, self.teacher_moment]])

    @property
    def teachers_first(self) -> Array:
        """The covariance of (z, h)."""
        return jnp.block([[self.teacher_moment, self.teacher.T], [self.teacher, self.weight]])


class Averages(NamedTuple):
    """What moves order parameters; e = F − y with clean labels, r_i = e a_i g'(h_i).

    Args:
        error: E e².
        with_students: E r_i h_k, (k, k).
        with_teachers: E r_i z_m, (k, r).
        squares: E r_i r_k, label noise included, (k, k).
        head: E e g(h_i), (k,).
    """

    error: Array
    with_students: Array
    with_teachers: Array
    squares: Array
    head: Array

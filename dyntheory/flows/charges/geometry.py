"""Angles and distances of pairs of vectors, to the last digits also where two of them nearly coincide.

Electrons end on protons. There c = u·v/(|u||v|) says 1 whatever the distance, while û − v̂ still has all digits; what
depends on the angle is written in û − v̂ here.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from dyntheory.ground.arrays import Array, PyTree

Pair = Callable[[PyTree, Array, Array], Array]


def norm(x: Array) -> Array:
    """Return |x|, whose derivative at zero counts as zero."""
    square = x @ x
    return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1.0)), 0.0)


def unit_vector(x: Array) -> Array:
    """Return x/|x|, zero for zero."""
    length = norm(x)
    return x / jnp.where(length > 0, length, 1.0)


def angle(u: Array, v: Array) -> Array:
    """Return the angle between two vectors, 2 arctan |û − v̂|/|û + v̂|."""
    one, other = unit_vector(u), unit_vector(v)
    near, far = norm(one - other), norm(one + other)
    return 2.0 * jnp.arctan2(near, jnp.where(near + far > 0, far, 1.0))


def cosine(u: Array, v: Array) -> Array:
    """Return the cosine of the angle."""
    gap = unit_vector(u) - unit_vector(v)
    return 1.0 - 0.5 * (gap @ gap)


def tangent(u: Array, v: Array) -> Array:
    """Return v̂ − û cos θ, of length sin θ: the part of v̂ that is tangent to the sphere at û."""
    one, other = unit_vector(u), unit_vector(v)
    gap = other - one
    return gap + 0.5 * (gap @ gap) * one


def determinant(u: Array, v: Array) -> Array:
    """Return |u|²|v|² − (u·v)², from the smaller of v − u and v + u in the place of v."""
    near, far = v - u, v + u
    rest = jnp.where(u @ v > 0, near, far)
    return (u @ u) * (rest @ rest) - (u @ rest) ** 2


def inverse_length(u: Array) -> Array:
    """Return 1/|u|, zero for zero."""
    length = norm(u)
    return jnp.where(length > 0, 1.0 / jnp.where(length > 0, length, 1.0), 0.0)


def between(pair: Pair) -> Pair:
    """Return a function of one pair of vectors as one of all pairs of rows, (p, d), (q, d) -> (p, q, …)."""

    def rows(parameters: PyTree, one: Array, other: Array) -> Array:
        along = jax.vmap(pair, in_axes=(None, None, 0))
        return jax.vmap(along, in_axes=(None, 0, None))(parameters, one, other)

    return rows

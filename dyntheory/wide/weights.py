"""A matrix between two layers of neurons, in coordinates of their bases: W(t) = ρ_t W(0) + what training has added.

W(0) is known by what it was asked (theory of `dyntheory.matrix.revealed`; the spaces are packed, since of the many
vectors of a step few are new). With q what was asked for W φ and ε the noise that answered it on the upper layer, ĝ
and v the same for Wᵀ g, and α upper over lower width,

    W(0) = Σ_r ε^r q^rᵀ + α^{-1/2} Σ_s ĝ^s v^sᵀ,        W φ/√N = W(0) φ + …,        Wᵀ g/√N = α (W(0)ᵀ g + …).

In coordinates that is a matrix. A rule that is linear in gradients and weights moves it entry by entry in any frame, so
what training adds is kept as such a matrix too, and the optimizer acts on it as it stands.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from dyntheory.ground.arrays import Array
from dyntheory.wide.neurons import Neurons, draw, new_directions, normalised, sizes_of


class Asked(NamedTuple):
    """What a matrix was asked from one side: orthonormal directions, and with which rows of the far side it answered.

    `answers` has a direction in the row of its noise, zero elsewhere.
    """

    directions: Float[Array, "near_capacity near_capacity"]
    num_directions: Int[Array, ""]
    answers: Float[Array, "far_capacity near_capacity"]


class Start(NamedTuple):
    """W(0) as far as it is known: asked for W φ from the lower layer, for Wᵀ g from the upper one."""

    lower: Asked
    upper: Asked


class Memory(NamedTuple):
    """Whether answers remember what the other side was asked: no is wrong and serves as a negative control."""

    forward: bool = True
    backward: bool = True


def not_asked(near: int, far: int) -> Asked:
    """Return that nothing was asked, for spaces of these capacities."""
    return Asked(jnp.zeros((near, near), float), jnp.asarray(0), jnp.zeros((far, near), float))


def ask(
    asked: Asked,
    coordinates: Float[Array, "vectors near_capacity"],
    far: Neurons,
    reserve: tuple[Array, Array],
    threshold: Array | float,
) -> tuple[Asked, Neurons]:
    """Ask about vectors of the near side: what is new of them gets fresh noise on the far side.

    Args:
        asked: what was asked before.
        coordinates: of the vectors, in the basis of the near side.
        far: the neurons that answer.
        reserve: raw noise of the far side and the number of its first row.
        threshold: root mean square, over that of the vectors, above which a direction is new.
    """
    known = asked.directions
    rest = coordinates - (coordinates @ known.T) @ known
    rest = rest - (rest @ known.T) @ known
    sizes = sizes_of(jnp.sum(coordinates[:, 1:] ** 2, axis=1))
    combinations, count = new_directions(rest @ rest.T, sizes, threshold)
    found = combinations @ rest
    found = normalised(found - (found @ known.T) @ known, jnp.arange(found.shape[0]) < count, 1)
    start = far.num_used
    far = draw(far, *reserve, count, coordinates.shape[0])
    return Asked(
        jax.lax.dynamic_update_slice_in_dim(known, found, asked.num_directions, 0),
        asked.num_directions + count,
        jax.lax.dynamic_update_slice_in_dim(asked.answers, found, start, 0),
    ), far


def upward(
    start: Start, ratio: Array, memory: Memory, below: Float[Array, "vectors lower"]
) -> Float[Array, "vectors upper"]:
    """Return W(0) φ/√N in coordinates of the upper layer, given φ in those of the lower one."""
    return below @ start.lower.answers.T + memory.forward * jax.lax.rsqrt(ratio) * below @ start.upper.answers


def downward(
    start: Start, ratio: Array, memory: Memory, above: Float[Array, "vectors upper"]
) -> Float[Array, "vectors lower"]:
    """Return W(0)ᵀ g/√N in coordinates of the lower layer, given g in those of the upper one."""
    return jnp.sqrt(ratio) * above @ start.upper.answers.T + memory.backward * ratio * above @ start.lower.answers

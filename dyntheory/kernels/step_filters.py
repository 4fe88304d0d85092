"""Discrete steps: gradient descent, heavy-ball and Nesterov momentum as spectral filters, exact at every step.

    v ← β v + ∂L/∂θ,   θ ← θ − η v            (heavy ball; Nesterov: θ ← θ − η (∂L/∂θ + β v))

are optax.sgd(η, momentum=β, nesterov=…). For one eigenvalue they are an affine map of (q, v), whose power is taken by
repeated squaring. A step of plain descent is a time η; one with momentum tends to η/(1 − β).

Reference: `polyak1964methods` for the heavy ball; the filters are those of `lee2019wide`, section 2.2, with η finite.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Float

from dyntheory.ground.arrays import Array, Number
from dyntheory.kernels.filters import Filter, from_decay


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class GradientDescent:
    """Full-batch steps of size `learning_rate` with `momentum` β; `step` is a whole number or infinity."""

    learning_rate: Number
    momentum: Number = 0.0
    nesterov: bool = dataclasses.field(default=False, metadata={"static": True})
    plain: bool = dataclasses.field(default=True, metadata={"static": True})

    @property
    def largest_stable(self) -> Number:
        """Largest η a, a = s/n + λ, below which every mode converges."""
        return (2 + 2 * self.momentum) / (1 + 2 * self.momentum) if self.nesterov else 2 + 2 * self.momentum

    def filter(self, values: Float[Array, "n"], step: Array, ridge: Number, num_samples: int) -> Filter:
        """Return q_k and p_k at every eigenvalue."""
        rate = jnp.where(values > 0, values / num_samples + ridge, 1.0)
        forever = jnp.isinf(step)
        count = jnp.where(forever, 0.0, step)
        decay, growth = (
            _plain(jnp.multiply(rate, self.learning_rate), count) if self.plain else self._powers(rate, count)
        )
        return from_decay(values, jnp.where(forever, 0.0, decay), jnp.where(forever, 1.0, growth), ridge, num_samples)

    def _powers(self, rate: Array, count: Array) -> tuple[Array, Array]:
        eta, beta = self.learning_rate, self.momentum
        one, zero = jnp.ones_like(rate), jnp.zeros_like(rate)
        push, keep = (1 + beta, beta**2) if self.nesterov else (1.0, beta)
        rows = [
            [1 - eta * push * rate, -eta * keep * one, eta * push * rate],
            [rate, beta * one, -rate],
            [zero, zero, one],
        ]  # acts on (q n a, v n a, 1)
        power = matrix_power(jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2), count.astype(int))
        return power[..., 0, 0], power[..., 0, 2]


def _plain(shrink: Array, count: Array) -> tuple[Array, Array]:
    """Return (1 − u)^k and 1 − (1 − u)^k to full relative accuracy."""
    distance = jnp.abs(1 - shrink)
    small = jnp.where(distance < 1, jnp.minimum(shrink, 2 - shrink), 0.5)
    logarithm = jnp.where(distance < 1, jnp.log1p(-small), jnp.log(jnp.where(distance < 1, 1.0, distance)))
    exponent = jnp.where(count > 0, count * logarithm, 0.0)
    negative = (shrink > 1) & (count % 2 == 1)
    decay = jnp.where(negative, -jnp.exp(exponent), jnp.exp(exponent))
    return decay, jnp.where(negative, 1 - decay, -jnp.expm1(exponent))


def matrix_power(matrices: Float[Array, "n m m"], exponent: Array) -> Float[Array, "n m m"]:
    """Return the power of every matrix by repeated squaring; the exponent may be traced."""

    def double(index: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        power, square = state
        left = exponent >> index
        power = jnp.where(left & 1 == 1, power @ square, power)
        return power, jnp.where(left > 1, square @ square, square)

    identity = jnp.broadcast_to(jnp.eye(matrices.shape[-1], dtype=matrices.dtype), matrices.shape)
    num_bits = jnp.iinfo(exponent.dtype).bits - 1
    return jax.lax.fori_loop(0, num_bits, double, (identity, matrices))[0]

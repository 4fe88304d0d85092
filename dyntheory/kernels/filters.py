"""Training a linear model on squared loss acts on every eigenvalue of the kernel alone: a spectral filter.

With f_t(x) = f_0(x) + Θ(x, X) c_t the dual coefficients are c_t = q_t(Θ) (y − f_0(X)) and the residuals on the
training inputs y − f_t(X) = p_t(Θ) (y − f_0(X)), p = 1 − s q. One mode of eigenvalue s decays with the rate

    a = s/n + λ,      L(θ) = (1/2n) Σ_i ‖f(x_i) − y_i‖² + (λ/2) ‖θ − θ_0‖²,

the loss being the *mean* over samples of half the squared error. Gradient flow θ̇ = −∂L/∂θ has q = (1 − e^{−at})/(na).

Reference: `jacot2018neural`, section 5; `lee2019wide`, section 2.2 (their loss is a sum over samples: their η is η/n).
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Float

from dyntheory.ground.arrays import Array, Number


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Filter:
    """Values of q and p at every eigenvalue, both of shape (n,)."""

    coefficient: Array
    residual: Array


def from_decay(values: Float[Array, "n"], decay: Array, growth: Array, ridge: Number, num_samples: int) -> Filter:
    """Return the filter whose deviation from the fixed point is `decay`, with q n a = `growth` = 1 − decay.

    Directions of eigenvalue zero do not move: the kernel with any test input vanishes on them, so q may be 0 there.
    """
    moving = values > 0
    rate = jnp.where(moving, values / num_samples + ridge, 1.0)
    coefficient = jnp.where(moving, growth / (num_samples * rate), 0.0)
    residual = jnp.where(moving, (ridge + values / num_samples * decay) / rate, 1.0)
    return Filter(coefficient, residual)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class GradientFlow:
    """θ̇ = −∂L/∂θ; `time` is real, zero or more, and may be infinite."""

    def filter(self, values: Float[Array, "n"], time: Array, ridge: Number, num_samples: int) -> Filter:
        """Return q_t and p_t at every eigenvalue."""
        rate = jnp.where(values > 0, values / num_samples + ridge, 1.0)
        forever = jnp.isinf(time)
        exponent = -rate * jnp.where(forever, 0.0, time)
        decay, growth = jnp.where(forever, 0.0, jnp.exp(exponent)), jnp.where(forever, 1.0, -jnp.expm1(exponent))
        return from_decay(values, decay, growth, ridge, num_samples)

"""Layers that rescale or drop units: layer normalisation and dropout."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from dyntheory.ground.arrays import Array, Key, PyTree
from dyntheory.ground.checks import check_nonnegative, check_scalar
from dyntheory.ground.kinds import check_arguments
from dyntheory.kernels.layer import Layer
from dyntheory.kernels.linear import need_gaussian
from dyntheory.kernels.moments import Block, State, deviations, inverse, root, settle


@dataclasses.dataclass(frozen=True)
class LayerNorm(Layer):
    """See `layer_norm`."""

    epsilon: float

    def apply(self, params: PyTree, x: Array, *, key: Key | None = None) -> Array:
        """Return (x − mean)/√(variance + ε) over channels."""
        del params, key
        centred = x - jnp.mean(x, axis=-1, keepdims=True)
        return centred * jax.lax.rsqrt(jnp.mean(jnp.square(centred), axis=-1, keepdims=True) + self.epsilon)

    def propagate(self, state: State) -> State:
        """Return all moments divided by the deviations of both inputs, which at infinite width do not fluctuate."""
        need_gaussian(state, "layer_norm")

        def block(one: Block) -> Block:
            left, right = (inverse(root(variance + self.epsilon)) for variance in (one.left, one.right))
            both = left * right
            ntk = None if one.ntk is None else both * one.ntk
            return one._replace(
                left=one.left * left**2,
                right=one.right * right**2,
                cov=both * one.cov,
                excess=both * one.excess,
                ntk=ntk,
            )

        return state.map(block)


def layer_norm(epsilon: float = 1e-6) -> LayerNorm:
    """Subtract the mean over channels and divide by their deviation, without trained scale or shift.

    It stands after `dense` or `conv`, where the mean over infinitely many channels is zero.

    Args:
        epsilon: added to the variance.

    Reference: `hron2020infinite`, section 4.2 (layer normalisation at infinite width).
    """
    check_arguments(layer_norm, locals())
    check_scalar("epsilon", epsilon)
    check_nonnegative("epsilon", epsilon)
    return LayerNorm(epsilon)


@dataclasses.dataclass(frozen=True)
class Dropout(Layer):
    """See `dropout`."""

    rate: float

    def apply(self, params: PyTree, x: Array, *, key: Key | None = None) -> Array:
        """Drop units with a mask of its own for every row; nothing without a key."""
        del params
        if key is None:
            return x
        kept = jax.random.bernoulli(key, 1.0 - self.rate, x.shape)
        return jnp.where(kept, x / (1.0 - self.rate), 0.0)

    def propagate(self, state: State) -> State:
        """Return the moments: variances grow by 1/(1 − rate), covariances stay."""
        more = 1.0 / (1.0 - self.rate)

        def block(one: Block) -> Block:
            left, right = deviations(one)
            excess = one.excess + (more - 1.0) * left * right
            ntk = one.ntk if one.ntk is None or one.same is None else jnp.where(one.same, more * one.ntk, one.ntk)
            after = one._replace(left=more * one.left, right=more * one.right, excess=excess, ntk=ntk)
            return settle(after)

        return state.map(block, gaussian=False)


def dropout(rate: float) -> Dropout:
    """Set each unit to zero with probability `rate`, and scale the others by 1/(1 − rate).

    The kernel is that of training, with independent masks for different rows: only the diagonal of a kernel between
    a set and itself sees the same mask twice. The finite network drops when `apply` is given a key.

    Args:
        rate: probability to drop, in [0, 1).

    Raises:
        ValueError: a rate outside.
    """
    check_arguments(dropout, locals())
    check_scalar("rate", rate)
    check_nonnegative("rate", rate)
    if rate >= 1:
        raise ValueError(f"`rate` must be below one, or nothing is left; got {rate}.")
    return Dropout(rate)

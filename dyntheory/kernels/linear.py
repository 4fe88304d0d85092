"""Layers that are linear in centred random weights, in both parameterisations; `dense` is one of them.

With h of `fan_in` numbers, the units z = σ_w/√fan_in · W h + σ_b b have E zz′ = σ_w² ⟨h, h′⟩/fan_in + σ_b² for
standard Gaussian W and b ("ntk"). The "standard" parameterisation z = W h + b draws W with standard deviation
σ_w/√fan_in and b with σ_b: the same function at the start, but a tangent kernel that grows with the width.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp

from dyntheory.ground.arrays import Array, Key, PyTree
from dyntheory.ground.checks import check_count, check_nonnegative, check_positive, check_scalar
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.names import check_name
from dyntheory.kernels.layer import Layer, start
from dyntheory.kernels.moments import Block, Scalar, State, add_moments, scale_moments

PARAMETERIZATIONS = ("ntk", "standard")


@dataclasses.dataclass(frozen=True)
class Affine:
    """Weights and bias of one linear layer.

    Args:
        weight_std: σ_w.
        bias_std: σ_b, or None for no bias.
        parameterization: "ntk" or "standard".
    """

    weight_std: Scalar
    bias_std: Scalar | None
    parameterization: str

    def __post_init__(self) -> None:
        check_scalar("weight_std", self.weight_std)
        check_positive("weight_std", self.weight_std)
        if self.bias_std is not None:
            check_scalar("bias_std", self.bias_std)
            check_nonnegative("bias_std", self.bias_std)
        check_name("parameterization", self.parameterization, PARAMETERIZATIONS)

    @property
    def is_standard(self) -> bool:
        """Whether the standard deviations are those of the parameters themselves."""
        return self.parameterization == "standard"

    def draw(self, key: Key, shape: tuple[int, ...], fan_in: int) -> dict[str, Array]:
        """Draw weights of that shape (the last axis is the width) and a bias."""
        weight_key, bias_key = jax.random.split(key)
        weights, scale = jax.random.normal(weight_key, shape), self.weight_std / math.sqrt(fan_in)
        params = {"weights": scale * weights if self.is_standard else weights}
        if self.bias_std is not None:
            bias = jax.random.normal(bias_key, shape[-1:])
            params["bias"] = self.bias_std * bias if self.is_standard else bias
        return params

    def scale(self, fan_in: int) -> Scalar:
        """Return the factor in front of W h."""
        return 1.0 if self.is_standard else self.weight_std / math.sqrt(fan_in)

    def shift(self, params: dict[str, Array], rank: int) -> Array | float:
        """Return the term added to W h."""
        if self.bias_std is None:
            return 0.0
        bias = params["bias"].reshape((1,) * (rank - 1) + (-1,))
        return bias if self.is_standard else self.bias_std * bias

    def block(self, block: Block, fan_in: int) -> Block:
        """Return the moments of z from those of h, already averaged over what one weight matrix sums over.

        The tangent kernel gains that of W and b themselves: E zz′ for "ntk", fan_in · ⟨h, h′⟩/fan_in and one for
        "standard" (`sohl2020infinite`, section 3.2, at the actual widths).
        """
        square = self.weight_std * self.weight_std
        after = scale_moments(block, square)
        if self.bias_std is not None:
            bias = jnp.full((1,) * block.cov.ndim, self.bias_std * self.bias_std, block.cov.dtype)
            ntk = None if block.ntk is None else jnp.zeros_like(bias)
            after = add_moments(after, Block(bias, bias, bias, jnp.zeros_like(bias), ntk))
        if after.ntk is None:
            return after
        own = fan_in * block.cov + float(self.bias_std is not None) if self.is_standard else after.cov
        return after._replace(ntk=own + after.ntk)


@dataclasses.dataclass(frozen=True)
class Dense(Layer):
    """See `dense`."""

    width: int
    affine: Affine

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape with `width` channels."""
        return (*input_shape[:-1], self.width)

    def init(self, key: Key, input_shape: tuple[int, ...]) -> dict[str, Array]:
        """Draw weights (d, width) and bias (width,)."""
        fan_in = start(key, input_shape)[-1]
        return self.affine.draw(key, (fan_in, self.width), fan_in)

    def apply(self, params: PyTree, x: Array, *, key: Key | None = None) -> Array:
        """Return σ_w/√d · x W + σ_b b."""
        del key
        product = jnp.matmul(x, params["weights"], precision=jax.lax.Precision.HIGHEST)
        return self.affine.scale(x.shape[-1]) * product + self.affine.shift(params, x.ndim)

    def propagate(self, state: State) -> State:
        """Return the moments of the preactivations.

        Reference: `lee2018deep`, eq. 4; `jacot2018neural`, theorem 1.
        """
        fan_in = state.layout.channels
        after = {"channels": self.width, "gaussian": True, "centred": state.layout.forks}
        return state.map(lambda block: self.affine.block(block, fan_in), **after)


def dense(
    width: int, *, weight_std: Scalar = 1.0, bias_std: Scalar | None = None, parameterization: str = "ntk"
) -> Dense:
    """Connect all channels to `width` units, at every position alike: z = σ_w/√d · h W + σ_b b.

    Scaling: kernels are per unit, ⟨h, h′⟩/d · σ_w² + σ_b², O(1) at any width. In the "standard" parameterisation the
    same network draws W ~ N(0, σ_w²/d), b ~ N(0, σ_b²), and its tangent kernel is O(width).

    Args:
        width: number of units.
        weight_std: σ_w.
        bias_std: σ_b; None has no bias. Zero differs from None in the "standard" parameterisation: the bias trains.
        parameterization: "ntk" or "standard".

    Raises:
        ValueError: a width below one, or a standard deviation out of range.
        TypeError: something that is not a number.

    Example:
        >>> import jax.numpy as jnp
        >>> from dyntheory import kernels
        >>> network = kernels.serial(kernels.dense(512, weight_std=1.5), kernels.erf(), kernels.dense(1))
        >>> network.kernel(jnp.ones((3, 10))).ntk.shape
        (3, 3)

    Reference: `lee2018deep`, eq. 4; `jacot2018neural`, section 3; `sohl2020infinite`, section 3.2.
    """
    check_arguments(dense, locals())
    return Dense(check_count("width", width), Affine(weight_std, bias_std, parameterization))


@dataclasses.dataclass(frozen=True)
class Identity(Layer):
    """The layer that changes nothing."""

    def apply(self, params: PyTree, x: Array, *, key: Key | None = None) -> Array:
        """Return the input."""
        del params, key
        return x

    def propagate(self, state: State) -> State:
        """Return the moments as they are."""
        return state


def identity() -> Identity:
    """Change nothing: the shortcut of a residual block."""
    return Identity()


def need_gaussian(state: State, what: str) -> None:
    """Require independent copies of a centred Gaussian.

    Raises:
        ValueError: the units are not.
    """
    if not state.layout.gaussian:
        raise ValueError(
            f"`{what}` needs preactivations, units that are Gaussian at infinite width: put `dense`, `conv` or "
            "`attention` before it (inputs, activations, flattened or concatenated units and dropout's are not)."
        )


def forbid(condition: Any, message: str) -> None:
    """Raise a ValueError with that message when the condition holds."""
    if condition:
        raise ValueError(message)

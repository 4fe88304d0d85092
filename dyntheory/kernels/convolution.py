"""Convolutions: one set of random weights at every position."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from dyntheory.ground.arrays import Array, Key, PyTree
from dyntheory.ground.checks import check_count
from dyntheory.ground.kinds import check_arguments
from dyntheory.kernels.layer import Layer, start
from dyntheory.kernels.linear import Affine
from dyntheory.kernels.moments import Block, Scalar, State, root, same_after, scale_moments, settle
from dyntheory.kernels.windows import Window, make_window, sum_together


@dataclasses.dataclass(frozen=True)
class Conv(Layer):
    """See `conv`."""

    width: int
    window: Window
    affine: Affine

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the positions left, and `width` channels."""
        return (*self.window.spatial_shape(input_shape[:-1]), self.width)

    def init(self, key: Key, input_shape: tuple[int, ...]) -> dict[str, Array]:
        """Draw weights (*window, d, width) and bias (width,)."""
        shape = start(key, input_shape)
        self.output_shape(shape)
        return self.affine.draw(key, (*self.window.shape, shape[-1], self.width), shape[-1] * self.window.size)

    def apply(self, params: PyTree, x: Array, *, key: Key | None = None) -> Array:
        """Return σ_w/√(window · d) · (W ∗ x) + σ_b b."""
        del key
        num_spatial = x.ndim - 2
        self.window.spatial_shape(x.shape[1:-1])
        for axis in range(num_spatial):
            x = self.window.pad(x, [axis + 1], axis)
        channels, spatial = num_spatial + 1, tuple(range(1, num_spatial + 1))
        numbers = jax.lax.ConvDimensionNumbers(
            (0, channels, *spatial), (channels, num_spatial, *range(num_spatial)), (0, channels, *spatial)
        )
        product = jax.lax.conv_general_dilated(
            x,
            params["weights"],
            self.window.strides,
            "VALID",
            dimension_numbers=numbers,
            precision=jax.lax.Precision.HIGHEST,
        )
        fan_in = x.shape[-1] * self.window.size
        return self.affine.scale(fan_in) * product + self.affine.shift(params, x.ndim)

    def propagate(self, state: State) -> State:
        """Return the moments, averaged over the window moved over both positions alike.

        Reference: `novak2019bayesian`, section 2.2; `arora2019exact`, section 4.
        """
        layout = state.layout
        cov = state.cross.cov
        shape = self.window.spatial_shape(cov.shape[cov.ndim - layout.num_spatial :] if layout.num_spatial else ())
        fan_in = layout.channels * self.window.size

        def block(one: Block) -> Block:
            mean = scale_moments(sum_together(self.window, one, layout), 1.0 / self.window.size)
            return settle(self.affine.block(mean, fan_in)._replace(same=same_after(one, layout, shape)))

        return state.map(block, channels=self.width, gaussian=True, centred=layout.forks)


def conv(
    width: int,
    window: int | Sequence[int],
    *,
    strides: int | Sequence[int] | None = None,
    padding: str = "SAME",
    weight_std: Scalar = 1.0,
    bias_std: Scalar | None = None,
    parameterization: str = "ntk",
) -> Conv:
    """Convolve inputs (n, *S, d) with random weights, over one, two or more axes of positions.

    Scaling: z = σ_w/√(window · d) · (W ∗ h) + σ_b b; positions in the zero padding count in the fan-in.

    Args:
        width: number of channels of the output.
        window: size along every spatial axis; one number is a window over one axis.
        strides: steps, one for all axes or one each; default 1.
        padding: "SAME" (zeros), "VALID" or "CIRCULAR".
        weight_std: σ_w.
        bias_std: σ_b, or None for no bias.
        parameterization: "ntk" or "standard", see `dense`.

    Raises:
        ValueError: sizes or standard deviations out of range, an unknown padding.

    Example:
        >>> import jax.numpy as jnp
        >>> from dyntheory import kernels as k
        >>> network = k.serial(k.conv(32, (3, 3)), k.relu(), k.flatten(), k.dense(1))
        >>> network.kernel(jnp.ones((2, 5, 5, 3))).ntk.shape
        (2, 2)

    Reference: `novak2019bayesian`, section 2.2; `arora2019exact`, section 4.
    """
    check_arguments(conv, locals())
    affine = Affine(weight_std, bias_std, parameterization)
    return Conv(check_count("width", width), make_window(window, strides, padding), affine)


@dataclasses.dataclass(frozen=True)
class Flatten(Layer):
    """See `flatten`."""

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return one axis."""
        return (math.prod(input_shape),)

    def apply(self, params: PyTree, x: Array, *, key: Key | None = None) -> Array:
        """Return (n, everything)."""
        del params, key
        return x.reshape(x.shape[0], -1)

    def propagate(self, state: State) -> State:
        """Return the mean over positions, each compared with itself."""
        layout = state.layout
        if layout.num_spatial == 0:
            return state
        block = _positions_together(state.cross, state)
        channels = layout.channels * block.cov.shape[-1]
        means = [jnp.mean(array, axis=-1) for array in (block.left, block.right, block.cov, block.excess)]
        left, right, cov, excess = means
        spread = jnp.mean(jnp.square(root(block.left) - root(block.right)), axis=-1)
        excess = excess + 0.5 * (spread - jnp.square(root(left) - root(right)))
        ntk = None if block.ntk is None else jnp.mean(block.ntk, axis=-1)
        same = None if block.same is None else block.same[..., 0]
        cross = settle(Block(left, right, cov, jnp.maximum(excess, 0.0), ntk, same, block.left_out))
        flat = dataclasses.replace(layout, channels=channels, num_spatial=0, pairs=False, gaussian=False)
        return State(cross, None, None, flat)


def _positions_together(block: Block, state: State) -> Block:
    """Return the moments between equal positions, (n1, n2, P); sides keep their axes of length one for rows."""
    num_spatial = state.layout.num_spatial

    def merge(array: Array | None) -> Array | None:
        if array is None:
            return None
        if not state.layout.pairs:
            return array.reshape(*array.shape[:2], -1)
        halves = (array.shape[2 : 2 + num_spatial], array.shape[2 + num_spatial :])
        first, second = (math.prod(half) for half in halves)
        merged = array.reshape(*array.shape[:2], first, second)
        if first == second:
            return jnp.diagonal(merged, axis1=2, axis2=3)
        return merged.reshape(*array.shape[:2], -1)

    return Block(*(merge(array) for array in block[:6]), left_out=block.left_out)  # pyright: ignore


def flatten() -> Flatten:
    """Make one axis of all positions and channels; a linear layer has to come before the next nonlinearity."""
    return Flatten()

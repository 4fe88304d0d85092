"""Averages and sums over positions; their kernels compare all pairs of positions."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import jax.numpy as jnp

from dyntheory.ground.arrays import Array, Key, PyTree
from dyntheory.ground.kinds import check_arguments
from dyntheory.kernels.layer import Layer
from dyntheory.kernels.linear import forbid
from dyntheory.kernels.moments import Block, State, from_covariances, same_after, with_excess
from dyntheory.kernels.windows import Window, make_window, sum_apart, sum_signal

NO_POSITIONS = "`{}` needs inputs with positions, (rows, *positions, d); here they are gone or were never there."


@dataclasses.dataclass(frozen=True)
class Pool(Layer):
    """Sums or means over a window."""

    window: Window
    average: bool

    @property
    def needs_pairs(self) -> bool:
        """Whether different positions are compared: they are."""
        return True

    @property
    def _factor(self) -> float:
        return 1.0 / self.window.size if self.average else 1.0

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the positions left."""
        return (*self.window.spatial_shape(input_shape[:-1]), input_shape[-1])

    def apply(self, params: PyTree, x: Array, *, key: Key | None = None) -> Array:
        """Return the sum or the mean over the window; zero padding counts in the mean."""
        del params, key
        self.window.spatial_shape(x.shape[1:-1])
        return self._factor * sum_signal(self.window, x)

    def propagate(self, state: State) -> State:
        """Return the moments averaged over a window around each position.

        Reference: `novak2019bayesian`, section 3.2.
        """
        layout = state.layout
        forbid(layout.num_spatial == 0, NO_POSITIONS.format("average_pool"))
        shape = self.window.spatial_shape(state.cross.cov.shape[-layout.num_spatial :])

        def block(one: Block) -> Block:
            cov, ntk = (
                None if array is None else self._factor**2 * sum_apart(self.window, array, layout)
                for array in (one.cov, one.ntk)
            )
            assert cov is not None
            return one._replace(cov=cov, ntk=ntk, same=same_after(one, layout, shape))

        return from_covariances(state, block)


@dataclasses.dataclass(frozen=True)
class GlobalPool(Layer):
    """The sum or the mean over all positions."""

    average: bool

    @property
    def needs_pairs(self) -> bool:
        """Whether different positions are compared: they are."""
        return True

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the channels."""
        return input_shape[-1:]

    def apply(self, params: PyTree, x: Array, *, key: Key | None = None) -> Array:
        """Return (n, d)."""
        del params, key
        axes = tuple(range(1, x.ndim - 1))
        return jnp.mean(x, axis=axes) if self.average else jnp.sum(x, axis=axes)

    def propagate(self, state: State) -> State:
        """Return the mean or the sum over all pairs of positions."""
        layout = state.layout
        forbid(layout.num_spatial == 0, NO_POSITIONS.format("global_average_pool"))

        def total(array: Array) -> Array:
            axes = tuple(range(array.ndim - 2 * layout.num_spatial, array.ndim))
            return jnp.mean(array, axis=axes) if self.average else jnp.sum(array, axis=axes)

        cross, within1, within2 = state.cross, state.within1, state.within2
        assert within1 is not None and within2 is not None and cross.ntk is not None
        same = None if cross.same is None else cross.same.reshape(*cross.same.shape[:2], -1)[..., 0]
        left, right, cov = total(within1.cov)[:, None], total(within2.cov)[None], total(cross.cov)
        block = with_excess(Block(left, right, cov, cov, total(cross.ntk), same, cross.left_out))
        return State(block, None, None, dataclasses.replace(layout, num_spatial=0, pairs=False))


def average_pool(
    window: int | Sequence[int], *, strides: int | Sequence[int] | None = None, padding: str = "VALID"
) -> Pool:
    """Average over a window of positions.

    Args:
        window: size along every spatial axis; one number is a window over one axis.
        strides: steps; default the window itself, so that windows touch and do not overlap.
        padding: "SAME" (zeros, which count), "VALID" or "CIRCULAR".

    Reference: `novak2019bayesian`, section 3.2.
    """
    check_arguments(average_pool, locals())
    return Pool(make_window(window, window if strides is None else strides, padding), True)


def sum_pool(
    window: int | Sequence[int], *, strides: int | Sequence[int] | None = None, padding: str = "VALID"
) -> Pool:
    """Sum over a window of positions; arguments as for `average_pool`."""
    check_arguments(sum_pool, locals())
    return Pool(make_window(window, window if strides is None else strides, padding), False)


def global_average_pool() -> GlobalPool:
    """Average over all positions."""
    return GlobalPool(True)


def global_sum_pool() -> GlobalPool:
    """Sum over all positions."""
    return GlobalPool(False)

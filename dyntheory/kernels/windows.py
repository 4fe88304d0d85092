"""Sliding windows over positions, of signals and of their moments.

A window slides over one spatial axis at a time, as a sum of shifted slices. For moments of pairs of positions a
convolution shifts both positions together, while pooling shifts each on its own.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from dyntheory.ground.arrays import Array, PyTree
from dyntheory.ground.checks import check_count
from dyntheory.ground.names import check_name
from dyntheory.kernels.moments import Block, Layout, Scalar, add_moments

PADDINGS = ("SAME", "VALID", "CIRCULAR")


@dataclasses.dataclass(frozen=True)
class Window:
    """Shape, strides and padding of a window.

    Args:
        shape: size along each spatial axis.
        strides: step along each.
        padding: "SAME" and "CIRCULAR" keep ⌈length/stride⌉ positions, filled up with zeros or periodically; "VALID"
            keeps those where the window lies inside.
    """

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    padding: str

    @property
    def size(self) -> int:
        """Number of positions in the window."""
        return functools.reduce(lambda total, length: total * length, self.shape, 1)

    def pads(self, length: int, axis: int) -> tuple[int, int]:
        """Return how many positions are added before and after an axis of that length."""
        if self.padding == "VALID":
            return 0, 0
        total = max((-(-length // self.strides[axis]) - 1) * self.strides[axis] + self.shape[axis] - length, 0)
        return total // 2, total - total // 2

    def count(self, length: int, axis: int) -> int:
        """Return the number of positions left of an axis of that length."""
        return (length + sum(self.pads(length, axis)) - self.shape[axis]) // self.strides[axis] + 1

    def spatial_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the spatial shape after the window has slid over `shape`.

        Raises:
            ValueError: the number of axes is another one, or the window does not fit.
        """
        if len(shape) != len(self.shape):
            raise ValueError(f"A window {self.shape} needs inputs with {len(self.shape)} spatial axes, got {shape}.")
        if self.padding != "SAME" and any(size > length for size, length in zip(self.shape, shape, strict=True)):
            raise ValueError(f"A window {self.shape} does not fit into positions {shape} with {self.padding} padding.")
        return tuple(self.count(length, axis) for axis, length in enumerate(shape))

    def pad(self, array: Array, axes: Sequence[int], axis: int) -> Array:
        """Fill up the given axes of the array, which all belong to spatial axis `axis` of the window."""
        widths = [(0, 0)] * array.ndim
        for place in axes:
            widths[place] = self.pads(array.shape[place], axis)
        return jnp.pad(array, widths, mode="wrap" if self.padding == "CIRCULAR" else "constant")

    def shifted(self, padded: Array, axes: Sequence[int], axis: int, offset: Scalar) -> Array:
        """Return what a padded array holds at that offset of the window along `axis`, all given axes together."""
        starts: list[Any] = [0] * padded.ndim
        index = [slice(None)] * padded.ndim
        sizes = list(padded.shape)
        for place in axes:
            starts[place], sizes[place] = offset, padded.shape[place] - self.shape[axis] + 1
            index[place] = slice(None, None, self.strides[axis])
        return jax.lax.dynamic_slice(padded, starts, sizes)[tuple(index)]


def make_window(
    shape: int | Sequence[int], strides: int | Sequence[int] | None, padding: str, *, num_axes: int | None = None
) -> Window:
    """Check and build a window; one number means the same along `num_axes` axes (default one).

    Raises:
        ValueError: sizes below one, numbers that do not match, or an unknown padding.
        TypeError: sizes that are not integers.
    """
    sizes = (shape,) * (num_axes or 1) if isinstance(shape, int) else tuple(shape)
    steps = (
        (1 if strides is None else strides,) * len(sizes) if strides is None or isinstance(strides, int) else strides
    )
    sizes, steps = (
        tuple(check_count(name, number) for number in numbers)
        for name, numbers in (("window", sizes), ("strides", steps))
    )
    if not sizes or len(sizes) != len(steps):
        raise ValueError(f"`window` and `strides` must have as many numbers, got {sizes} and {steps}.")
    return Window(sizes, steps, check_name("padding", padding, PADDINGS))


def _slide(
    window: Window, axis: int, arrays: PyTree, axes: Sequence[Sequence[int]], add: Callable[[Any, Any], PyTree]
) -> Any:
    """Return what is found at all offsets of the window along `axis`, added one after the other.

    The loop is one in the program, so compiling takes no longer for larger windows.

    Args:
        window: the window.
        axis: its axis.
        arrays: a tree of arrays.
        axes: for each of its leaves which of their axes belong to that axis of the window.
        add: adds what is found at one more offset.
    """
    leaves, rebuild = jax.tree.flatten(arrays)
    padded = [window.pad(leaf, own, axis) for leaf, own in zip(leaves, axes, strict=True)]

    def found(offset: Scalar) -> PyTree:
        return rebuild.unflatten(
            window.shifted(leaf, own, axis, offset) for leaf, own in zip(padded, axes, strict=True)
        )

    if window.shape[axis] == 1:
        return found(0)
    return jax.lax.fori_loop(1, window.shape[axis], lambda offset, total: add(total, found(offset)), found(0))


def sum_together(window: Window, block: Block, layout: Layout) -> Block:
    """Return the moments summed over a window that moves both positions together, uncorrelated between offsets.

    Where one position lies in the zero padding, its variance there is zero, and so is the covariance.
    """
    for axis in range(layout.num_spatial):
        left = layout.left_axes(block.cov.ndim)[axis]
        right = layout.right_axes(block.cov.ndim)[axis]
        both = sorted({left, right})
        axes = [[left], [right], both, both, *([] if block.ntk is None else [both])]
        moments = block._replace(same=None, left_out=None)
        block = _slide(window, axis, moments, axes, add_moments)._replace(left_out=block.left_out)
    return block


def sum_apart(window: Window, array: Array, layout: Layout) -> Array:
    """Return an array over pairs of positions summed over a window around each of them."""
    for axis in range(layout.num_spatial):
        for place in (layout.left_axes(array.ndim)[axis], layout.right_axes(array.ndim)[axis]):
            array = _slide(window, axis, array, [[place]], jnp.add)
    return array


def sum_signal(window: Window, x: Array) -> Array:
    """Return signals (n, *S, d) summed over the window."""
    for axis in range(len(window.shape)):
        x = _slide(window, axis, x, [[axis + 1]], jnp.add)
    return x

"""Architectures from layers: in a row, side by side, around a shortcut."""

from __future__ import annotations

import dataclasses
import functools
import operator
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from dyntheory.ground.arrays import Array, Key, PyTree
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.names import check_name
from dyntheory.kernels.layer import Layer, start
from dyntheory.kernels.linear import Identity, forbid
from dyntheory.kernels.moments import Block, State, add_moments, scale_moments
from dyntheory.kernels.repeats import propagated


def _layers(name: str, layers: Sequence[Layer]) -> tuple[Layer, ...]:
    if not layers:
        raise ValueError(f"`{name}` needs at least one layer.")
    for layer in layers:
        if not isinstance(layer, Layer):
            raise TypeError(f"`{name}` takes layers such as dense(10) or relu(), with their brackets, got {layer!r}.")
    return tuple(layers)


def _keys(key: Key | None, num: int) -> Sequence[Key | None]:
    return [None] * num if key is None else list(jax.random.split(key, num))


@dataclasses.dataclass(frozen=True)
class Serial(Layer):
    """See `serial`."""

    layers: tuple[Layer, ...]

    @property
    def needs_pairs(self) -> bool:
        """Whether any layer compares different positions."""
        return any(layer.needs_pairs for layer in self.layers)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape after all layers."""
        return functools.reduce(lambda shape, layer: layer.output_shape(shape), self.layers, input_shape)

    def init(self, key: Key, input_shape: tuple[int, ...]) -> list[PyTree]:
        """Draw the parameters of every layer."""
        params, shape = [], start(key, input_shape)
        for layer, layer_key in zip(self.layers, jax.random.split(key, len(self.layers)), strict=True):
            params.append(layer.init(layer_key, shape))
            shape = layer.output_shape(shape)
        return params

    def apply(self, params: PyTree, x: Array, *, key: Key | None = None) -> Array:
        """Return the output of the last layer."""
        for layer, param, layer_key in zip(self.layers, params, _keys(key, len(self.layers)), strict=True):
            x = layer.apply(param, x, key=layer_key)
        return x

    def propagate(self, state: State) -> State:
        """Return the moments after the last layer."""
        return propagated(self.layers, state)


def serial(*layers: Layer) -> Serial:
    """Put layers in a row.

    Args:
        layers: from the input to the output.

    Returns:
        A network with `init(key, input_shape)`, `apply(params, x)` and `kernel(x1, x2=None)`.

    Raises:
        TypeError: something that is not a layer.
        ValueError: no layer.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from dyntheory import kernels
        >>> network = kernels.serial(
        ...     kernels.dense(256, weight_std=2**0.5, bias_std=0.1), kernels.relu(), kernels.dense(1)
        ... )
        >>> params = network.init(jax.random.key(0), (5,))
        >>> network.apply(params, jnp.ones((3, 5))).shape
        (3, 1)
        >>> nngp, ntk = network.kernel(jnp.ones((3, 5)), jnp.zeros((2, 5)))
        >>> nngp.shape, ntk.shape
        ((3, 2), (3, 2))
    """
    check_arguments(serial, locals())
    return Serial(_layers("serial", layers))


@dataclasses.dataclass(frozen=True)
class Parallel(Layer):
    """Several branches on one input; their outputs are added or concatenated."""

    branches: tuple[Layer, ...]
    combine: str

    @property
    def needs_pairs(self) -> bool:
        """Whether any branch compares different positions."""
        return any(branch.needs_pairs for branch in self.branches)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the common shape, or the one with all channels.

        Raises:
            ValueError: the branches do not fit together.
        """
        shapes = [branch.output_shape(input_shape) for branch in self.branches]
        kept = slice(None) if self.combine == "sum" else slice(None, -1)
        fits = all(shape[kept] == shapes[0][kept] for shape in shapes)
        forbid(not fits, f"The branches of a {self.combine} must have outputs of one shape, got {shapes}.")
        return shapes[0] if self.combine == "sum" else (*shapes[0][:-1], sum(shape[-1] for shape in shapes))

    def init(self, key: Key, input_shape: tuple[int, ...]) -> list[PyTree]:
        """Draw the parameters of every branch."""
        shape = start(key, input_shape)
        self.output_shape(shape)
        keys = jax.random.split(key, len(self.branches))
        return [branch.init(branch_key, shape) for branch, branch_key in zip(self.branches, keys, strict=True)]

    def apply(self, params: PyTree, x: Array, *, key: Key | None = None) -> Array:
        """Return the sum or the concatenation of the branches."""
        keys = _keys(key, len(self.branches))
        outputs = [
            branch.apply(param, x, key=branch_key)
            for branch, param, branch_key in zip(self.branches, params, keys, strict=True)
        ]
        return functools.reduce(operator.add, outputs) if self.combine == "sum" else jnp.concatenate(outputs, axis=-1)

    def propagate(self, state: State) -> State:
        """Return the moments of the sum, or their means weighted by channels.

        Raises:
            ValueError: the outputs are correlated, or do not fit together.
        """
        forks = state.layout.forks + 1
        inside = dataclasses.replace(state, layout=dataclasses.replace(state.layout, forks=forks))
        states = [branch.propagate(inside) for branch in self.branches]
        layouts = [one.layout for one in states]
        forbid(
            len({one.cross.cov.shape for one in states}) > 1 or len({one.num_spatial for one in layouts}) > 1,
            "The branches must keep the same positions.",
        )
        widths = [layout.channels for layout in layouts]
        centred = min(*(layout.centred for layout in layouts), forks - 1)
        if self.combine == "concat":
            weights, after = [width / sum(widths) for width in widths], {"channels": sum(widths), "gaussian": False}
        else:
            forbid(len(set(widths)) > 1, "The branches of a sum must have one width.")
            _forbid_correlated([number for number, layout in enumerate(layouts) if layout.centred < forks])
            weights, after = [1.0] * len(states), {"gaussian": all(layout.gaussian for layout in layouts)}
        return _combine(states, weights, forks=forks - 1, centred=centred, **after)


def _forbid_correlated(uncentred: list[int]) -> None:
    """Require that at most one branch has a mean when the input of the sum is held fixed."""
    forbid(
        len(uncentred) > 1,
        f"A sum needs uncorrelated branches, but those at the places {uncentred}, from zero, are not: at a given input "
        "none of them has mean zero over weights of its own (it has no weights, or a function that is not odd comes "
        "after them), so their kernels do not add. End all but one of them with `dense` or `conv`.",
    )


def _combine(states: list[State], weights: list[float], **after: int) -> State:
    """Return the weighted sum of all moments, with these changes to the layout."""

    def total(*blocks: Block) -> Block:
        weighted = [scale_moments(block, weight) for block, weight in zip(blocks, weights, strict=True)]
        return functools.reduce(add_moments, weighted)

    within1 = [one.within1 for one in states if one.within1 is not None]
    within2 = [one.within2 for one in states if one.within2 is not None]
    layout = dataclasses.replace(states[0].layout, **after)
    first = total(*within1) if within1 else None
    shared = all(one.within1 is one.within2 for one in states)
    second = first if shared else (total(*within2) if within2 else None)
    return State(total(*(one.cross for one in states)), first, second, layout)


def add(*branches: Layer) -> Parallel:
    """Add the outputs of branches on one input.

    Their kernels add when they are uncorrelated. With the input held fixed, all but one must have mean zero over random
    weights of their own: after `dense`, `conv` or `attention`, after an odd function of these (`erf`, `sin`, `sign`,
    tanh), and after sums, concatenations, pools, normalisation and dropout of such signals.

    Args:
        branches: layers from the same input to outputs of one shape.

    Raises:
        TypeError: something that is not a layer.
        ValueError: no layer; from `kernel`, branches that are correlated or do not fit together.

    Example:
        >>> import jax.numpy as jnp
        >>> from dyntheory import kernels as k
        >>> block = k.serial(k.dense(8), k.residual(k.relu(), k.dense(8)))
        >>> k.add(block, k.serial(k.dense(8), k.erf())).kernel(jnp.ones((2, 4))).nngp.shape
        (2, 2)
        >>> k.add(k.identity(), k.identity()).kernel(jnp.ones((2, 4)))  # 2x has four times the kernel, not twice
        Traceback (most recent call last):
        ...
        ValueError: A sum needs uncorrelated branches, ...
    """
    check_arguments(add, locals())
    return Parallel(_layers("add", branches), "sum")


def concatenate(*branches: Layer) -> Parallel:
    """Concatenate the channels of branches on one input; the kernels are averaged by width.

    The units then no longer share one law: a linear layer has to come before the next nonlinearity.
    """
    check_arguments(concatenate, locals())
    return Parallel(_layers("concatenate", branches), "concat")


def residual(*layers: Layer, combine: str = "sum") -> Parallel:
    """Put layers in a row beside a shortcut: x + f(x), or (x, f(x)) with `combine="concat"`.

    Args:
        layers: f; for a sum of the width of its input, and of mean zero over its weights (see `add`), as after `dense`.
        combine: "sum" or "concat".

    Example:
        >>> import jax.numpy as jnp
        >>> from dyntheory import kernels as k
        >>> network = k.serial(k.dense(64), k.residual(k.relu(), k.dense(64)), k.relu(), k.dense(1))
        >>> network.kernel(jnp.ones((2, 4))).nngp.shape
        (2, 2)
    """
    check_arguments(residual, locals())
    check_name("combine", combine, ("sum", "concat"))
    return Parallel((Identity(), serial(*layers)), combine)

"""Deep linear networks as matrices: their gradient, their loss, and what is given of them, checked once."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.ground.arrays import Array, ArrayLike, PyTree
from dyntheory.ground.checks import check_finite, check_second_moment
from dyntheory.ground.precision import as_double

RANGE = 1e-9
MATRIX = 2


class Task(NamedTuple):
    """What is learned: Σ_yx (out, in), C (in, in), and W* = Σ_yx C⁺, the best linear map."""

    correlation: Any
    covariance: Any
    target: Any


def checked(
    correlation: ArrayLike, weights: Sequence[ArrayLike], covariance: ArrayLike | None
) -> tuple[Task, tuple[np.ndarray, ...]]:
    """Return the task and the layers W_1, …, W_L as NumPy arrays.

    Raises:
        ValueError: shapes that do not match, entries that are not finite, or labels that correlate with inputs that are
            constant.
    """
    check_finite("correlation", correlation)
    target = np.asarray(correlation, float)
    if target.ndim != MATRIX:
        raise ValueError(f"`correlation` must have shape (outputs, inputs), got {target.shape}.")
    moment = np.eye(target.shape[1])
    if covariance is not None:
        check_second_moment("covariance", covariance, target.shape[1])
        moment = np.asarray(covariance, float)
    best = target @ np.linalg.pinv(moment, hermitian=True)
    if np.abs(best @ moment - target).max() > RANGE * max(np.abs(target).max(), 1e-300):
        raise ValueError("`correlation` must vanish for inputs of no variance: they cannot correlate with labels.")
    layers = []
    for index, one in enumerate(weights):
        check_finite("weights", one)
        layers.append(np.asarray(one, float))
        if layers[-1].ndim != MATRIX:
            raise ValueError(f"`weights[{index}]` must be a matrix (outputs, inputs), got {layers[-1].shape}.")
    shapes = [layer.shape for layer in layers]
    sizes = [target.shape[1], *(shape[0] for shape in shapes)]
    if (
        not layers
        or any(shape[1] != size for shape, size in zip(shapes, sizes, strict=False))
        or (sizes[-1] != target.shape[0])
    ):
        raise ValueError(
            f"`weights` must be layers W_1, …, W_L whose product W_L ⋯ W_1 has the shape {target.shape} of "
            f"`correlation`, got shapes {shapes}."
        )
    return Task(target, moment, best), tuple(layers)


def product(layers: Sequence[Any]) -> Any:
    """Return W_L ⋯ W_1."""
    return functools.reduce(lambda so_far, layer: layer @ so_far, layers[1:], layers[0])


def excess_loss(task: Task, layers: Sequence[Array]) -> Array:
    """Return ½ tr (W − W*) C (W − W*)ᵀ: the loss above that of the best linear map."""
    off = product(layers) - task.target
    return 0.5 * jnp.sum((off @ task.covariance) * off)


def descent(task: Task, layers: Sequence[Array]) -> tuple[Array, ...]:
    """Return minus the gradient of every layer, (W_L ⋯ W_{l+1})ᵀ (Σ_yx − W C) (W_{l−1} ⋯ W_1)ᵀ."""
    residual = task.correlation - product(layers) @ task.covariance
    found = []
    for index in range(len(layers)):
        pull = residual if index == len(layers) - 1 else product(layers[index + 1 :]).T @ residual
        found.append(pull if index == 0 else pull @ product(layers[:index]).T)
    return tuple(found)


def field(_: Array, layers: PyTree, task: PyTree) -> PyTree:
    """Return the right side of the gradient flow."""
    return descent(task, layers)


def as_arrays(task: Task, layers: tuple[np.ndarray, ...]) -> tuple[Task, tuple[Array, ...]]:
    """Return both in float64; call inside `double_precision`."""
    return Task(*map(as_double, task)), tuple(map(as_double, layers))


@jax.jit
def losses(task: Task, layers: tuple[Array, ...]) -> Array:
    """Return excess losses along two leading axes."""
    return jax.vmap(jax.vmap(excess_loss, in_axes=(None, 0)), in_axes=(None, 0))(task, layers)

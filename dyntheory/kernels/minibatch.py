"""Mini-batch noise: exact mean and covariance, over the choice of batches, of SGD on a linear(ised) model.

Every step draws B of the n samples anew; P counts how often each was drawn. In the dual coefficients c of
f = f_0 + Θ(·, X) c, with the residual r = f − y on the training inputs,

    v ← β v + P r/B + λ c,    c ← c − η v,

whose mean follows the full batch. The gradient's noise has, given r, the covariance
(γ/B) (diag(r²)/n − r rᵀ/n²), γ = 1 with replacement and (n − B)/(n − 1) without, so that mean and covariance of (c, v)
close: nothing is approximated, not even by small steps.

Reference: `paquette2021sgd` for SGD on least squares; the recursion is the second moment of the update written out.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from dyntheory.ground.arrays import Array, ArrayLike, Number
from dyntheory.ground.checks import check_count, check_nonnegative, check_positive, check_scalar
from dyntheory.ground.kinds import check_arguments
from dyntheory.kernels.eigensystem import check_kernel
from dyntheory.kernels.precision import in_double, real_array


class MinibatchMoments(NamedTuple):
    """After every step 0..T: mean and variance of the outputs, and the expected training loss.

    `mean` and `variance` (T+1, n) or (T+1, n, o) on the training inputs, the same with m rows in `test_mean` and
    `test_variance` (None without test kernels); `train_loss` (T+1,) is E (1/2n) Σ ‖f(x_i) − y_i‖².
    """

    mean: Any
    variance: Any
    train_loss: Any
    test_mean: Any
    test_variance: Any


class _Run(NamedTuple):
    """What a step needs: kernel, initial residual (f_0 − y), numbers, and the map of the mean (2n, 2n)."""

    kernel: Array
    residual: Array
    learning_rate: Number
    ridge: Number
    transition: Array
    noise_scale: Number


@in_double
def sgd_moments(
    kernel: ArrayLike,
    labels: ArrayLike,
    *,
    batch_size: int,
    learning_rate: Number,
    num_steps: int,
    momentum: Number = 0.0,
    ridge: Number = 0.0,
    replacement: bool = False,
    initial: ArrayLike | None = None,
    test_train: ArrayLike | None = None,
    test_initial: ArrayLike | None = None,
) -> MinibatchMoments:
    """Return what mini-batch SGD does on average, and how much it scatters, at every step.

    Costs O(n³) a step and output.

    Scaling:
        The loss of a batch is the mean over its samples of half the squared error.

    Args:
        kernel: tangent kernel of the training inputs, (n, n).
        labels: y, (n,) or (n, o).
        batch_size: B.
        learning_rate: η.
        num_steps: T.
        momentum: β of the heavy ball.
        ridge: λ, of the penalty (λ/2) ‖θ − θ_0‖².
        replacement: whether one batch may hold a sample twice; batches of different steps are independent either way.
        initial: f_0(X), as the labels; default zero.
        test_train: kernel between test and training inputs, (m, n).
        test_initial: f_0 on the test inputs; default zero.

    Returns:
        Moments over the choice of batches, computed in float64 whatever JAX's flag says.

    Raises:
        TypeError: an argument of the wrong kind.
        ValueError: shapes or numbers that do not fit.
    """
    check_arguments(sgd_moments, locals())
    matrix, targets = check_kernel("kernel", kernel), real_array("labels", labels)
    num_steps, batch_size = check_count("num_steps", num_steps, minimum=0), check_count("batch_size", batch_size)
    _check(matrix, targets, batch_size, learning_rate, momentum, ridge, replacement)
    start = jnp.zeros_like(matrix, shape=targets.shape) if initial is None else real_array("initial", initial)
    if start.shape != targets.shape:
        raise ValueError(f"`initial` must have the shape of the labels, {targets.shape}, got {start.shape}.")
    cross = None if test_train is None else real_array("test_train", test_train)
    if cross is not None and (cross.ndim != 2 or cross.shape[1] != len(matrix)):
        raise ValueError(f"`test_train` must have shape (m, n) with n = {len(matrix)}, got {cross.shape}.")
    wanted = None if cross is None else (len(cross), *targets.shape[1:])
    given = None if test_initial is None else jnp.asarray(test_initial).shape
    if given is not None and given != wanted:
        raise ValueError(f"`test_initial` must have the shape of the test outputs, {wanted}, got {given}.")
    num_samples = len(matrix)
    kept = 1.0 if replacement else (num_samples - batch_size) / max(num_samples - 1, 1)
    rows = targets.reshape(num_samples, -1)
    transition = _transition(matrix, learning_rate, momentum, ridge)

    offset = start.reshape(num_samples, -1) - rows
    run = _Run(matrix, offset, learning_rate, ridge, transition, kept / batch_size)
    residual, variance, test_mean, test_variance = _all_moments(run, cross, num_steps)
    shape = (num_steps + 1, *targets.shape)
    loss = jnp.sum(residual**2 + variance, axis=(1, 2)) / (2 * num_samples)
    mean = residual.reshape(shape) + targets[None]
    if cross is None:
        return MinibatchMoments(mean, variance.reshape(shape), loss, None, None)
    test_shape = (num_steps + 1, len(cross), *targets.shape[1:])
    start = jnp.zeros(test_shape[1:]) if test_initial is None else real_array("test_initial", test_initial)
    test_mean = test_mean.reshape(test_shape) + start[None]
    return MinibatchMoments(mean, variance.reshape(shape), loss, test_mean, test_variance.reshape(test_shape))


def _check(
    matrix: Array,
    targets: Array,
    batch_size: int,
    learning_rate: Number,
    momentum: Number,
    ridge: Number,
    replacement: bool,
) -> None:
    if targets.ndim not in (1, 2) or targets.shape[0] != len(matrix):
        raise ValueError(f"`labels` must have shape (n,) or (n, o) with n = {len(matrix)}, got {targets.shape}.")
    if batch_size > len(matrix) and not replacement:
        raise ValueError(f"`batch_size` must be at most n = {len(matrix)} without replacement, got {batch_size}.")
    for name, value in (("learning_rate", learning_rate), ("momentum", momentum), ("ridge", ridge)):
        check_scalar(name, value)
        check_nonnegative(name, value)
    check_positive("learning_rate", learning_rate)


def _transition(
    matrix: Float[Array, "n n"], learning_rate: Number, momentum: Number, ridge: Number
) -> Float[Array, "m m"]:
    """Return the linear part of the mean update of (c, v)."""
    identity = jnp.eye(len(matrix), dtype=matrix.dtype)
    gradient = matrix / len(matrix) + ridge * identity
    above = [identity - learning_rate * gradient, -learning_rate * momentum * identity]
    return jnp.block([above, [gradient, momentum * identity]])


@functools.partial(jax.jit, static_argnames="num_steps")
def _all_moments(run: _Run, cross: Array | None, num_steps: int) -> tuple[Array, ...]:
    """Return what `_moments` does, for every column of the initial residual, along the last axis."""

    def one(residual: Array) -> tuple[Array, ...]:
        return _moments(run._replace(residual=residual), cross, num_steps)

    return jax.vmap(one, in_axes=1, out_axes=-1)(run.residual)


def _moments(run: _Run, cross: Array | None, num_steps: int) -> tuple[Array, ...]:
    """Return residual mean and variance on the training inputs and on the test inputs, step by step."""
    size = run.kernel.shape[0]

    def record(mean: Array, covariance: Array) -> tuple[Array, ...]:
        spread = run.kernel @ covariance[:size, :size] @ run.kernel
        own = run.residual + run.kernel @ mean[:size], jnp.diagonal(spread)
        if cross is None:
            return (*own, jnp.zeros(0), jnp.zeros(0))
        variance = jnp.sum((cross @ covariance[:size, :size]) * cross, axis=1)
        return (*own, cross @ mean[:size], variance)

    def advance(state: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], tuple[Array, ...]]:
        mean, covariance = state
        residual = run.residual + run.kernel @ mean[:size]
        second = run.kernel @ covariance[:size, :size] @ run.kernel + residual[:, None] * residual[None, :]
        noise = run.noise_scale * (jnp.diag(jnp.diagonal(second)) / size - second / size**2)
        push = run.residual / size
        mean = run.transition @ mean + jnp.concatenate([-run.learning_rate * push, push])
        rate = run.learning_rate
        spread = jnp.block([[rate**2 * noise, -rate * noise], [-rate * noise, noise]])
        covariance = run.transition @ covariance @ run.transition.T + spread
        return (mean, covariance), record(mean, covariance)

    start = jnp.zeros(2 * size, run.kernel.dtype), jnp.zeros((2 * size, 2 * size), run.kernel.dtype)
    _, rest = jax.lax.scan(advance, start, length=num_steps)
    first = record(*start)
    return tuple(jnp.concatenate([one[None], many]) for one, many in zip(first, rest, strict=True))

"""Training on any loss: the outputs of a linear(ised) model follow a differential equation, or a recursion.

For f_t(x) = f_0(x) + Θ(x, X) c_t and L = (1/n) Σ_i ℓ(f(x_i), y_i) + (λ/2) ‖θ − θ_0‖², gradient flow is

    ċ = −(1/n) ∂ℓ/∂f(f_0(X) + Θ c, y) − λ c,

whatever the rank of Θ; descent is the same with steps. Nothing is inverted, test outputs follow from c.

Reference: `lee2019wide`, section 2.2, for general losses; `jacot2018neural`, section 3 (kernel gradient).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from dyntheory.ground.arrays import Array, ArrayLike, Number
from dyntheory.ground.checks import check_count, check_nonnegative, check_positive, check_scalar, is_concrete
from dyntheory.ground.kinds import check_arguments
from dyntheory.kernels.eigensystem import check_kernel
from dyntheory.kernels.precision import in_double, real_array
from dyntheory.problem.networks.losses import Loss, resolve_loss

INSTALL = "Other losses in continuous time need diffrax: `pip install dyntheory[kernels]`."


class LossPath(NamedTuple):
    """Outputs on the training inputs (T, n) or (T, n, o), test outputs or None, loss (T,), c (T, n, o)."""

    train: Any
    test: Any
    train_loss: Any
    coefficients: Any


class _Model(NamedTuple):
    """The training problem: kernel (n, n), start and labels (n, o), λ."""

    kernel: Array
    initial: Array
    labels: Array
    ridge: Number


@in_double
def train_on_loss(
    kernel: ArrayLike,
    labels: ArrayLike,
    loss: str | Callable[[Array, Array], Array] | Loss,
    *,
    times: ArrayLike | None = None,
    num_steps: int | None = None,
    learning_rate: Number | None = None,
    momentum: Number = 0.0,
    ridge: Number = 0.0,
    initial: ArrayLike | None = None,
    test_train: ArrayLike | None = None,
    test_initial: ArrayLike | None = None,
    tolerance: float | None = None,
) -> LossPath:
    """Follow training of a linear(ised) model on any loss: gradient flow at `times`, or `num_steps` of descent.

    Scaling:
        The loss is the mean over samples, as in `train`; for loss="squared" both agree.

    Args:
        kernel: tangent kernel of the training inputs, (n, n), shared by all outputs.
        labels: y, (n,) or (n, o), numbers.
        loss: a name, or a JAX function (output, label) -> scalar for one sample, () or (o,).
        times: of gradient flow, increasing from zero or later, (T,).
        num_steps: of discrete descent; states 0..num_steps are returned.
        learning_rate: η of discrete descent.
        momentum: β of the heavy ball.
        ridge: λ, of the penalty (λ/2) ‖θ − θ_0‖².
        initial: f_0(X), as the labels; default zero.
        test_train: kernel between test and training inputs, (m, n).
        test_initial: f_0 on the test inputs; default zero.
        tolerance: relative, of the solver; default 1e-9.

    Returns:
        The path of outputs and loss, computed in float64 whatever JAX's flag says.

    Raises:
        ImportError: flow without diffrax.
        ValueError: shapes or numbers that do not fit, or both or neither of `times` and `num_steps`.
    """
    check_arguments(train_on_loss, locals())
    matrix, targets = check_kernel("kernel", kernel), real_array("labels", labels)
    if targets.ndim not in (1, 2) or len(targets) != len(matrix):
        raise ValueError(f"`labels` must have shape (n,) or (n, o) with n = {len(matrix)}, got {targets.shape}.")
    check_scalar("ridge", ridge)
    check_nonnegative("ridge", ridge)
    check_scalar("momentum", momentum)
    check_nonnegative("momentum", momentum)
    if learning_rate is not None:
        check_scalar("learning_rate", learning_rate)
    if tolerance is not None:
        check_positive("tolerance", tolerance)
    columns = targets.reshape(len(matrix), -1)
    start = jnp.zeros(targets.shape, matrix.dtype) if initial is None else real_array("initial", initial)
    if start.shape != targets.shape:
        raise ValueError(f"`initial` must have the shape of the labels, {targets.shape}, got {start.shape}.")
    if (times is None) == (num_steps is None):
        raise ValueError("Give `times` for gradient flow, or `num_steps` with a learning rate, and not both.")
    cross = _cross(test_train, targets.shape[0])
    wanted = None if cross is None else (len(cross), *targets.shape[1:])
    given = None if test_initial is None else jnp.asarray(test_initial).shape
    if given is not None and given != wanted:
        raise ValueError(f"`test_initial` must have the shape of the test outputs, {wanted}, got {given}.")
    value = _by_shape(resolve_loss(loss).value, targets.ndim == 1)
    model = _Model(matrix, start.reshape(columns.shape), columns, ridge)
    if times is not None:
        path = _flow(model, value, _times(times), tolerance)
    else:
        path = _steps(model, value, num_steps, learning_rate, momentum)
    outputs = model.initial[None] + jnp.einsum("ij,tjo->tio", matrix, path)
    losses = jnp.mean(jax.vmap(jax.vmap(value), in_axes=(0, None))(outputs, columns), axis=1)
    test = None if cross is None else _test_outputs(path, cross, test_initial, targets.shape)
    return LossPath(outputs.reshape(len(path), *targets.shape), test, losses, path)


def _by_shape(value: Callable[[Array, Array], Array], is_scalar: bool) -> Callable[[Array, Array], Array]:
    """Return the loss of rows of shape (o,)."""
    return (lambda output, label: value(output[0], label[0])) if is_scalar else value


def _times(times: ArrayLike) -> Array:
    if is_concrete(times):
        numbers = np.asarray(times, dtype=float)
        ordered = numbers.ndim == 1 and len(numbers) > 0 and np.isfinite(numbers).all() and (numbers >= 0).all()
        if not ordered or (np.diff(numbers) <= 0).any():
            raise ValueError(f"`times` must be finite, increasing and not negative, got {times!r}.")
    return jnp.asarray(times, jnp.result_type(float))


def _push(model: _Model, value: Callable[[Array, Array], Array], c: Float[Array, "n o"]) -> Float[Array, "n o"]:
    """Return what gradient flow does to c, the negative gradient in dual coefficients."""
    outputs = model.initial + model.kernel @ c
    return -jax.vmap(jax.grad(value))(outputs, model.labels) / len(outputs) - model.ridge * c


def _flow(
    model: _Model, value: Callable[[Array, Array], Array], times: Array, tolerance: float | None
) -> Float[Array, "t n o"]:
    try:
        import diffrax
    except ImportError as error:
        raise ImportError(INSTALL) from error
    rtol = (1e-9 if times.dtype == jnp.float64 else 1e-5) if tolerance is None else tolerance

    def field(_: Any, c: Array, model: _Model) -> Array:
        return _push(model, value, c)

    zero = jnp.zeros(model.labels.shape, model.kernel.dtype)
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(field),
        diffrax.Tsit5(),
        t0=jnp.zeros((), times.dtype),
        t1=times[-1],
        dt0=None,
        y0=zero,
        args=model,
        saveat=diffrax.SaveAt(ts=times),
        stepsize_controller=diffrax.PIDController(rtol=rtol, atol=rtol * 1e-3),
        max_steps=100_000,
    )
    return jnp.asarray(solution.ys)


def _steps(
    model: _Model,
    value: Callable[[Array, Array], Array],
    num_steps: int | None,
    learning_rate: Number | None,
    momentum: Number,
) -> Float[Array, "t n o"]:
    count = check_count("num_steps", num_steps, minimum=0)
    check_positive("learning_rate", learning_rate)
    return _scan(model, value, count, learning_rate, momentum)


@functools.partial(jax.jit, static_argnames=("value", "count"))
def _scan(model: _Model, value: Callable[..., Array], count: int, learning_rate: Any, momentum: Any) -> Array:
    def step(state: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], Array]:
        c, velocity = state
        velocity = momentum * velocity - _push(model, value, c)
        c = c - learning_rate * velocity
        return (c, velocity), c

    zero = jnp.zeros(model.labels.shape, model.kernel.dtype)
    _, rest = jax.lax.scan(step, (zero, zero), length=count)
    return jnp.concatenate([zero[None], rest])


def _cross(test_train: ArrayLike | None, num_samples: int) -> Array | None:
    if test_train is None:
        return None
    cross = real_array("test_train", test_train)
    if cross.ndim != 2 or cross.shape[1] != num_samples:
        raise ValueError(f"`test_train` must have shape (m, n) with n = {num_samples}, got {cross.shape}.")
    return cross


def _test_outputs(path: Array, cross: Array, initial: ArrayLike | None, shape: tuple[int, ...]) -> Array:
    outputs = jnp.einsum("ij,tjo->tio", cross, path).reshape(len(path), len(cross), *shape[1:])
    return outputs if initial is None else outputs + real_array("test_initial", initial)[None]

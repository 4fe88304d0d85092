"""The verb `train`: what a wide, or linearised, network predicts while it is trained on squared loss. Nothing is run.

**Conventions.** The loss is the mean over samples of half the squared error (summed over outputs), plus a penalty on
the distance from the start:  L(θ) = (1/2n) Σ_i ‖f(x_i) − y_i‖² + (λ/2) ‖θ − θ_0‖². Gradient flow θ̇ = −∂L/∂θ runs in
real `time`; descent with learning rate η runs in whole `step`s, and k steps without momentum are a time ≈ η k. At
infinite time the mean is kernel regression with n λ added to the kernel.

With Θ the NTK and K the NNGP kernel, A_t = Θ(·, X) q_t(Θ) and q_t the filter of `dyntheory.kernels.filters`,

    f_t = f_0 + A_t (y − f_0(X)),      f_0 ~ GP(0, K):
    E f_t = A_t y,      Cov f_t = K − A_t K(X, ·) − K(·, X) A_tᵀ + A_t (K + σ²) A_tᵀ,

where σ is the noise that every member of the ensemble has on labels of its own.

Reference: `lee2019wide`, corollary 1, for the ensemble; `matthews2017sample`, `he2020bayesian` for label noise.
"""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np

from dyntheory.ground.arrays import Array, ArrayLike, Number
from dyntheory.ground.checks import check_nonnegative, check_positive, check_scalar, is_concrete
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.names import check_name
from dyntheory.kernels.eigensystem import check_kernel, eigensystem, lost_share
from dyntheory.kernels.filters import GradientFlow
from dyntheory.kernels.kernel_pair import Kernels
from dyntheory.kernels.precision import in_double, real_array, rounding_of
from dyntheory.kernels.step_filters import GradientDescent
from dyntheory.kernels.trained import TrainedKernel, flatten, pair

TRAINED = ("all", "readout")


@in_double
def train(
    kernels: Kernels | ArrayLike,
    labels: ArrayLike,
    *,
    learning_rate: Number | None = None,
    momentum: Number = 0.0,
    nesterov: bool = False,
    ridge: Number = 0.0,
    noise_std: ArrayLike = 0.0,
    initial: ArrayLike | None = None,
    trained: str = "all",
) -> TrainedKernel:
    """Solve training on squared loss: gradient flow, or discrete steps with a learning rate.

    Computed in float64, whatever JAX's flag says; eigenvalues of a kernel given in float32 are known to that only.

    Scaling:
        See the module: the loss is a mean over samples of half the squared error.

    Args:
        kernels: of the training inputs: `Kernels(nngp, ntk)` (n, n) for an ensemble of wide networks; or the tangent
            kernel alone, (n, n), or (n, n, o, o) where outputs are coupled, for a mean.
        labels: y, shape (n,) or (n, o).
        learning_rate: η of discrete steps; None is gradient flow.
        momentum: β of discrete steps, as in `optax.sgd`.
        nesterov: Nesterov's form of momentum.
        ridge: λ, the penalty (λ/2) ‖θ − θ_0‖² (scikit-learn's `alpha` is n λ).
        noise_std: σ of the noise that each member of the ensemble has on its labels, a number or (n,).
        initial: outputs f_0(X) of one network on the training inputs, as the labels; then it is that network that is
            trained, linearised, and not an ensemble.
        trained: "all" layers (the NTK), or the "readout" alone (the NNGP kernel takes its place); with n λ = σ² the
            readout at infinite time is the Bayesian posterior.

    Returns:
        The run; ask `predict(time=…)` or `predict(step=…)`. Derivatives with respect to the kernels go through an
        eigendecomposition and are not finite where eigenvalues coincide, those to labels and numbers always are.

    Raises:
        TypeError: an argument of the wrong kind.
        ValueError: shapes or numbers that do not fit, NaN or infinity.

    Example:
        >>> import jax.numpy as jnp
        >>> run = train(jnp.eye(2), jnp.array([1.0, -1.0]))
        >>> run.predict(time=float("inf")).mean.tolist()
        [1.0, -1.0]

    Reference: `lee2019wide`, section 2, whose loss is a sum over samples.
    """
    check_arguments(train, locals())
    for name, value in (("momentum", momentum), ("ridge", ridge)):
        check_scalar(name, value)
        check_nonnegative(name, value)
    check_nonnegative("noise_std", noise_std)
    check_name("choice of `trained`", trained, TRAINED)
    algorithm = _algorithm(learning_rate, momentum, nesterov)
    ntk, nngp = pair(kernels, trained == "readout")
    matrix = check_kernel("kernels", flatten("kernels", jnp.asarray(ntk)))
    targets, rounding = _labels(labels, np.shape(ntk)), rounding_of(ntk)
    coupled = np.ndim(ntk) == 4
    if coupled and nngp is not None:
        raise ValueError("`Kernels` must be (n, n) each, per output unit; give a full NTK (n, n, o, o) alone.")
    residual = targets
    if initial is not None:
        start, nngp = real_array("initial", initial), None
        if start.shape != np.shape(labels):
            raise ValueError(f"`initial` must have the shape of the labels, {np.shape(labels)}, got {start.shape}.")
        residual = targets - start.reshape(targets.shape)
    system = eigensystem(matrix, rounding, jnp.multiply(ridge, np.shape(ntk)[0]))
    return TrainedKernel(
        algorithm,
        system=system,
        lost=lost_share(system, residual),
        rounding=rounding,
        labels=targets,
        residual=residual,
        nngp=None if nngp is None else check_kernel("kernels.nngp", nngp),
        noise_variance=_noise(noise_std, matrix),
        ridge=ridge,
        label_shape=np.shape(labels),
        readout=trained == "readout",
    )


def _algorithm(learning_rate: Number | None, momentum: Number, nesterov: bool) -> GradientFlow | GradientDescent:
    has_momentum = not (is_concrete(momentum) and float(np.asarray(momentum)) == 0)
    if learning_rate is None:
        if has_momentum or nesterov:
            raise ValueError("`momentum` and `nesterov` belong to discrete steps: give `learning_rate` with them.")
        return GradientFlow()
    check_scalar("learning_rate", learning_rate)
    check_positive("learning_rate", learning_rate)
    if is_concrete(momentum) and float(np.asarray(momentum)) >= 1:
        raise ValueError(f"`momentum` must be below 1, got {momentum}.")
    return GradientDescent(learning_rate, momentum, nesterov, plain=not has_momentum)


def _labels(labels: ArrayLike, kernel_shape: tuple[int, ...]) -> Array:
    """Return labels as (n, o), or as (n o, 1) where outputs are coupled."""
    array = real_array("labels", labels)
    fits = array.ndim in (1, 2) and array.shape[0] == kernel_shape[0]
    if not fits or (len(kernel_shape) == 4 and math.prod(array.shape[1:]) != kernel_shape[2]):
        raise ValueError(f"`labels` of shape {array.shape} do not fit kernels of shape {kernel_shape}.")
    return array.reshape(-1, 1) if array.ndim == 1 or len(kernel_shape) == 4 else array


def _noise(noise_std: ArrayLike, matrix: Array) -> Array | None:
    if is_concrete(noise_std) and not np.any(np.asarray(noise_std)):
        return None
    noise = real_array("noise_std", noise_std)
    if noise.ndim > 1 or (noise.ndim == 1 and noise.shape[0] != matrix.shape[0]):
        raise ValueError(f"`noise_std` must be a number or have shape ({matrix.shape[0]},), got {noise.shape}.")
    return jnp.broadcast_to(noise**2, matrix.shape[:1])

"""A training run on squared loss in closed form: what `train` returns, and how it is evaluated at any time."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.ground.arrays import Array, ArrayLike, Number
from dyntheory.ground.checks import is_concrete
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.status import DyntheoryWarning
from dyntheory.kernels.eigensystem import Eigensystem, warn_lost
from dyntheory.kernels.filters import Filter, GradientFlow
from dyntheory.kernels.kernel_pair import Kernels
from dyntheory.kernels.precision import in_double, real_array, rounding_of
from dyntheory.kernels.step_filters import GradientDescent

MOVED = 1e-3
MARGIN = 1e-9
BLOCKS = "(n1, n2), or (n1, n2, o, o) where outputs are coupled"


class Prediction(NamedTuple):
    """Mean of the outputs, (m,) or (m, o), and their covariance, (m, m) or (m,), the same for every output.

    Several times stand as a leading axis. The covariance is that of the function, over initialisations and label
    noise; add σ² on the diagonal for a fresh noisy label. None where no NNGP kernel and no noise was given.
    """

    mean: Any
    covariance: Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainedKernel:
    """A training run in closed form; `predict` evaluates it at any time.

    `rank` counts the eigenvalues of the training kernel that are not zero up to rounding, `removed` is the largest
    magnitude that was set to zero. `lost` is the part of the labels' norm along eigenvalues that rounding decides: a
    nearly singular kernel does not say how it is fitted, and a warning does where that matters.
    """

    algorithm: GradientFlow | GradientDescent
    system: Eigensystem
    lost: Array
    labels: Array
    residual: Array
    nngp: Any
    noise_variance: Any
    ridge: Number
    label_shape: tuple[int, ...] = dataclasses.field(metadata={"static": True})
    rounding: float = dataclasses.field(metadata={"static": True})
    readout: bool = dataclasses.field(metadata={"static": True})

    @property
    def values(self) -> Array:
        """Eigenvalues of the training kernel, ascending."""
        return self.system.values

    @property
    def vectors(self) -> Array:
        """Eigenvectors, in columns."""
        return self.system.vectors

    @property
    def rank(self) -> Array:
        """Number of eigenvalues that are not zero up to rounding."""
        return self.system.rank

    @property
    def removed(self) -> Array:
        """Largest magnitude of an eigenvalue that was set to zero."""
        return self.system.removed

    @property
    def num_samples(self) -> int:
        """Number of training inputs n."""
        return self.label_shape[0]

    @property
    def max_learning_rate(self) -> Any:
        """Learning rate of descent below which every mode converges."""
        limit = self.algorithm.largest_stable if isinstance(self.algorithm, GradientDescent) else 2.0
        with np.errstate(divide="ignore"):  # NumPy's numbers are float64, JAX's might not be
            return limit / (self.values[-1] / self.num_samples + self.ridge)

    @in_double
    def predict(
        self,
        test_train: Kernels | ArrayLike | None = None,
        test_test: Kernels | ArrayLike | None = None,
        *,
        time: ArrayLike | None = None,
        step: ArrayLike | None = None,
        initial: ArrayLike | None = None,
    ) -> Prediction:
        """Return mean and covariance of the outputs after a time, or a number of steps.

        Args:
            test_train: kernels between test and training inputs, shape (m, n); default the training inputs.
            test_test: kernels of the test inputs, (m, m), or their diagonal, (m,), for variances only. Only its NNGP
                counts; needed for a covariance.
            time: for gradient flow: a number or a vector of them; `math.inf` is allowed.
            step: for discrete steps: the same, whole numbers.
            initial: outputs at the start on the test inputs, when `train` had `initial`.

        Raises:
            TypeError: time for discrete steps, or the reverse.
            ValueError: shapes or numbers that do not fit; an infinite step of a run that does not converge.
        """
        check_arguments(TrainedKernel.predict, locals())
        when = self._when(time, step)
        if test_test is not None and test_train is None:
            raise ValueError("`test_test` belongs to test inputs: give `test_train` with it.")
        test = None if test_train is None else self._test_kernels(test_train, test_test)
        start = None if initial is None else real_array("initial", initial)
        self._check_initial(test, start)
        self._warn_lost(when)
        found = _evaluate(self, when, test, start)
        if test is not None and test[2] is not None:
            check_variances(
                found.covariance,
                test[2],
                max(self.rounding, rounding_of(*jax.tree.leaves((test_train, test_test)))),
            )
        return found

    def at(self, when: Array, test: tuple[Array, Any, Any] | None, start: Array | None) -> Prediction:
        """Return the prediction at one time; `predict` without its checks, safe to trace."""
        filtered = self.algorithm.filter(self.values, when, self.ridge, self.num_samples)
        return self._on_train(filtered) if test is None else self._on_test(filtered, *test, start)

    def _on_train(self, filtered: Filter) -> Prediction:
        left = self.vectors @ (filtered.residual[:, None] * (self.vectors.T @ self.residual))
        mean = (self.labels - left).reshape(self.label_shape)
        covariance = None
        if self.nngp is not None:
            keep = (self.vectors * filtered.residual[None]) @ self.vectors.T
            covariance = keep @ self.nngp @ keep.T
        if self.noise_variance is not None:
            moved = (self.vectors * (1 - filtered.residual)[None]) @ self.vectors.T
            covariance = (0.0 if covariance is None else covariance) + (moved * self.noise_variance[None]) @ moved.T
        return Prediction(mean, covariance)

    def _on_test(self, filtered: Filter, ntk: Array, nngp: Any, prior: Any, start: Array | None) -> Prediction:
        moved = self.vectors @ (filtered.coefficient[:, None] * (self.vectors.T @ self.residual))
        num_test = ntk.shape[0] * self.num_samples // self.values.shape[0]
        mean = (ntk @ moved).reshape(num_test, *self.label_shape[1:])
        mean = mean if start is None else start + mean
        parts, is_diagonal = [], prior is not None and prior.ndim == 1
        if self.nngp is not None and prior is not None:
            weights = self._weights(filtered, ntk)
            cross, spread = _product(weights, nngp, is_diagonal), _product(weights @ self.nngp, weights, is_diagonal)
            parts.append(prior - cross - cross.T + spread)
        if self.noise_variance is not None and (self.nngp is None or prior is not None):
            weights = self._weights(filtered, ntk)
            parts.append(_product(weights * self.noise_variance[None], weights, is_diagonal))
        return Prediction(mean, sum(parts[1:], parts[0]) if parts else None)

    def _weights(self, filtered: Filter, ntk: Array) -> Array:
        """Return A_t = Θ(·, X) q_t(Θ)."""
        return ((ntk @ self.vectors) * filtered.coefficient[None]) @ self.vectors.T

    def _when(self, time: ArrayLike | None, step: ArrayLike | None) -> Array:
        is_flow = isinstance(self.algorithm, GradientFlow)
        given, other, name = (time, step, "time") if is_flow else (step, time, "step")
        if given is None or other is not None:
            kind = "Gradient flow runs in `time`" if is_flow else "Discrete steps are counted by `step`"
            raise TypeError(f"{kind}: give {name}=…, and nothing else (time ≈ learning_rate · step).")
        if is_concrete(given):
            numbers = np.asarray(given, dtype=float)
            if numbers.ndim > 1 or numbers.size == 0 or np.isnan(numbers).any() or (numbers < 0).any():
                raise ValueError(f"`{name}` must be a number or a vector of them, zero or positive, got {given!r}.")
            if not is_flow and (np.isfinite(numbers) & (numbers != np.floor(numbers))).any():
                raise ValueError(f"`step` must be whole numbers, got {given!r}.")
            self._check_convergence(numbers)
        return jnp.asarray(given, jnp.result_type(float))

    def _warn_lost(self, when: Array) -> None:
        """Warn of what rounding decides, once training is so long that it moves along it."""
        scale = 1.0
        if isinstance(self.algorithm, GradientDescent):
            scale = self.algorithm.learning_rate / (1 - self.algorithm.momentum)
        if not all(is_concrete(number) for number in (when, scale, self.lost, self.system.resolution)):
            return
        longest = float(np.max(np.asarray(when), initial=0.0) * scale)
        if longest * float(self.system.resolution) > MOVED * self.num_samples:
            warn_lost(self.lost, self.system)

    def _check_convergence(self, numbers: np.ndarray) -> None:
        if not isinstance(self.algorithm, GradientDescent):
            return
        rate, limit = self.algorithm.learning_rate, self.max_learning_rate
        if not (is_concrete(rate) and is_concrete(limit)) or float(np.asarray(rate)) < float(limit):
            return
        if np.isinf(numbers).any():
            raise ValueError(
                f"An infinite `step` needs a learning rate below max_learning_rate = {float(limit):.6g}, got {rate}."
            )
        if numbers.max() > 0 and float(np.asarray(rate)) > (1 + MARGIN) * float(limit):
            warnings.warn(
                f"Training diverges: the learning rate {rate} is above max_learning_rate = {float(limit):.6g}, and "
                "outputs along the largest eigenvalues grow with every step.",
                DyntheoryWarning,
                stacklevel=5,
            )

    def _test_kernels(self, test_train: Any, test_test: Any) -> tuple[Array, Any, Any]:
        ntk, nngp = pair(test_train, self.readout)
        size = self.values.shape[0]
        flat = flatten("test_train", real_array("test_train", ntk))
        if flat.shape[1] != size:
            raise ValueError(f"`test_train` must have shape (m, n) with n = {self.num_samples}, got {np.shape(ntk)}.")
        if self.nngp is None or test_test is None:
            return flat, None, None
        if nngp is None:
            raise ValueError("A covariance needs `test_train` as Kernels(nngp, ntk): give kernel(x_test, x_train).")
        prior = real_array("test_test", test_test.nngp if isinstance(test_test, Kernels) else test_test)
        if prior.shape not in ((flat.shape[0],), (flat.shape[0],) * 2):
            raise ValueError(f"`test_test` must have shape (m, m) or (m,), m = {flat.shape[0]}, got {prior.shape}.")
        return flat, real_array("test_train.nngp", nngp), prior

    def _check_initial(self, test: Any, start: Array | None) -> None:
        if start is None:
            return
        if test is None:
            raise ValueError("`initial` belongs to test inputs: give `test_train` with it.")
        shape = (test[0].shape[0] * self.num_samples // self.values.shape[0], *self.label_shape[1:])
        if start.shape != shape:
            raise ValueError(f"`initial` must have the shape of the test outputs, {shape}, got {start.shape}.")


@jax.jit
def _evaluate(run: TrainedKernel, when: Array, test: Any, start: Any) -> Prediction:
    if when.ndim == 0:
        return run.at(when, test, start)
    return jax.vmap(lambda one: run.at(one, test, start))(when)


def pair(kernels: Any, readout: bool) -> tuple[Any, Any]:
    """Return the kernel that training acts with, and the NNGP kernel or None."""
    if isinstance(kernels, Kernels):
        return (kernels.nngp if readout else kernels.ntk), kernels.nngp
    if readout:
        raise ValueError("trained='readout' needs Kernels(nngp, ntk), got one array.")
    return kernels, None


def check_variances(covariance: Array, prior: Array, rounding: float) -> None:
    """Warn of variances that are negative beyond rounding; under a trace nobody can look.

    Args:
        covariance: (…, m, m), or the variances alone, (…, m).
        prior: (m, m) or (m,): variances before anything was learned.
        rounding: relative, of the kernels that were given.
    """
    if not (is_concrete(covariance) and is_concrete(prior)):
        return
    is_diagonal = prior.ndim == 1
    variances = np.asarray(covariance if is_diagonal else jnp.diagonal(covariance, axis1=-2, axis2=-1))
    largest = float(np.max(prior if is_diagonal else jnp.diagonal(prior)))
    lowest = float(variances.min())
    if lowest < -(rounding**0.5) * largest:
        warnings.warn(
            f"A variance is {lowest:.1e}, negative beyond the rounding of the kernels: do `test_train` and `test_test` "
            "belong to the kernel of training? Of a nearly singular kernel, compute all three from float64 inputs.",
            DyntheoryWarning,
            stacklevel=4,
        )


def flatten(name: str, kernel: Array) -> Array:
    """Return a full kernel (n1, n2, o, o) as a matrix (n1 o, n2 o), any other as it is."""
    if kernel.ndim == 4 and kernel.shape[2] == kernel.shape[3]:
        rows, columns, outputs, _ = kernel.shape
        return kernel.transpose(0, 2, 1, 3).reshape(rows * outputs, columns * outputs)
    if kernel.ndim != 2:
        raise ValueError(f"`{name}` must have shape {BLOCKS}, got {kernel.shape}.")
    return kernel


def _product(left: Array, right: Array, is_diagonal: bool) -> Array:
    """Return left · rightᵀ, or its diagonal."""
    return jnp.sum(left * right, axis=1) if is_diagonal else left @ right.T

"""Learning curves of kernel regression from the eigenvalues of the kernel: the equation for κ and what follows.

A kernel has eigenvalues s_i on the law of the inputs, the target the coefficients v_i (E f² = Σ v_i²), labels noise of
variance σ². Regression with (K + n λ)⁻¹ on n samples learns mode i by the fraction L_i = s_i/(s_i + κ), where

    n = Σ_i s_i/(s_i + κ) + n λ/κ,        E_0 = n/(n − Σ_i L_i²),
    test error = E_0 (Σ_i (1 − L_i)² v_i² + σ²),      train error = (λ/κ)² · test error,

errors being mean squared errors that contain the label noise. E_0 says what a unit of label noise becomes:
E_0 → 1 with more samples is benign overfitting, a finite limit above 1 tempered, growth without bound catastrophic.

Reference: `simon2023eigenlearning`, section 4 (their δ is our n λ); `canatar2021spectral`; `bordelon2020spectrum`.
`mallinar2022benign` for the three kinds of overfitting.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.closed_forms.effective_ridge import effective_ridge
from dyntheory.ground.arrays import Array, ArrayLike, Number
from dyntheory.ground.checks import check_nonnegative, check_positive, check_scalar
from dyntheory.ground.kinds import check_arguments
from dyntheory.kernels.precision import in_double
from dyntheory.kernels.spectra import KernelSpectrum, check_spectrum


class LearningCurve(NamedTuple):
    """Predictions at every number of samples: shape (q,), learnabilities (q, p).

    `test_error` and `train_error` are mean squared errors with the label noise in them, `overfitting` is E_0,
    `effective_ridge` is κ, `learnability` is L_i.
    """

    num_samples: Any
    test_error: Any
    train_error: Any
    overfitting: Any
    effective_ridge: Any
    learnability: Any


@in_double
def learning_curve(
    spectrum: KernelSpectrum,
    num_samples: ArrayLike,
    *,
    ridge: Number = 0.0,
    noise_std: Number = 0.0,
) -> LearningCurve:
    """Predict train and test error of kernel regression at several numbers of samples.

    Scaling:
        The regression is `solve(kernel, labels, ridge=λ)`, K + n λ; λ is the same for every n.

    Args:
        spectrum: eigenvalues and target; `Spectrum(eigenvalues, power)`, `spectrum_of` a kernel and targets, or
            `kernel_spectrum` of a law's features or of `closed_forms.from_data`.
        num_samples: n, a number or a vector (q,), positive.
        ridge: λ, zero or positive.
        noise_std: σ of the labels.

    Returns:
        One entry per n. Without a ridge, n at or above the number of eigenvalues means κ = 0; where n equals it the
        errors are infinite.

    Raises:
        ValueError: shapes or numbers that do not fit.

    Example:
        >>> import jax.numpy as jnp
        >>> from dyntheory import kernels
        >>> curve = learning_curve(kernels.Spectrum(jnp.ones(100), jnp.ones(100) / 100), 50)
        >>> round(float(curve.test_error[0]), 6)
        0.5

    Reference: `simon2023eigenlearning`, section 4; closed forms agree with `hastie2022surprises` for equal s_i.
    """
    check_arguments(learning_curve, locals())
    check_spectrum(spectrum)
    check_positive("num_samples", num_samples)
    for name, value in (("ridge", ridge), ("noise_std", noise_std)):
        check_scalar(name, value)
        check_nonnegative(name, value)
    eigenvalues = jnp.asarray(spectrum.eigenvalues, float)
    counts = jnp.atleast_1d(jnp.asarray(num_samples, eigenvalues.dtype))
    if counts.ndim != 1:
        raise ValueError(f"`num_samples` must be a number or a vector of them, got shape {counts.shape}.")
    held = spectrum._replace(eigenvalues=eigenvalues, power=jnp.asarray(spectrum.power, eigenvalues.dtype))
    return _curve(held, counts, ridge, noise_std)


@jax.jit
def _curve(spectrum: KernelSpectrum, counts: Array, ridge: Number, noise_std: Number) -> LearningCurve:
    return jax.vmap(lambda count: _at(spectrum, count, ridge, noise_std))(counts)


def _at(spectrum: KernelSpectrum, count: Array, ridge: Number, noise_std: Number) -> LearningCurve:
    values = spectrum.eigenvalues
    kappa = effective_ridge(values, count, count * ridge + spectrum.tail)
    learned = jnp.where(values > 0, values / jnp.where(values > 0, values + kappa, 1.0), 0.0)
    is_regular = kappa > 0
    safe_kappa = jnp.where(is_regular, kappa, 1.0)
    curvature = jnp.sum(jnp.where(values > 0, learned * kappa / (values + safe_kappa), 0.0))
    held = curvature + (count * ridge + spectrum.tail) / safe_kappa
    free = jnp.where(is_regular, held, count - jnp.sum(values > 0)) / count  # 1 − Σ L²/n, without its cancellation
    overfitting = jnp.where(free > 0, 1 / jnp.where(free > 0, free, 1.0), jnp.where(free == 0, jnp.inf, 0.0))
    excess = jnp.sum((1 - learned) ** 2 * spectrum.power) + spectrum.unlearnable + noise_std**2
    error = overfitting * excess
    fraction = ridge / safe_kappa
    overdetermined = (1 - jnp.sum(learned) / count) * excess  # κ = 0: p modes fitted, of n
    train = jnp.where(is_regular, fraction**2 * error, overdetermined)
    return LearningCurve(count, error, train, overfitting, kappa, learned)


def overfitting_kind(curve: LearningCurve, *, tolerance: float = 0.05) -> str:
    """Say which kind of overfitting a curve shows over its range: "benign", "tempered" or "catastrophic".

    The rule looks at E_0 over the last factor of ten in n. With the slope b of log(E_0 − 1) in log n: b below
    −`tolerance` is benign (E_0 goes to 1 as a power), above it catastrophic (it grows as a power), between tempered.
    A statement about that range, not a limit.

    Raises:
        ValueError: fewer than two points in the last factor of ten, or an infinite E_0.
    """
    check_arguments(overfitting_kind, locals())
    check_positive("tolerance", tolerance)
    counts, amplification = np.asarray(curve.num_samples), np.asarray(curve.overfitting)
    last = counts >= counts.max() / 10
    if last.sum() < 2 or math.isclose(counts[last].min(), counts.max()):
        raise ValueError("Two or more numbers of samples within the last factor of ten are needed.")
    if not np.isfinite(amplification[last]).all() or (amplification[last] < 1).any():
        raise ValueError("E_0 must be finite and above 1 over the last factor of ten: leave out n = number of modes.")
    rest = np.maximum(amplification[last] - 1, np.finfo(float).tiny)
    slope = float(np.polyfit(np.log(counts[last]), np.log(rest), 1)[0])
    if abs(slope) <= tolerance:
        return "tempered"
    return "benign" if slope < 0 else "catastrophic"

"""Spectra as kernel regression reads them: eigenvalues s_i of the kernel, and the target's power v_i² along them.

A linear kernel ⟨x, x′⟩ has the eigenvalues of the covariance of x, and a linear target b the power v_i² = s_i b_i², so
a law's `dyntheory.spectra.Spectrum` and a data set's `dyntheory.closed_forms.DataSpectrum` have a view here.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from dyntheory.closed_forms.spectra import DataSpectrum, data_spectrum
from dyntheory.ground.arrays import ArrayLike
from dyntheory.ground.checks import check_count, check_finite, check_nonnegative, check_positive, is_concrete
from dyntheory.ground.kinds import check_arguments
from dyntheory.kernels.eigensystem import check_kernel
from dyntheory.kernels.precision import in_double, real_array, rounding_of
from dyntheory.problem.laws.spectra import Spectrum


class KernelSpectrum(NamedTuple):
    """Eigenvalues s_i (p,), squared coefficients of the target v_i² (p,), and Σ s over what the list leaves out.

    Public as `kernels.Spectrum`. A tail of eigenvalues far below κ acts as the ridge n λ = `tail`; its part of the
    target goes into `unlearnable`.
    """

    eigenvalues: Any
    power: Any
    tail: Any = 0.0
    unlearnable: Any = 0.0


@in_double
def kernel_spectrum(spectrum: Spectrum | DataSpectrum) -> KernelSpectrum:
    """Return what the features of a law, or a data set, are to the linear kernel ⟨x, x′⟩: s_i and v_i² = s_i b_i².

    `learning_curve(kernel_spectrum(data), n, ridge=λ, noise_std=data.noise_std)` is `closed_forms.ridge_general(n, λ,
    **data._asdict())`.

    Scaling:
        That of the features, without the 1/d of the kernel of inputs ⟨x, x′⟩/d.

    Args:
        spectrum: of a law, with E w*² = 1 and each pair once; else take `closed_forms.data_spectrum` of it first. Of a
            data set, from `closed_forms.from_data`.

    Raises:
        ValueError: shares that differ.

    Example:
        >>> from dyntheory import kernels, spectra
        >>> curve = kernels.learning_curve(kernels.kernel_spectrum(spectra.power_law(1.0, num_modes=100)), 50)

    Reference: `simon2023eigenlearning`, section 4.
    """
    check_arguments(kernel_spectrum, locals())
    data = spectrum if isinstance(spectrum, DataSpectrum) else data_spectrum(spectrum)
    eigenvalues = jnp.asarray(data.eigenvalues, float)
    return KernelSpectrum(eigenvalues, eigenvalues * jnp.asarray(data.target_coefficients, float) ** 2)


@in_double
def power_law(capacity: float, source: float, num_modes: int) -> KernelSpectrum:
    """Return s_i = i^{−α} and v_i² = i^{−(1 + 2αr)} with what lies beyond p modes: capacity α > 1, source r > 0.

    The tail Σ_{i>p} s_i and the target left out are integrals. `closed_forms.power_law` is what this tends to; the
    first p modes are those of `spectra.power_law(α, num_modes=p, target_exponent=1 + 2αr)`, normalised otherwise.

    Raises:
        ValueError: α ≤ 1 (no finite trace) or r ≤ 0.

    Reference: `cui2021generalization`.
    """
    check_arguments(power_law, locals())
    num_modes = check_count("num_modes", num_modes)
    check_positive("source", source)
    check_finite("capacity", capacity)
    if not capacity > 1:
        raise ValueError(f"`capacity` must be above 1, or the trace is infinite, got {capacity}.")
    index = np.arange(1, num_modes + 1, dtype=float)
    decay = 2 * capacity * source
    middle = num_modes + 0.5
    tail, left = middle ** (1 - capacity) / (capacity - 1), middle**-decay / decay
    return KernelSpectrum(jnp.asarray(index**-capacity), jnp.asarray(index ** -(1 + decay)), tail, left)


@in_double
def spectrum_of(kernel: ArrayLike, targets: ArrayLike) -> KernelSpectrum:
    """Estimate the spectrum from the kernel of many inputs, N far above the n of the curve, and noiseless targets.

    Eigenvalues of K/N; coefficients vᵀ y/√N. Of several outputs the powers are summed. Directions of eigenvalue zero
    cannot be learned: what the target has there is `unlearnable`. Zero is what is below N ε times the largest, ε the
    precision in which the kernel is given.

    Raises:
        ValueError: shapes that do not fit.
    """
    check_arguments(spectrum_of, locals())
    matrix, labels = check_kernel("kernel", kernel), real_array("targets", targets)
    if labels.ndim not in (1, 2) or len(labels) != len(matrix):
        raise ValueError(f"`targets` must have shape (N,) or (N, o) with N = {len(matrix)}, got {labels.shape}.")
    values, vectors = jnp.linalg.eigh(matrix)
    values = jnp.maximum(values, 0.0) / len(matrix)
    power = jnp.sum((vectors.T @ labels.reshape(len(matrix), -1)) ** 2, axis=1) / len(matrix)
    kept = values > len(matrix) * rounding_of(kernel) * jnp.max(values)
    return KernelSpectrum(
        jnp.where(kept, values, 0.0), jnp.where(kept, power, 0.0), 0.0, jnp.sum(jnp.where(kept, 0.0, power))
    )


def check_spectrum(spectrum: object) -> None:
    """Require a kernel's spectrum that is one, with a positive eigenvalue."""
    if not isinstance(spectrum, KernelSpectrum):
        raise TypeError(
            "`spectrum` must be a kernels.Spectrum(eigenvalues, power), or kernel_spectrum(…) of a law's features or a "
            f"data set, got {type(spectrum).__name__}."
        )
    shapes = np.shape(spectrum.eigenvalues), np.shape(spectrum.power)
    if len(shapes[0]) != 1 or shapes[0] != shapes[1]:
        raise ValueError(f"`eigenvalues` and `power` must be vectors of one length, got shapes {shapes}.")
    for name, value in spectrum._asdict().items():
        check_nonnegative(name, value)
    if is_concrete(spectrum.eigenvalues) and not np.any(np.asarray(spectrum.eigenvalues) > 0):
        raise ValueError("`eigenvalues` must hold a positive one.")

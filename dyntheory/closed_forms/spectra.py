"""Spectra as the closed forms read them: eigenvalues s_i, linear target b_i along them, noise σ.

The labels of mode i have the variance s_i b_i², and the penalty is that of (1/n)‖y − Xb‖² + λ‖b‖². The same modes with
the target's power along them are `dyntheory.spectra.Spectrum` in a law, and `dyntheory.kernels.Spectrum` of a kernel.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from dyntheory.closed_forms.evaluation import evaluate
from dyntheory.ground.arrays import Array, ArrayLike, Number
from dyntheory.ground.checks import check_count, check_finite, check_nonnegative, check_scalar, is_concrete
from dyntheory.ground.kinds import check_arguments
from dyntheory.problem.laws.spectra import ROUNDING, Spectrum


class DataSpectrum(NamedTuple):
    """What ridge regression needs to know of a data set or a law, from `from_data` or `data_spectrum`.

    Pass it on as `ridge_general(n, λ, **data._asdict())`, `projected_features(N, n, λ, **data._asdict())`, or
    `dyntheory.kernels.kernel_spectrum(data)`.

    Args:
        eigenvalues: s_i of the covariance, (p,).
        target_coefficients: b_i of the linear target along the eigenvectors, (p,).
        noise_std: σ, standard deviation of what no linear function explains.
    """

    eigenvalues: Any
    target_coefficients: Any
    noise_std: Any


def data_spectrum(
    spectrum: Spectrum, *, signal_power: Number = 1.0, noise_std: Number = 0.0, num_features: int | None = None
) -> DataSpectrum:
    """Return what a law's features are to ridge regression: y = X w*/√d + σ ξ with E[w*² given λ] = a(λ) E w*².

    s_i = λ_i and b_i² = a_i E w*²/d, at d features. The risk at n = α d depends on α alone as long as d features can
    have the shares of the spectrum.

    Scaling:
        That of the law: X has the covariance eigenvalues λ, b = w/√d.

    Args:
        spectrum: the `features` of a law, from `dyntheory.spectra`.
        signal_power: E w*², zero or positive.
        noise_std: σ, zero or positive.
        num_features: d; default the number of pairs (λ, a), for a spectrum that has each of them once.

    Raises:
        TypeError: not the spectrum of a law.
        ValueError: a number outside its range, or shares that need a `num_features`.

    Example:
        >>> from dyntheory import closed_forms, spectra
        >>> features = spectra.power_law(1.0, num_modes=100)
        >>> data = closed_forms.data_spectrum(features, noise_std=0.5)
        >>> risk = closed_forms.ridge_general(200, 0.1, **data._asdict())
    """
    check_arguments(data_spectrum, locals())
    if not isinstance(spectrum, Spectrum):
        raise TypeError(f"`spectrum` must be one of dyntheory.spectra, as in a law, got {type(spectrum).__name__}.")
    for name, value in (("signal_power", signal_power), ("noise_std", noise_std)):
        check_scalar(name, value)
        check_nonnegative(name, value)
    count = spectrum.num_modes if num_features is None else check_count("num_features", num_features)
    ones = np.ones(spectrum.num_modes)
    alignment = ones if spectrum.alignment is None else spectrum.alignment
    shares = ones / len(ones) if spectrum.shares is None else spectrum.shares
    if num_features is None and is_concrete(shares) and np.ptp(np.asarray(shares)) > ROUNDING:
        raise ValueError("`num_features` is needed for a spectrum whose `shares` differ: take d with whole d · share.")

    def view(values: Array, powers: Array, weights: Array, signal: Array, noise: Array) -> DataSpectrum:
        modes = Spectrum(values, powers, weights).modes_of(count)
        return DataSpectrum(values[modes], (signal * powers[modes] / count) ** 0.5, noise)

    return evaluate(view, spectrum.eigenvalues, alignment, shares, signal_power, noise_std, broadcast=False)


def from_data(inputs: ArrayLike, labels: ArrayLike, *, center: bool = True) -> DataSpectrum:
    """Return spectrum, linear target and noise of a data set: the learning curve of ridge regression on parts of it.

    The rows stand for the population. s_i are the eigenvalues of their covariance, b the coefficients of least
    squares on all of them, σ² = ‖residual‖²/(N − number of fitted coefficients). What a linear function of the inputs
    does not explain counts as noise, whether it is noise or not.

    Scaling:
        Use it for n well below N. The prediction treats the inputs as if their whitened entries were independent.

    Args:
        inputs: X, (N, p), with more rows than columns.
        labels: y, (N,).
        center: subtract the means of columns and labels, as regression with an intercept does.

    Returns:
        Spectrum in decreasing order, coefficients and noise.

    Raises:
        ValueError: shapes that do not fit, numbers that are not finite, too few rows to tell noise from target.

    Example:
        >>> import numpy as np
        >>> from dyntheory import closed_forms
        >>> rows = np.random.default_rng(0).normal(size=(1000, 5))
        >>> data = closed_forms.from_data(rows, rows @ np.arange(5.0))
        >>> bool(data.noise_std < 1e-12), round(float((data.target_coefficients**2).sum()), 9)
        (True, 30.0)
        >>> curve = closed_forms.ridge_general([20, 50], 0.1, **data._asdict())
    """
    check_arguments(from_data, locals())
    rows, targets = _data("inputs", inputs, 2), _data("labels", labels, 1)
    if len(rows) != len(targets):
        raise ValueError(f"`inputs` and `labels` must have one length, got {len(rows)} and {len(targets)}.")
    if center:
        rows, targets = rows - rows.mean(axis=0), targets - targets.mean()
    left, singular, _ = np.linalg.svd(rows, full_matrices=False)
    kept = singular > max(rows.shape) * np.finfo(float).eps * singular.max(initial=0.0)
    num_free = len(rows) - int(kept.sum()) - int(center)
    if not kept.any() or num_free < 1:
        raise ValueError(
            f"`inputs` must vary and have more rows than independent columns, got {len(rows)} rows of rank "
            f"{int(kept.sum())}: noise and target cannot be told apart."
        )
    along = left.T @ targets
    residual = targets - left[:, kept] @ along[kept]
    coefficients = np.where(kept, along / np.where(kept, singular, 1.0), 0.0)
    values = np.where(kept, singular**2 / len(rows), 0.0)
    return DataSpectrum(values, coefficients, np.sqrt(residual @ residual / num_free))


def _data(name: str, value: ArrayLike, num_axes: int) -> np.ndarray:
    check_finite(name, value)
    array = np.asarray(value, dtype=float)
    if array.ndim != num_axes:
        raise ValueError(f"`{name}` must have {num_axes} axes, got shape {array.shape}.")
    return array


def check_spectrum(eigenvalues: ArrayLike, target_coefficients: ArrayLike) -> None:
    """Require eigenvalues that are not all zero, and one coefficient for each of them."""
    check_nonnegative("eigenvalues", eigenvalues)
    check_finite("target_coefficients", target_coefficients)
    shapes = np.shape(eigenvalues), np.shape(target_coefficients)
    if min(map(len, shapes)) == 0 or shapes[0][-1] != shapes[1][-1]:
        raise ValueError(f"`eigenvalues` and `target_coefficients` must end in one axis of modes, got shapes {shapes}.")
    if is_concrete(eigenvalues) and not np.all(np.max(np.asarray(eigenvalues), axis=-1) > 0):
        raise ValueError("`eigenvalues` must hold a positive one.")

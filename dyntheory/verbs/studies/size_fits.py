"""Weighted least squares against the size d: a limit with a 1/d correction, and powers of d.

Values at S sizes are independent with known standard errors; every column (a step) is fitted by itself.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dyntheory.results.trajectory import Curve

RESOLVED = 2.0  # standard errors by which a value has to differ from zero before its logarithm is fitted


class LimitFit(NamedTuple):
    """mean(d) = limit + slope · d^{-power}, fitted at every step.

    Args:
        limit: (T+1,) the value extrapolated to d = ∞.
        limit_error: its standard error.
        slope: (T+1,) coefficient of the correction.
        slope_error: its standard error.
        p_value: (T+1,) probability of a misfit as large by chance (χ², S − 2 degrees of freedom); NaN for two sizes.
    """

    limit: Curve
    limit_error: Curve
    slope: Curve
    slope_error: Curve
    p_value: Curve


class PowerFit(NamedTuple):
    """values(d) ∝ d^exponent, fitted at every step; NaN where it is not resolved.

    `exponent` and `error` have shape (T+1,).
    """

    exponent: Curve
    error: Curve


def fit_limit(sizes: np.ndarray, means: np.ndarray, errors: np.ndarray, *, power: float = 1.0) -> LimitFit:
    """Fit a limit and its first correction by weighted least squares.

    Args:
        sizes: (S,) values of d.
        means: (S, T+1).
        errors: (S, T+1) their standard errors; where all are zero (a quantity without spread) the fit is unweighted
            and its errors are zero.
        power: of 1/d in the correction.
    """
    from scipy.stats import chi2

    x = np.asarray(sizes, dtype=float) ** -power
    exact = np.all(errors == 0, axis=0)
    limit, slope, covariance, misfit = _straight_line(x, means, np.where(exact, 1.0, errors))
    freedom = len(x) - 2
    p_value = chi2.sf(misfit, freedom) if freedom > 0 else np.full(misfit.shape, np.nan)
    scale = np.where(exact, 0.0, 1.0)
    errors_of_fit = [scale * np.sqrt(covariance[i, i]) for i in (0, 1)]
    return LimitFit(limit, errors_of_fit[0], slope, errors_of_fit[1], np.where(exact, np.nan, p_value))


def fit_power(sizes: np.ndarray, values: np.ndarray, errors: np.ndarray) -> PowerFit:
    """Fit the exponent of a power law: a weighted straight line through log |value| against log d.

    The error of a logarithm is the relative error, which holds for small ones: steps at which a value is less than two
    standard errors from zero give NaN.

    Args:
        sizes: (S,) values of d.
        values: (S, T+1), of either sign.
        errors: (S, T+1) their standard errors.
    """
    with np.errstate(all="ignore"):
        resolved = np.all((np.abs(values) > RESOLVED * errors) & (errors > 0), axis=0)
        safe = np.where(resolved, values, 1.0)
        relative = np.where(resolved, errors / np.abs(safe), 1.0)
    _, exponent, covariance, _ = _straight_line(np.log(sizes), np.log(np.abs(safe)), relative)
    error = np.sqrt(covariance[1, 1])
    return PowerFit(np.where(resolved, exponent, np.nan), np.where(resolved, error, np.nan))


def _straight_line(
    x: np.ndarray, y: np.ndarray, errors: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return intercept, slope, their covariance (2, 2, T+1) and χ² of y ≈ a + b x, weights 1/errors²."""
    weights = 1 / errors**2
    total = weights.sum(axis=0)
    centre = (weights * x[:, None]).sum(axis=0) / total
    spread = (weights * (x[:, None] - centre) ** 2).sum(axis=0)
    slope = (weights * (x[:, None] - centre) * y).sum(axis=0) / spread
    intercept = (weights * y).sum(axis=0) / total - slope * centre
    covariance = np.array([[1 / total + centre**2 / spread, -centre / spread], [-centre / spread, 1 / spread]])
    misfit = (weights * (y - intercept - slope * x[:, None]) ** 2).sum(axis=0)
    return intercept, slope, covariance, misfit

"""The variance of labels in two parts, signal and noise, by moments: for any ratio of rows to columns."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dyntheory.ground.arrays import ArrayLike
from dyntheory.problem.laws.row_statistics import spectral_moments


class Powers(NamedTuple):
    """Variance of the labels in two parts, with the sum as it was measured.

    Args:
        signal: of the linear part.
        noise: of the rest.
    """

    signal: float
    noise: float


def moment_powers(inputs: ArrayLike, labels: ArrayLike, *, is_white: bool = False) -> Powers:
    """Return signal and noise power by moments, for any ratio of rows to columns.

    y = Xβ + ε with rows of covariance Σ; T = ‖Xᵀy‖²/(n(n + 1)), m_1 = tr S/p, m_2 = tr S²/p − (tr S)²/(pn), S = XᵀX/n:

        signal = (m_1/m_2) (T − (p m_1/(n(n + 1))) ‖y‖²),    noise = ‖y‖²/n − signal.

    Scaling:
        Errors are of the order √(n + p)/n of the label's variance. Right when the coefficients are spread over the
        eigenvalues alike; with white inputs (m_1 = m_2 = 1) for any coefficients.

    Args:
        inputs: X, (n, p), columns of mean zero.
        labels: y, (n,), of mean zero.
        is_white: the covariance is known to be the identity.

    Reference: `dicker2014variance`.
    """
    rows, targets = np.asarray(inputs, dtype=float), np.asarray(labels, dtype=float)
    (n, p), total = rows.shape, float(targets @ targets)
    first, second = (1.0, 1.0) if is_white else spectral_moments(rows)
    along = float(np.sum((rows.T @ targets) ** 2)) / (n * (n + 1))
    signal = first / second * (along - p * first / (n * (n + 1)) * total)
    return Powers(signal, total / n - signal)

"""AMP by its scalar state evolution at two times: an oracle for message passing that knows no matrix and no nodes.

For y = X w*/√d + σ ξ with n/d = α and entries of w* that are ±1, the estimate before the step t + 1 is w* + τ_t Z_t
with Gaussian Z of covariance C_ts = (σ² + E[(w^t − w*)(w^s − w*)])/α; by symmetry w* = 1. The residual with its Onsager
term, r^t = y − h^t + b_t r^{t−1}, has E[r^t r^s] = α C_ts, and b_{t+1} = E η'/α. From r the training error follows:
y − h^t = r^t − b_t r^{t−1}.

Reference: `bayati2011dynamics`, Theorem 1 and equation (3.2).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

Array = np.ndarray
Denoiser = Callable[[Array, float], Array]
RANGE, NUM_POINTS = 8.0, 1601


class AmpCurves(NamedTuple):
    """Training and test error at the states 0 … T."""

    train_error: Array
    test_error: Array


def posterior_mean(x: Array, tau: float) -> Array:
    """Return E[w | w + τ Z = x] for w = ±1."""
    return np.tanh(x / tau**2)


def soft_threshold(kappa: float) -> Denoiser:
    """Return η(x, τ) = sign(x)(|x| − κ τ)₊."""
    return lambda x, tau: np.sign(x) * np.maximum(np.abs(x) - kappa * tau, 0.0)


def solve(denoiser: Denoiser, *, alpha: float, noise_std: float, num_steps: int) -> AmpCurves:
    """Return the curves; expectations are trapezoidal sums over both normals, exact to 1e-9 for smooth denoisers."""
    z = np.linspace(-RANGE, RANGE, NUM_POINTS)
    weights = np.exp(-0.5 * z**2)
    weights /= weights.sum()
    covariance = np.zeros((num_steps + 1, num_steps + 1))  # of the effective noise
    covariance[0, 0] = (noise_std**2 + 1.0) / alpha
    errors, onsager = [1.0], [0.0]
    denoised: list[Callable[[Array], Array]] = []
    for t in range(num_steps):
        tau = np.sqrt(covariance[t, t])
        denoised.append(lambda noise, tau=tau: denoiser(1.0 + noise, tau) - 1.0)
        deviation = denoised[t](tau * z)
        onsager.append(float(weights @ (deviation * z)) / tau / alpha)  # Stein: E η' = E[η Z]/τ
        errors.append(float(weights @ deviation**2))
        covariance[t + 1, t + 1] = (noise_std**2 + errors[-1]) / alpha
        with_start = -float(weights @ deviation)  # w⁰ − w* = −1
        covariance[0, t + 1] = covariance[t + 1, 0] = (noise_std**2 + with_start) / alpha
        for s in range(t):
            cross = _product_mean(denoised[s], denoised[t], covariance[np.ix_([s, t], [s, t])], z, weights)
            covariance[s + 1, t + 1] = covariance[t + 1, s + 1] = (noise_std**2 + cross) / alpha
    train = [alpha * covariance[0, 0]]
    for t in range(1, num_steps + 1):
        b = onsager[t]
        train.append(alpha * (covariance[t, t] - 2 * b * covariance[t, t - 1] + b**2 * covariance[t - 1, t - 1]))
    return AmpCurves(np.array(train), np.array(errors) + noise_std**2)


def _product_mean(
    left: Callable[[Array], Array], right: Callable[[Array], Array], moment: Array, z: Array, weights: Array
) -> float:
    """Return E[left(a) right(b)] for centred Gaussians a, b with that moment."""
    first = np.sqrt(moment[0, 0])
    slope = moment[0, 1] / moment[0, 0]
    rest = np.sqrt(max(moment[1, 1] - slope * moment[0, 1], 0.0))
    a = first * z
    inner = right(slope * a[:, None] + rest * z[None]) @ weights
    return float(weights @ (left(a) * inner))

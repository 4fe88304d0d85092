"""Least squares on correlated features by gradient descent, in the limit: the two-time equations in plain NumPy.

With Δ = w − w* and g = h − y everything is linear: g = J (u − z − σξ), J = (1 − A)⁻¹ and B = αJ lower triangular,

    Δ^{t+1}(λ) = Δ^t(λ) − (η/α)(√λ v^t + λ Σ_{s≤t} B_ts Δ^s(λ)),    A_ts = E[√λ ∂Δ^t/∂v^s],    Cov v = α Cov g.

Each Δ^t(λ) is kept as coefficients of Δ⁰ and of v^0, v^1, …; no matrix is revealed, no node drawn.
"""

from typing import NamedTuple

import numpy as np


class Curves(NamedTuple):
    """Errors at steps 0..T."""

    train_error: np.ndarray
    test_error: np.ndarray


def curves(
    eigenvalues: np.ndarray,
    shares: np.ndarray,
    start_power: np.ndarray,
    *,
    alpha: float,
    rate: float,
    noise_std: float,
    num_steps: int,
) -> Curves:
    """Return the curves; `start_power` is E[(w⁰ − w*)²|λ]."""
    states, modes = num_steps + 1, len(eigenvalues)
    of_start = np.zeros((states, modes))
    of_noise = np.zeros((states, states, modes))  # coefficient of v^s in Δ^t
    of_start[0] = 1.0
    response, overlap = np.zeros((states, states)), np.zeros((states, states))
    for t in range(states):
        response[t, :t] = of_noise[t, :t] @ (shares * np.sqrt(eigenvalues))
        inner = np.linalg.inv(np.eye(t + 1) - response[: t + 1, : t + 1])
        residual = _residual_covariance(inner, overlap[: t + 1, : t + 1], noise_std) if t else np.zeros((1, 1))
        spread = alpha * residual[:t, :t]
        for s in range(t + 1):
            from_start = of_start[t] * of_start[s] * start_power
            from_noise = np.einsum("am,ab,bm->m", of_noise[t, :t], spread, of_noise[s, :t]) if t else 0.0
            overlap[t, s] = overlap[s, t] = shares @ (eigenvalues * (from_start + from_noise))
        if t < num_steps:
            pull = rate * inner[t]  # (η/α) B_ts
            of_start[t + 1] = of_start[t] - eigenvalues * (pull @ of_start[: t + 1])
            of_noise[t + 1] = of_noise[t] - eigenvalues * np.einsum("s,sbm->bm", pull, of_noise[: t + 1])
            of_noise[t + 1, t] -= rate / alpha * np.sqrt(eigenvalues)
    inner = np.linalg.inv(np.eye(states) - response)
    train = np.diagonal(_residual_covariance(inner, overlap, noise_std))
    return Curves(train, np.diagonal(overlap) + noise_std**2)


def _residual_covariance(inner: np.ndarray, overlap: np.ndarray, noise_std: float) -> np.ndarray:
    return inner @ (overlap + noise_std**2) @ inner.T

"""Two balanced layers, exactly at any time: the matrix Riccati solution, aligned or not.

With W₁W₁ᵀ = W₂ᵀW₂ at the start, whitened inputs, Q = [W₁ᵀ; W₂] and F = [[0, Σᵀ], [Σ, 0]],

    QQᵀ(t) = e^{Ft}Q₀ [I + Q₀ᵀ (∫₀ᵗ e^{2Fs} ds) Q₀]⁻¹ Q₀ᵀ e^{Ft},

W₂W₁ its lower left block. The inverse is taken by a QR decomposition of rows that differ in size by e^{2st}, the large
ones first and with pivots, so that weak modes keep their digits beside strong ones.

Reference: `fukumizu1998effect`; `braun2022exact`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dyntheory.flows.deep_linear.network import checked
from dyntheory.flows.solving import check_times
from dyntheory.ground.arrays import ArrayLike
from dyntheory.ground.kinds import check_arguments

BALANCED = 1e-9
LARGEST = 300.0  # s t; e^{2st} overflows above 354


def exact(correlation: ArrayLike, weights: Sequence[ArrayLike], *, times: ArrayLike) -> np.ndarray:
    """Return the product W₂W₁ of two balanced layers under gradient flow with whitened inputs, in closed form.

    Scaling:
        That of `flow`.

    Args:
        correlation: Σ_yx, (outputs, inputs).
        weights: W₁ (hidden, inputs) and W₂ (outputs, hidden) with W₁W₁ᵀ = W₂ᵀW₂.
        times: increasing, zero or later, (T,); at most 300/s of the strongest mode.

    Returns:
        (T, outputs, inputs).

    Raises:
        ValueError: layers that are not balanced, another depth, times that are too late, shapes that do not match.

    Example:
        >>> import numpy as np
        >>> exact(np.diag([3.0, 1.0]), [0.1 * np.eye(2)] * 2, times=[1.5])[0].diagonal().round(2).tolist()
        [2.89, 0.17]

    Reference: `fukumizu1998effect`; `braun2022exact`.
    """
    check_arguments(exact, locals())
    moments = check_times(times)
    task, layers = checked(correlation, weights, None)
    if len(layers) != 2:
        raise ValueError(f"`weights` must be two layers for the exact solution, got {len(layers)}: use `flow`.")
    first, second = layers
    gap = np.abs(first @ first.T - second.T @ second).max()
    if gap > BALANCED * max(np.abs(first).max() ** 2, np.abs(second).max() ** 2, 1e-300):
        raise ValueError(f"`weights` must be balanced, W₁W₁ᵀ = W₂ᵀW₂; they differ by {gap:.2g}: use `flow`.")
    target = np.asarray(task.correlation)
    outputs, inputs = target.shape
    generator = np.block([[np.zeros((inputs, inputs)), target.T], [target, np.zeros((outputs, outputs))]])
    rates, directions = np.linalg.eigh(generator)
    if rates.max() * moments[-1] > LARGEST:
        raise ValueError(
            f"`times` must end by {LARGEST:g}/s = {LARGEST / rates.max():.4g} for the strongest mode s, got "
            f"{moments[-1]:g}: everything but modes of no strength is learned there."
        )
    start = directions.T @ np.concatenate([first.T, second])
    found = [_square(rates, directions, start, time) for time in moments]
    return np.stack([one[inputs:, :inputs] for one in found])


def _square(rates: np.ndarray, directions: np.ndarray, start: np.ndarray, time: float) -> np.ndarray:
    """Return QQᵀ at one time; `start` is Q₀ in eigendirections."""
    from scipy.linalg import qr, solve_triangular

    twice = 2 * rates * time
    ratios = np.divide(np.expm1(twice), twice, out=np.ones_like(twice), where=twice != 0)
    rows = np.concatenate([np.eye(start.shape[1]), np.sqrt(time * ratios)[:, None] * start])
    order = np.argsort(-np.abs(rows).max(axis=1), kind="stable")
    found: Any = qr(rows[order], mode="economic", pivoting=True)
    upper, pivots = found[1:]
    grown = directions @ (np.exp(rates * time)[:, None] * start)
    half = solve_triangular(upper, grown[:, pivots].T, trans=1)
    return half.T @ half

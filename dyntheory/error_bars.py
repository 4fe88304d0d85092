"""Error bars of a prediction from one run on N nodes and one on each of its eight sub-nets of N/8.

With block values Q_b: s = sd_b(Q_b)/√B, D = |Q_N − mean_b Q_b|, τ = t_{.975,B−1}/1.96. Both are smoothed over
neighbouring steps, ŝ(t) = max(s(t), |Q(t)| rms_{|t'−t| ≤ 2} s(t')/|Q(t')|), and the reported one-sigma error is
√((τ ŝ)² + (D̂/2)²).
The spread alone would not see the bias of a small node set. Honest on the problems measured: see the documentation.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import t as student

NEIGHBOURS = 2


def _smooth(errors: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Raise each error to the rms of its neighbours' relative errors; non-finite neighbours do not count."""
    squared = np.square(errors / scale)
    padded = np.pad(squared, [(NEIGHBOURS, NEIGHBOURS)] + [(0, 0)] * (squared.ndim - 1), constant_values=np.nan)
    windows = np.stack([padded[i : i + len(errors)] for i in range(2 * NEIGHBOURS + 1)])
    finite = np.isfinite(windows)
    total = np.where(finite, windows, 0.0).sum(axis=0)
    rms = np.sqrt(total / np.maximum(finite.sum(axis=0), 1))
    return np.fmax(errors, rms * scale)


def standard_error(values: np.ndarray, blocks: np.ndarray, *, relative: bool) -> np.ndarray:
    """Return the one-sigma numerical error of `values` (T+1, …) given `blocks` (B, T+1, …).

    Args:
        values: the quantity on all nodes.
        blocks: the same on each sub-net.
        relative: smooth errors relative to |values| (curves that stay positive) or absolutely (overlaps, heads).
    """
    count = blocks.shape[0]
    factor = student.ppf(0.975, count - 1) / 1.959963984540054
    with np.errstate(all="ignore"):
        spread = blocks.std(axis=0, ddof=1) / np.sqrt(count)
        shift = np.abs(values - blocks.mean(axis=0))
        scale = np.abs(values) if relative else np.ones_like(values)
        return np.hypot(factor * _smooth(spread, scale), _smooth(shift, scale) / 2)

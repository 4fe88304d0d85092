"""Error bars of a prediction from one run on N nodes and one on each of its eight sub-nets of N/8.

With block values Q_b: s = sd_b(Q_b)/√B, D = |Q_N − mean_b Q_b|, τ = t_{.975,B−1}/1.96. Both are smoothed over
neighbouring steps, ŝ(t) = max(s(t), |Q(t)| rms_{|t'−t| ≤ 2} s(t')/|Q(t')|), and the reported one-sigma error is
√((τ ŝ)² + (D̂/2)² + ρ²).
Where a quantity has components (overlaps, heads), sᵢ² and Dᵢ² are first raised to half way towards their means over the
components: of many components some have eight sub-nets that agree by chance.
The spread alone would not see the bias of a small node set, which all sub-nets share; D does. Neither sees what
rounding and dropped directions do alike to all of them: ρ is 1e-10 of the largest value so far (measured on linear
networks, whose nodes are exact: 1e-11). `validation/honesty.py` counts how often the true error lies within.
"""

from __future__ import annotations

import functools
from collections.abc import Collection

import jax
import numpy as np
from scipy.stats import t as student

from dyntheory.ground.arrays import PyTree

NEIGHBOURS = 2
ROUNDING = 1e-10


def spread_factor(count: int) -> float:
    """Return τ for so many sub-nets."""
    return float(student.ppf(0.975, count - 1)) / 1.959963984540054


def sub_net_spread(blocks: np.ndarray) -> np.ndarray:
    """Return τ s, the t-corrected standard error of the mean over sub-nets (leading axis)."""
    count = blocks.shape[0]
    return spread_factor(count) * blocks.std(axis=0, ddof=1) / np.sqrt(count)


def sub_net_shift(values: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """Return D, by how much the mean over sub-nets misses the value on all nodes."""
    return np.abs(values - blocks.mean(axis=0))


def rounding_floor(values: np.ndarray) -> np.ndarray:
    """Return ρ for values (T+1, …): one number a step, from the largest component so far."""
    size = np.abs(values).reshape(len(values), -1).max(axis=1, initial=0.0)
    largest = np.maximum.accumulate(np.where(np.isfinite(size), size, 0.0))
    return ROUNDING * largest.reshape(-1, *[1] * (values.ndim - 1))


def pool(errors: np.ndarray) -> np.ndarray:
    """Raise each component's error (T+1, …) to √((eᵢ² + mean e²)/2) where that is larger."""
    squared = np.square(errors)
    finite = np.isfinite(squared)
    axes, total = tuple(range(1, errors.ndim)), np.where(finite, squared, 0.0)
    mean = total.sum(axis=axes, keepdims=True) / np.maximum(finite.sum(axis=axes, keepdims=True), 1)
    return np.sqrt(np.maximum(squared, (squared + mean) / 2))


def smooth(errors: np.ndarray, scale: np.ndarray) -> np.ndarray:
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

    It is infinite where a value, or that of a sub-net, is not finite.

    Args:
        values: the quantity on all nodes.
        blocks: the same on each sub-net.
        relative: smooth errors relative to |values| (curves that stay positive) or absolutely and over components
            (overlaps, heads).
    """
    with np.errstate(all="ignore"):
        scale = np.abs(values) if relative else np.ones_like(values)
        spread, shift = (
            smooth(error if relative else pool(error), scale)
            for error in (sub_net_spread(blocks), sub_net_shift(values, blocks))
        )
        error = np.hypot(np.hypot(spread, shift / 2), rounding_floor(values))
    return np.where(np.isfinite(values) & np.isfinite(blocks).all(axis=0), error, np.inf)


def standard_errors(
    values: dict[str, PyTree],
    blocks: dict[str, PyTree],
    *,
    relative: Collection[str] = (),
    scaled: Collection[str] = (),
) -> dict[str, PyTree]:
    """Return `standard_error` of every leaf of named quantities.

    Args:
        values: by name, leaves (T+1, …).
        blocks: the same on each sub-net.
        relative: names of curves that stay positive.
        scaled: names of quantities whose components have scales of their own.
    """

    def error(name: str, value: np.ndarray, block: np.ndarray) -> np.ndarray:
        scale = largest(value) if name in scaled else np.ones(value.shape[1:])
        return scale * standard_error(value / scale, block / scale, relative=name in relative)

    return {name: jax.tree.map(functools.partial(error, name), values[name], blocks[name]) for name in values}


def largest(values: np.ndarray) -> np.ndarray:
    """Return the largest finite size of every component of (T+1, …) over the steps, one where there is none."""
    size = np.where(np.isfinite(values), np.abs(values), 0.0).max(axis=0)
    return np.where(size > 0, size, 1.0)

"""Pictures of signal propagation: over how many layers a random network carries a signal."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from dyntheory.closed_forms import SignalLimit
from dyntheory.ground.arrays import ArrayLike
from dyntheory.ground.checks import check_nonnegative
from dyntheory.ground.kinds import check_arguments
from dyntheory.plot.style import figure_of, finish, new_figure

LEAST, MOST = 1.0, 100.0  # depths of the colours


def signal_map(
    found: SignalLimit,
    weight_std: ArrayLike,
    bias_std: ArrayLike,
    *,
    ax: Axes | None = None,
    title: str | None = None,
) -> Figure:
    """Draw the depth scale ξ_c of a random network over σ_w and σ_b, with the edge of chaos.

    Args:
        found: from `closed_forms.signal_limit`, of arrays of shape (w, b).
        weight_std: σ_w, increasing, (w,).
        bias_std: σ_b, increasing, (b,).
        ax: where to draw; default a figure of its own.
        title: of the axes.

    Returns:
        The figure; see `save_figure`.

    Raises:
        ValueError: sizes that do not fit together.
    """
    check_arguments(signal_map, locals())
    sizes = []
    for name, value in (("weight_std", weight_std), ("bias_std", bias_std)):
        check_nonnegative(name, value)
        row = np.asarray(value, float)
        if row.ndim != 1 or len(row) < 2 or np.any(np.diff(row) <= 0):
            raise ValueError(f"`{name}` must be a row of at least two numbers that increase, got shape {row.shape}.")
        sizes.append(row)
    depth = np.asarray(found.correlation_depth, float)
    if depth.shape != (len(sizes[0]), len(sizes[1])):
        raise ValueError(
            f"`found` must hold arrays of shape ({len(sizes[0])}, {len(sizes[1])}), one entry for every pair of "
            f"`weight_std` and `bias_std`, got {depth.shape}."
        )
    axes = new_figure(5.4, 3.9).add_subplot() if ax is None else ax
    norm = LogNorm(LEAST, MOST)
    known = np.ma.masked_invalid(np.where(np.isfinite(depth), np.clip(depth, LEAST, MOST), np.nan)).T
    mesh = axes.pcolormesh(*sizes, known, norm=norm, cmap="viridis", shading="nearest", rasterized=True)
    growth = np.asarray(found.gradient_growth, float).T
    if growth.min() < 1 < growth.max():
        axes.contour(*sizes, growth, levels=[1.0], colors="white", linewidths=1.2)
    bar = figure_of(axes).colorbar(mesh, ax=axes, extend="both")
    bar.set_label(r"$\xi_c$, layers")
    finish(axes, r"$\sigma_w$", r"$\sigma_b$", title)
    return figure_of(axes)

"""The result of the wing: what a deep linear network computes along time, mode by mode."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Annotated, Any

import numpy as np

from dyntheory.ground.status import Assumptions, Status
from dyntheory.ground.storage.marks import Axes, Coordinate
from dyntheory.ground.storage.saved import Saved


@dataclasses.dataclass(frozen=True)
class LinearPaths(Saved):
    """Training of a deep linear network; the leading axis is that of runs, one where nothing is random.

    Modes are singular directions of the best linear map W* = Σ_α s_α u_α v_αᵀ, the strongest first.

    Args:
        times: (T,) learning rate times steps where there are steps.
        products: W = W_L ⋯ W_1, (runs, T, outputs, inputs).
        loss: (runs, T) ½E|y − Wx|² above that of W*.
        strengths: (runs, T, modes) u_αᵀ W v_α.
        alignment: (runs, T, modes) u_αᵀ W v_α/√(|W v_α| |Wᵀ u_α|): one where both are a singular pair of W, zero
            for W = 0.
        imbalance: (runs, T) largest entry of W_{l+1}ᵀW_{l+1} − W_lW_lᵀ: conserved by the flow.
        target_strengths: (modes,) s_α.
        half_times: (runs, modes) when a mode first reaches s_α/2, on straight lines between times; NaN if it does not.
        weights: W_l, each (runs, T, ·, ·).
        status: how it ended.
        assumptions: what it rests on.
        provenance: what was asked.
    """

    times: Annotated[np.ndarray, Coordinate("time")]
    products: Annotated[np.ndarray, Axes("run", "time", "output", "input")]
    loss: Annotated[np.ndarray, Axes("run", "time")]
    strengths: Annotated[np.ndarray, Axes("run", "time", "mode")]
    alignment: Annotated[np.ndarray, Axes("run", "time", "mode")]
    imbalance: Annotated[np.ndarray, Axes("run", "time")]
    target_strengths: Annotated[np.ndarray, Axes("mode")]
    half_times: Annotated[np.ndarray, Axes("run", "mode")]
    weights: tuple[Annotated[np.ndarray, Axes("run", "time", "unit", "unit")], ...]
    status: Status = dataclasses.field(default_factory=Status)
    assumptions: Assumptions | None = None
    provenance: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def num_runs(self) -> int:
        """Number of runs."""
        return len(self.loss)

    @property
    def depth(self) -> int:
        """Number of layers L."""
        return len(self.weights)


def paths_of(
    times: np.ndarray,
    layers: tuple[np.ndarray, ...],
    loss: np.ndarray,
    target: np.ndarray,
    status: Status,
    provenance: dict[str, Any],
) -> LinearPaths:
    """Return the result of layers with axes of runs and times in front."""
    products = layers[0]
    for layer in layers[1:]:
        products = layer @ products
    left, singular, right = np.linalg.svd(target, full_matrices=False)
    strengths = np.einsum("om,rtoi,mi->rtm", left, products, right)
    outputs = np.linalg.norm(np.einsum("rtoi,mi->rtmo", products, right), axis=-1)
    inputs = np.linalg.norm(np.einsum("rtoi,om->rtmi", products, left), axis=-1)
    sizes = np.sqrt(outputs * inputs)
    alignment = np.divide(strengths, sizes, out=np.zeros_like(strengths), where=sizes > 0)
    gaps = [
        np.abs(np.swapaxes(after, -1, -2) @ after - before @ np.swapaxes(before, -1, -2)).max(axis=(2, 3))
        for before, after in itertools.pairwise(layers)
    ]
    imbalance = np.max(gaps, axis=0) if gaps else np.zeros_like(loss)
    halves = crossings(times, strengths, 0.5 * singular)
    given = (times, products, loss, strengths, alignment, imbalance, singular, halves, layers)
    return LinearPaths(*given, status, Assumptions("theorem", "the loss and its gradient are exact"), provenance)


def crossings(times: np.ndarray, curves: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return when curves (runs, T, modes) first reach levels (modes,), on straight lines; NaN where they do not."""
    found = np.full(curves.shape[::2], np.nan)
    for run, mode in np.ndindex(found.shape):
        curve = curves[run, :, mode]
        above = np.flatnonzero(curve >= levels[mode])
        if not above.size or levels[mode] <= 0:
            continue
        after = above[0]
        if after == 0:
            found[run, mode] = times[0]
            continue
        part = (levels[mode] - curve[after - 1]) / (curve[after] - curve[after - 1])
        found[run, mode] = times[after - 1] + part * (times[after] - times[after - 1])
    return found

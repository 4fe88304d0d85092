"""Runs of SGD beside a flow: z-scores after the error of finite steps is taken out.

A mean at rate η is off the flow by c η + O(η²); from rates η and η′ the value at zero is (η m′ − η′ m)/(η − η′).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

FEWEST = 3
ROUNDING = 1e-12  # of the largest value


class Runs(NamedTuple):
    """Values of runs at one learning rate: what is compared gets them by name."""

    name: str
    times: np.ndarray
    learning_rate: float
    values: dict[str, np.ndarray]


class Scores(NamedTuple):
    """z-scores and standard errors, without the axis of runs."""

    z: np.ndarray
    error: np.ndarray


def scores(times: np.ndarray, theory: dict[str, np.ndarray], simulations: Sequence[Runs]) -> dict[str, Scores]:
    """Return z-scores of every value after the first time, of one simulation or extrapolated from two.

    Args:
        times: (T,).
        theory: values with an axis of times in front.
        simulations: the values of runs, with axes of runs and times in front.

    Raises:
        ValueError: other times or shapes, fewer than three runs, or a second rate that is not smaller.
    """
    weights = [1.0]
    if len(simulations) > 1:
        rate, smaller = (one.learning_rate for one in simulations)
        if not smaller < rate:
            raise ValueError(f"`finer` must have a smaller learning rate than `runs`, {rate}, got {smaller}.")
        weights = [-smaller / (rate - smaller), rate / (rate - smaller)]
    for one in simulations:
        count = len(next(iter(one.values.values())))
        if count < FEWEST:
            raise ValueError(f"`{one.name}` must hold at least {FEWEST} runs for a standard error, got {count}.")
        if len(one.times) != len(times) or not np.allclose(one.times, times, rtol=1e-9):
            raise ValueError(f"`{one.name}` must have the times of `theory`: pass its `times` to `flow`.")
        for name, value in theory.items():
            if one.values[name].shape[1:] != value.shape:
                raise ValueError(
                    f"`{one.name}` must have {name} of the shape that `theory` has, {value.shape}, got "
                    f"{one.values[name].shape[1:]}."
                )
    return {
        name: _scored(value[1:], [one.values[name][:, 1:] for one in simulations], weights)
        for name, value in theory.items()
    }


def _scored(theory: np.ndarray, values: list[np.ndarray], weights: list[float]) -> Scores:
    mean, variance = np.zeros_like(theory), np.zeros_like(theory)
    for value, weight in zip(values, weights, strict=True):
        mean = mean + weight * value.mean(axis=0)
        variance = variance + weight**2 * value.var(axis=0, ddof=1) / len(value)
    error, off = np.sqrt(variance), mean - theory
    rounding = ROUNDING * max(np.abs(one).max(initial=0.0) for one in (theory, *values))
    with np.errstate(divide="ignore", invalid="ignore"):
        return Scores(np.where(np.maximum(error, np.abs(off)) <= rounding, 0.0, off / error), error)

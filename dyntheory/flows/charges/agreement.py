"""Paths of SGD against the flow: z-scores of means over runs, after the error of a finite step is taken out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dyntheory.flows.charges.results import ChargePaths
from dyntheory.ground.kinds import check_arguments

FEWEST = 3
ROUNDING = 1e-12


class ChargeAgreement(NamedTuple):
    """How runs agree with the flow; the first time, which is given, is left out.

    Args:
        z_positions: (T − 1, m, d) difference of means over its standard error; no bias of the step is left but that of
            second order where two simulations are given.
        z_charges: (T − 1, m), zero where charges are not trained.
        z_loss: (T − 1,) of the population loss at the positions of runs, which fluctuations raise: of first order in
            the learning rate, like the bias.
        largest: |z| of positions and charges.
        root_mean_square: of the same.
        resolution: largest standard error of a position, relative to the longest vector.
    """

    z_positions: np.ndarray
    z_charges: np.ndarray
    z_loss: np.ndarray
    largest: float
    root_mean_square: float
    resolution: float


def compare(theory: ChargePaths, runs: ChargePaths, finer: ChargePaths | None = None) -> ChargeAgreement:
    """Compare the flow with means over runs of SGD, extrapolated to vanishing steps where two rates are given.

    A mean at rate η is off by c η + O(η²); from rates η and η′ the value at zero is (η m′ − η′ m)/(η − η′).

    Args:
        theory: from `flow`, one start, at the times of the runs.
        runs: from `simulate`.
        finer: the same at a smaller rate, with another key.

    Returns:
        z-scores.

    Raises:
        ValueError: other times, several starts, fewer than three runs, or a rate that is not smaller.

    Example:
        >>> import jax, numpy as np
        >>> from dyntheory.flows.charges import compare, flow, simulate
        >>> given = {"protons": np.eye(2), "electrons": np.array([[0.9, 0.2], [0.1, 0.5]])}
        >>> runs = [simulate("erf", **given, learning_rate=rate, num_steps=int(1 / rate), key=jax.random.key(seed),
        ...                  num_runs=40, record_every=int(0.5 / rate)) for seed, rate in enumerate((0.1, 0.05))]
        >>> compare(flow("erf", **given, times=runs[0].times), *runs).largest < 4
        True

    Reference: `panigrahy2018convergence`.
    """
    check_arguments(compare, locals())
    if theory.num_runs != 1:
        raise ValueError(f"`theory` must be a flow from one start, got {theory.num_runs}.")
    parts = [("runs", runs, 1.0)]
    if finer is not None:
        rate, smaller = (float(one.provenance["learning_rate"]) for one in (runs, finer))
        if not smaller < rate:
            raise ValueError(f"`finer` must have a smaller learning rate than `runs`, {rate}, got {smaller}.")
        parts = [("runs", runs, -smaller / (rate - smaller)), ("finer", finer, rate / (rate - smaller))]
    for name, one, _ in parts:
        if one.num_runs < FEWEST:
            raise ValueError(f"`{name}` must hold at least {FEWEST} runs for a standard error, got {one.num_runs}.")
        if len(one.times) != len(theory.times) or not np.allclose(one.times, theory.times, rtol=1e-9):
            raise ValueError(f"`{name}` must have the times of `theory`: pass its `times` to `flow`.")
    found = {name: _scores(theory, parts, name) for name in ("positions", "charges", "loss")}
    both = np.concatenate([found[name][0].ravel() for name in ("positions", "charges")])
    scale = max(np.linalg.norm(theory.positions, axis=-1).max(), np.linalg.norm(theory.protons, axis=-1).max())
    spread = float(found["positions"][1].max() / scale)
    scores = (found["positions"][0], found["charges"][0], found["loss"][0])
    moving = both[np.isfinite(both) & (both != 0)]
    rms = float(np.sqrt(np.mean(np.square(moving)))) if moving.size else 0.0
    return ChargeAgreement(*scores, float(np.abs(both).max()), rms, spread)


def _scores(theory: ChargePaths, parts: list[tuple[str, ChargePaths, float]], name: str) -> tuple[np.ndarray, ...]:
    """Return z-scores and standard errors after the first time."""
    values = [(getattr(one, name)[:, 1:], weight) for _, one, weight in parts]
    mean = sum(weight * value.mean(axis=0) for value, weight in values)
    variance = sum(weight**2 * value.var(axis=0, ddof=1) / len(value) for value, weight in values)
    error, off = np.sqrt(variance), mean - getattr(theory, name)[0, 1:]
    with np.errstate(divide="ignore", invalid="ignore"):
        scores = np.where(np.maximum(error, np.abs(off)) < ROUNDING, 0.0, off / error)  # of what is not trained
    return scores, error

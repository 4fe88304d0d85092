"""Paths of SGD against the flow: z-scores of means over runs, after the error of a finite step is taken out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dyntheory.flows.agreement import Runs, scores
from dyntheory.flows.charges.results import ChargePaths
from dyntheory.ground.kinds import check_arguments

COMPARED = ("positions", "charges", "loss")


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
    simulations = [_runs(name, one) for name, one in (("runs", runs), ("finer", finer)) if one is not None]
    found = scores(theory.times, {name: getattr(theory, name)[0] for name in COMPARED}, simulations)
    both = np.concatenate([found[name].z.ravel() for name in ("positions", "charges")])
    scale = max(np.linalg.norm(theory.positions, axis=-1).max(), np.linalg.norm(theory.protons, axis=-1).max())
    moving = both[both != 0]
    rms = float(np.sqrt(np.mean(np.square(moving)))) if moving.size else 0.0
    resolution = float(found["positions"].error.max() / scale)
    z_positions, z_charges, z_loss = (found[name].z for name in COMPARED)
    return ChargeAgreement(z_positions, z_charges, z_loss, float(np.abs(both).max()), rms, resolution)


def _runs(name: str, found: ChargePaths) -> Runs:
    values = {one: getattr(found, one) for one in COMPARED}
    return Runs(name, found.times, float(found.provenance.get("learning_rate", np.inf)), values)

"""Runs of one memory at finite size, many beside each other, and their means."""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.flows.memory.results import RecallRuns
from dyntheory.flows.memory.spins import Drawn, Record, glauber, message_passing
from dyntheory.ground.arrays import Key
from dyntheory.ground.precision import double_precision, to_numpy
from dyntheory.ground.randomness import stream
from dyntheory.ground.status import Outcome, Status

GLAUBER, MESSAGES = "glauber", "message passing"
MOST_NUMBERS = 2**25  # of matrices held at a time
STILL = 1e-6

Draw = Callable[[Key], Drawn]


def simulated(
    draw: Draw, variance: float, key: Key, *, num_factors: int, num_spins: int, num_runs: int, num_steps: int, kind: str
) -> RecallRuns:
    """Return means over runs, each with a matrix of its own."""
    at_once = max(1, min(num_runs, MOST_NUMBERS // (num_factors * num_spins)))
    with double_precision():
        of_size = jax.random.fold_in(stream(key, "runs"), num_spins)  # runs of other sizes are independent
        keys = jax.random.split(of_size, num_runs)
        one = functools.partial(_one, draw, variance, kind, num_steps)
        parts = []
        for begin in range(0, num_runs, at_once):
            some = keys[np.minimum(np.arange(begin, begin + at_once), num_runs - 1)]
            parts.append(to_numpy(jax.vmap(one)(some)))
    found = Record(*(np.concatenate(leaves)[:num_runs] for leaves in zip(*parts, strict=True)))
    return _means(found, num_spins, kind, is_cold=variance == 0)


def _one(draw: Draw, variance: float, kind: str, num_steps: int, key: Key) -> Record:
    drawn, number = draw(jax.random.fold_in(key, 0)), jnp.asarray(variance)
    if kind == MESSAGES:
        return message_passing(drawn, number, num_steps=num_steps)
    return glauber(drawn, number, jax.random.fold_in(key, 1), num_steps=num_steps, is_cold=variance == 0)


def _means(found: Record, num_spins: int, kind: str, *, is_cold: bool) -> RecallRuns:
    is_spin = kind == GLAUBER
    decided = found.decided if is_spin else None
    still = float(np.mean(found.moved < STILL))
    return RecallRuns(
        np.arange(found.overlap.shape[1]),
        np.mean(found.overlap, axis=0),
        _error(found.overlap),
        found.overlap,
        np.mean(found.wrong, axis=0),
        _error(found.wrong),
        None if decided is None else float(np.mean(decided)),
        None if decided is None else float(_error(decided)),
        still,
        num_spins,
        _status(found, still, must_rest=is_spin and is_cold),
    )


def _error(values: np.ndarray) -> np.ndarray:
    """Return standard errors of means over runs; NaN of a single one."""
    count = len(values)
    return np.std(values, axis=0, ddof=1) / np.sqrt(count) if count > 1 else np.full(values.shape[1:], np.nan)


def _status(found: Record, still: float, *, must_rest: bool) -> Status:
    if not np.isfinite(found.overlap).all():
        return Status(Outcome.DIVERGED, "Messages overflowed: start closer, or change the temperature.")
    if must_rest and still < 1:
        moving = 1 - still
        return Status(Outcome.UNRESOLVED, f"{moving:.0%} of the runs had not come to rest: raise `num_steps`.")
    return Status()

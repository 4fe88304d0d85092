"""What one point of a sweep costs beside a call of `predict` in a loop: ratios in one run.

PROTOCOL. Two layers, k = 2, tanh, n/d swept from 1 to 4 and the learning rate over four values, T = 20, N nodes of
2^11 (the fewest that this run allows), 2^12 and 2^14, error bars included in both. The loop has new numbers at every
call; both are warm (compiled), the first sweep, compilation included, is told as well. Medians of `repeats` turns,
range beside; and the largest difference between the numbers of both.

Nothing is asserted. Numbers are ratios within one run on a shared machine; the record has device, dtype and versions.

    python -m benchmarks.sweep_cost            # writes benchmarks/results/sweep_cost.json
"""

from __future__ import annotations

import dataclasses
import time
import warnings
from typing import Any

import jax
import numpy as np
import optax
import tyro

import dyntheory as dt
from benchmarks.leaving import leave

RATES = (0.2, 0.5, 1.0, 2.0)
METHOD = dt.gradient_descent(dt.MLP((2,), "tanh"), optax.sgd, learning_rate=0.5)


@dataclasses.dataclass(frozen=True)
class Settings:
    """Sizes and repeats."""

    num_steps: int = 20
    sizes: tuple[int, ...] = (2**11, 2**12, 2**14)
    num_ratios: int = 64
    num_calls: int = 12
    repeats: int = 3


def grid(settings: Settings, num_nodes: int, shift: float) -> Any:
    """Sweep."""
    ratios = np.linspace(1.0, 4.0, settings.num_ratios) + shift
    over = {"samples_per_feature": ratios, "learning_rate": RATES}
    law = dt.TeacherStudent(2.0, link="sin", noise_std=0.3)
    options = {"num_steps": settings.num_steps, "num_nodes": num_nodes, "key": jax.random.key(0)}
    return dt.sweep(law, METHOD, over=over, **options)


def one(settings: Settings, num_nodes: int, ratio: float, rate: float) -> dt.Trajectory:
    """Predict one point."""
    law = dt.TeacherStudent(ratio, link="sin", noise_std=0.3)
    method = dataclasses.replace(
        METHOD, hyperparameters={"first_layer": {"learning_rate": rate}, "head": {"learning_rate": rate}}
    )
    options = {"num_steps": settings.num_steps, "num_nodes": num_nodes, "key": jax.random.key(0)}
    return dt.predict(law, method, keep_preactivations=False, **options)


def measure(settings: Settings, num_nodes: int) -> dict[str, Any]:
    """Return seconds per point of both, the ratio, and how far the numbers are apart."""
    started = time.perf_counter()
    found = grid(settings, num_nodes, 0.0)
    first = time.perf_counter() - started
    points = settings.num_ratios * len(RATES)
    ratio, rate = float(found.samples_per_feature[-1]), RATES[1]
    apart = np.abs(
        found.test_error.isel(samples_per_feature=-1, learning_rate=1)
        / one(settings, num_nodes, ratio, rate).test_error
        - 1
    )
    together, alone = [], []
    for turn in range(settings.repeats):
        started = time.perf_counter()
        grid(settings, num_nodes, 0.01 * (turn + 1))
        together.append((time.perf_counter() - started) / points)
        started = time.perf_counter()
        for call in range(settings.num_calls):
            one(settings, num_nodes, 1.0 + 0.1 * call + 0.001 * turn, RATES[call % len(RATES)])
        alone.append((time.perf_counter() - started) / settings.num_calls)
    ratios = np.asarray(alone) / np.asarray(together)
    return {
        "first_sweep_seconds": first,
        "milliseconds_a_point": 1e3 * float(np.median(together)),
        "milliseconds_a_call": 1e3 * float(np.median(alone)),
        "ratio": {"median": float(np.median(ratios)), "min": float(ratios.min()), "max": float(ratios.max())},
        "largest_relative_difference": float(apart.max()),
    }


def main(settings: Settings) -> None:
    """Run the protocol, print a table, write the record."""
    warnings.simplefilter("ignore", dt.DyntheoryWarning)
    numbers = {f"{size} nodes": measure(settings, size) for size in settings.sizes}
    leave("sweep_cost", __doc__, settings=settings, numbers=numbers)


if __name__ == "__main__":
    main(tyro.cli(Settings))

"""What predictions of many units and many steps take: memory and time of whole processes, accuracy beside them.

PROTOCOL. Two layers, tanh, k units, n/d = 2, link sin_mixture, noise 0.3, learning rate 0.2, float64. Each row is one
`predict` in a process of its own, nothing compiled before and nothing else running there:

* seconds: of the call, compilation, nodes and error bars included;
* peak memory: the largest resident set of the process, less what it was before the call (Python and JAX take 0.3 GB);
* estimate: what `dt.prediction_cost` says of memory and of time without compilation, before it is spent;
* error: the largest reported relative error of train and test error (relative to the larger of the value and 1e-3 of
  its initial value), and the status.

Nothing is asserted. A row that does not fit the memory that is free is left out and named.

    python -m benchmarks.prediction_limits      # quarter of an hour; writes benchmarks/results/prediction_limits.json
"""

from __future__ import annotations

import dataclasses
import multiprocessing
import resource
import time
import warnings
from typing import Any

import jax
import optax
import psutil
import tyro

import dyntheory as dt
from benchmarks.leaving import leave
from dyntheory.ground.status import DyntheoryWarning
from dyntheory.results.judgement import relative_errors


@dataclasses.dataclass(frozen=True)
class Row:
    """One prediction: k, T, log2 N and the size below which directions are dropped."""

    num_units: int
    num_steps: int
    log2_nodes: int
    drop_below: float = 0.0


ROWS = (
    Row(1, 100, 14),
    Row(3, 12, 14),
    Row(4, 100, 15),
    Row(4, 300, 15, 1e-4),
    Row(4, 1000, 15, 1e-4),
    Row(8, 100, 16),
    Row(16, 50, 16),
    Row(64, 12, 16),
    Row(64, 25, 16),
)


@dataclasses.dataclass(frozen=True)
class Settings:
    """Which rows, by number; default all."""

    rows: tuple[int, ...] = tuple(range(len(ROWS)))
    seed: int = 0


def measured(row: Row, seed: int) -> dict[str, Any]:
    """Return what one prediction takes; the first and only one of its process."""
    law = dt.TeacherStudent(2.0, "sin_mixture", 0.3)
    method = dt.gradient_descent(dt.MLP((row.num_units,), "tanh"), optax.sgd, learning_rate=0.2)
    size = {"num_steps": row.num_steps, "num_nodes": 2**row.log2_nodes}
    cost = dt.prediction_cost(law, method, **size, drops=row.drop_below > 0)
    estimate = {"directions": cost.num_columns, "estimated_bytes": cost.memory, "estimated_seconds": cost.seconds}
    if cost.memory > 0.9 * psutil.virtual_memory().available:
        return {**estimate, "left_out": "more memory than is free"}
    before, started = psutil.Process().memory_info().rss, time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DyntheoryWarning)
        result = dt.predict(
            law, method, key=jax.random.key(seed), drop_below=row.drop_below, keep_preactivations=False, **size
        )
    seconds = time.perf_counter() - started
    train, test = relative_errors(result).max(axis=1)
    return {
        **estimate,
        "seconds": seconds,
        "peak_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before,
        "status": result.status.code,
        "reported_error_train": float(train),
        "reported_error_test": float(test),
    }


def main(settings: Settings) -> None:
    """Run the rows, print them, write the record."""
    context, numbers = multiprocessing.get_context("spawn"), {}
    for row in (ROWS[index] for index in settings.rows):
        with context.Pool(1) as pool:
            found = pool.apply(measured, (row, settings.seed))
        name = f"k = {row.num_units}, T = {row.num_steps}, N = 2^{row.log2_nodes}"
        name += f", drop_below = {row.drop_below:g}" if row.drop_below else ""
        numbers[name] = found
        print(
            f"{name:<48}", {key: f"{value:.3g}" if isinstance(value, float) else value for key, value in found.items()}
        )
        chosen = {**dataclasses.asdict(settings), "rows": [dataclasses.asdict(ROWS[index]) for index in settings.rows]}
        leave("prediction_limits", __doc__, settings=chosen, numbers=numbers, quiet=True)


if __name__ == "__main__":
    main(tyro.cli(Settings))

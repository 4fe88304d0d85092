"""What a prediction costs, and what brute force would cost for the same knowledge: ratios in one run.

PROTOCOL. Reference problem: two layers, tanh, k = 3, n/d = 2, link sin_mixture, noise 0.3, learning rate 0.5, T = 12.

* predict: nodes are doubled until the reported relative error of the test error at T is at most `target` (median of
  three keys). At that size: time of the verb with its error bar, warm (compiled; node sets made anew from another key;
  median and range of `repeats` calls), and the first call of a process
  at `cold_size` nodes (the size found before), compilation included. Accuracy beside it: the
  actual error against the mean of `num_references` predictions on 2^18 nodes with other keys but the same head.
* simulate: time per run at d and 2d (jitted, batched, float64, data drawn anew, population test error), warm; spread
  and bias of the test error at T over the runs.
* brute force to the same `target`: with per-run standard deviations s(d), s(2d), the extrapolation
  2 m(2d) − m(d) needs R runs of each size so that √((4 s(2d)² + s(d)²)/R) equals it; its cost is R times both times.
  The best of the pairs d, 2d tried counts.

Nothing is asserted. Numbers are ratios within one run on a shared machine; the record has device, dtype and versions.

    python -m benchmarks.predict_vs_simulate            # writes benchmarks/results/predict_vs_simulate.json
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import tyro

import dyntheory as dt
from validation.record import Record

RESULTS = Path(__file__).parent / "results"
CLAIM = "Time of a prediction with its error bar against brute-force simulation to the same accuracy."


@dataclasses.dataclass(frozen=True)
class Settings:
    """Sizes and repeats."""

    num_steps: int = 12
    target: float = 1e-3
    num_features: tuple[int, ...] = (250, 500)
    num_runs: int = 64
    first_size: int = 2**14
    cold_size: int = 2**17
    repeats: int = 9
    num_references: int = 4
    seed: int = 0


def timed(call: Callable[[int], dt.Trajectory], repeats: int) -> tuple[dict[str, float], list[dt.Trajectory]]:
    """Return seconds of `repeats` calls (verbs return NumPy arrays: nothing is left running) and the results."""
    seconds, results = [], []
    for index in range(repeats):
        started = time.perf_counter()
        results.append(call(index))
        seconds.append(time.perf_counter() - started)
    return {"median": float(np.median(seconds)), "min": min(seconds), "max": max(seconds)}, results


def main(settings: Settings, *, results: Path = RESULTS) -> None:
    """Run the protocol, print a table, write the record."""
    law = dt.TeacherStudent(2.0, "sin_mixture", 0.3)
    method = dt.gradient_descent(dt.MLP((3,), "tanh"), optax.sgd, learning_rate=0.5)
    last = settings.num_steps
    options: dict[str, Any] = {"num_steps": last, "keep_preactivations": False}
    keys = [jax.random.fold_in(jax.random.key(settings.seed), index) for index in range(100)]

    def predict(index: int, **more: Any) -> dt.Trajectory:
        return dt.predict(law, method, key=keys[index], head=head, **options, **more)

    def reported(result: dt.Trajectory) -> float:
        row = result.at(last)
        return row["test_error_standard_error"] / row["test_error"]

    head, size = None, settings.first_size
    cold, (first,) = timed(lambda _: predict(0, num_nodes=settings.cold_size), 1)
    head = jax.tree.map(lambda leaf: leaf[0], first.head)
    while np.median([reported(predict(60 + i, num_nodes=size)) for i in range(3)]) > settings.target:
        size *= 2
    warm, predictions = timed(lambda index: predict(1 + index, num_nodes=size), settings.repeats)
    references = [predict(50 + i, num_nodes=2**18).at(last)["test_error"] for i in range(settings.num_references)]
    reference = float(np.mean(references))
    values = np.array([p.at(last)["test_error"] for p in predictions])

    simulations: dict[str, Any] = {}
    for num_features in sorted({d * factor for d in settings.num_features for factor in (1, 2)}):
        sizes: dict[str, Any] = {"num_features": num_features, "num_runs": settings.num_runs, "head": head}
        seconds, (_, runs) = timed(lambda i, s=sizes: dt.simulate(law, method, key=keys[80 + i], **s, **options), 2)
        errors = np.asarray(runs.per_run and runs.per_run.test_error)[:, last]
        simulations[num_features] = {
            "seconds_per_run": seconds["min"] / settings.num_runs,
            "standard_deviation": float(errors.std(ddof=1)),
            "mean": float(errors.mean()),
        }
    pairs: dict[str, Any] = {}
    for d in settings.num_features:
        small, large = simulations[d], simulations[2 * d]
        variance = 4 * large["standard_deviation"] ** 2 + small["standard_deviation"] ** 2
        runs_needed = variance / (settings.target * reference) ** 2
        seconds = runs_needed * (small["seconds_per_run"] + large["seconds_per_run"])
        pairs[f"d = {d}, {2 * d}"] = {"runs_needed_of_each_size": runs_needed, "seconds": seconds}
    brute_force = min(pair["seconds"] for pair in pairs.values())
    numbers = {
        "num_nodes": size,
        "predict_seconds_first_call": cold["median"],
        "predict_seconds_warm": warm,
        "relative_error_reported": float(np.median([reported(p) for p in predictions])),
        "relative_error_actual_rms": float(np.sqrt(np.mean((values / reference - 1) ** 2))),
        "reference": {"mean": reference, "values": references, "num_nodes": 2**18},
        "simulations": {f"d = {d}": numbers for d, numbers in simulations.items()},
        "brute_force": pairs,
        "ratio_without_compilation": brute_force / warm["median"],
        "ratio_with_compilation": brute_force / cold["median"],
    }
    Record("predict_vs_simulate", CLAIM, __doc__ or "", dataclasses.asdict(settings), numbers).write(results)
    for name, value in numbers.items():
        print(f"{name:<28} {value}")


if __name__ == "__main__":
    main(tyro.cli(Settings))

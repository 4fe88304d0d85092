"""What a prediction costs, and what brute force would cost for the same knowledge: ratios in one run.

PROTOCOL. Reference problem: two layers, tanh, k = 3, n/d = 2, link sin_mixture, noise 0.3, learning rate 0.5, T = 12.

* predict: time of the verb with its error bar, after one warm-up (compiled; node sets made anew from another key) and
  the first call in a fresh configuration (compilation included); median and range of `repeats` calls. Accuracy beside
  it: the reported relative error of the test error at T, and the actual one against the mean of `num_references`
  predictions on 2^17 nodes with other keys but the same head.
* simulate: time per run at d and 2d (jitted, batched, float64, data drawn anew, population test error), warm; spread
  and bias of the test error at T over the runs.
* brute force to the accuracy that predict reports: with per-run standard deviations s(d), s(2d), the extrapolation
  2 m(2d) − m(d) needs R runs of each size so that √((4 s(2d)² + s(d)²)/R) equals it; its cost is R times both times.

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
    num_features: int = 500
    num_runs: int = 64
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

    head = None
    cold, (first,) = timed(lambda _: predict(0), 1)
    head = jax.tree.map(lambda leaf: leaf[0], first.head)
    warm, predictions = timed(lambda index: predict(1 + index), settings.repeats)
    references = [predict(50 + i, num_nodes=2**17).at(last)["test_error"] for i in range(settings.num_references)]
    reference = float(np.mean(references))
    values = np.array([p.at(last)["test_error"] for p in predictions])
    reported = float(np.median([p.at(last)["test_error_standard_error"] for p in predictions])) / reference

    simulations: dict[str, Any] = {}
    for size in (settings.num_features, 2 * settings.num_features):
        sizes: dict[str, Any] = {"num_features": size, "num_runs": settings.num_runs, "head": head}
        seconds, (_, runs) = timed(lambda i, s=sizes: dt.simulate(law, method, key=keys[80 + i], **s, **options), 2)
        errors = np.asarray(runs.per_run and runs.per_run.test_error)[:, last]
        simulations[f"d = {size}"] = {
            "seconds_per_run": seconds["min"] / settings.num_runs,
            "standard_deviation": float(errors.std(ddof=1)),
            "mean": float(errors.mean()),
        }
    small, large = simulations.values()
    variance = 4 * large["standard_deviation"] ** 2 + small["standard_deviation"] ** 2
    runs_needed = variance / (reported * reference) ** 2
    brute_force = runs_needed * (small["seconds_per_run"] + large["seconds_per_run"])
    numbers = {
        "predict_seconds_first_call": cold["median"],
        "predict_seconds_warm": warm,
        "num_nodes": first.provenance["num_nodes"],
        "relative_error_reported": reported,
        "relative_error_actual_rms": float(np.sqrt(np.mean((values / reference - 1) ** 2))),
        "reference": {"mean": reference, "values": references, "num_nodes": 2**17},
        "simulations": simulations,
        "runs_needed_of_each_size": runs_needed,
        "brute_force_seconds": brute_force,
        "ratio_without_compilation": brute_force / warm["median"],
        "ratio_with_compilation": brute_force / cold["median"],
    }
    Record("predict_vs_simulate", CLAIM, __doc__ or "", dataclasses.asdict(settings), numbers).write(results)
    for name, value in numbers.items():
        print(f"{name:<28} {value}")


if __name__ == "__main__":
    main(tyro.cli(Settings))

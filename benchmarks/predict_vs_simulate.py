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

AS A PERSON CALLS IT, without knowing the number of nodes: `predict(rtol=target, max_nodes=max_nodes)`, which wants
train and test error at every step (relative to the larger of the value and 1e-3 of its first), warm (median of
`repeats` keys) and as the first call of a process of its own (median of three). Accuracy: the worst point against the
mean of the references, as a root mean square over the keys. Brute force then needs runs for the point that is hardest
to know.

Nothing is asserted. Numbers are ratios within one run on a shared machine; the record has device, dtype and versions.

    python -m benchmarks.predict_vs_simulate            # writes benchmarks/results/predict_vs_simulate.json
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
import optax
import tyro

import dyntheory as dt
from benchmarks.leaving import leave


@dataclasses.dataclass(frozen=True)
class Settings:
    """Sizes and repeats."""

    num_steps: int = 12
    target: float = 1e-3
    num_features: tuple[int, ...] = (250, 500)
    num_runs: int = 64
    first_size: int = 2**14
    cold_size: int = 2**17
    max_nodes: int = 2**20
    repeats: int = 9
    num_references: int = 4
    seed: int = 0
    only_first: bool = False
    """Only the first call with `rtol`, its seconds as JSON: how the script measures it."""


def timed(call: Callable[[int], dt.Trajectory], repeats: int) -> tuple[dict[str, float], list[dt.Trajectory]]:
    """Return seconds of `repeats` calls (verbs return NumPy arrays: nothing is left running) and the results."""
    seconds, results = [], []
    for index in range(repeats):
        started = time.perf_counter()
        results.append(call(index))
        seconds.append(time.perf_counter() - started)
    return {"median": float(np.median(seconds)), "min": min(seconds), "max": max(seconds)}, results


@dataclasses.dataclass(frozen=True)
class Problem:
    """The reference problem and the keys of its calls; without a head every prediction draws one."""

    settings: Settings
    head: Any = None

    def call(self, verb: Callable[..., dt.Trajectory], index: int, **sizes: Any) -> dt.Trajectory:
        """Predict or simulate with the key of that index."""
        law = dt.TeacherStudent(2.0, "sin_mixture", 0.3)
        method = dt.gradient_descent(dt.MLP((3,), "tanh"), optax.sgd, learning_rate=0.5)
        key = jax.random.fold_in(jax.random.key(self.settings.seed), index)
        options = {"num_steps": self.settings.num_steps, "keep_preactivations": False}
        return verb(law, method, key=key, head=self.head, **options, **sizes)

    def predict(self, index: int, num_nodes: int) -> dt.Trajectory:
        """Predict."""
        return self.call(dt.predict, index, num_nodes=num_nodes)

    def as_called(self, index: int) -> dt.Trajectory:
        """Predict to the target, however many nodes that takes."""
        return self.call(dt.predict, index, rtol=self.settings.target, max_nodes=self.settings.max_nodes)

    def reported(self, result: dt.Trajectory) -> float:
        """Return the reported relative error of the test error at T."""
        row = result.at(self.settings.num_steps)
        return row["test_error_standard_error"] / row["test_error"]


def curves(result: dt.Trajectory) -> np.ndarray:
    """Return train and test error, (2, T + 1)."""
    return np.stack([np.asarray(result.train_error), np.asarray(result.test_error)])


def scales(values: np.ndarray) -> np.ndarray:
    """Return what `rtol` is relative to."""
    return np.maximum(values, 1e-3 * values[:, :1])


def predictions_as_called(problem: Problem, solved: Sequence[dt.Trajectory]) -> dict[str, Any]:
    """Return seconds, sizes and errors of `predict(rtol=target)`."""
    settings, reference = problem.settings, np.mean([curves(one) for one in solved], axis=0)
    problem.as_called(30)
    warm, found = timed(lambda index: problem.as_called(1 + index), settings.repeats)
    misses = np.stack([curves(one) - reference for one in found]) / scales(reference)
    command = [sys.executable, "-m", "benchmarks.predict_vs_simulate", "--only-first", "--seed", str(settings.seed)]
    for name in ("target", "num_steps", "max_nodes"):
        command += [f"--{name.replace('_', '-')}", str(getattr(settings, name))]
    cold = [json.loads(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(3)]
    return {
        "predict_seconds_warm": warm,
        "predict_seconds_first_call": float(np.median(cold)),
        "num_nodes": sorted(one.provenance["num_nodes"] for one in found),
        "not_reached": sum(not one.status.ok for one in found),
        "worst_relative_error_rms": float(np.sqrt(np.mean(np.max(misses**2, axis=(1, 2))))),
        "relative_error_rms": float(np.sqrt(np.mean(misses**2))),
    }


def predictions(problem: Problem, solved: Sequence[dt.Trajectory]) -> dict[str, Any]:
    """Return size, seconds and errors of predictions that reach the target."""
    settings, size = problem.settings, problem.settings.first_size
    while np.median([problem.reported(problem.predict(60 + i, size)) for i in range(3)]) > settings.target:
        size *= 2
    warm, found = timed(lambda index: problem.predict(1 + index, size), settings.repeats)
    last = settings.num_steps
    references = [one.at(last)["test_error"] for one in solved]
    reference, values = float(np.mean(references)), np.array([p.at(last)["test_error"] for p in found])
    return {
        "num_nodes": size,
        "predict_seconds_warm": warm,
        "relative_error_reported": float(np.median([problem.reported(p) for p in found])),
        "relative_error_actual_rms": float(np.sqrt(np.mean((values / reference - 1) ** 2))),
        "reference": {"mean": reference, "values": references, "num_nodes": 2**18},
    }


def simulations(problem: Problem, reference: np.ndarray) -> dict[int, dict[str, float]]:
    """Return seconds per run, spread and mean of the last test error, and the largest spread of all points, by size."""
    settings, found = problem.settings, {}
    for num_features in sorted({d * factor for d in settings.num_features for factor in (1, 2)}):
        sizes = {"num_features": num_features, "num_runs": settings.num_runs}
        seconds, (_, runs) = timed(lambda i, s=sizes: problem.call(dt.simulate, 80 + i, **s), 2)
        assert runs.per_run is not None
        errors = np.stack([np.asarray(runs.per_run.train_error), np.asarray(runs.per_run.test_error)])
        last, spread = errors[1, :, settings.num_steps], errors.std(axis=1, ddof=1) / scales(reference)
        found[num_features] = {
            "seconds_per_run": seconds["min"] / settings.num_runs,
            "standard_deviation": float(last.std(ddof=1)),
            "mean": float(last.mean()),
            "largest_relative_deviation": float(spread.max()),
        }
    return found


def brute_force(
    simulated: dict[int, dict[str, float]], deviation: str, error: float, sizes: Sequence[int]
) -> dict[str, Any]:
    """Return the runs and seconds that each pair d, 2d needs to know what has that deviation to `error`."""
    pairs = {}
    for d in sizes:
        small, large = simulated[d], simulated[2 * d]
        variance = 4 * large[deviation] ** 2 + small[deviation] ** 2
        runs_needed = variance / error**2
        seconds = runs_needed * (small["seconds_per_run"] + large["seconds_per_run"])
        pairs[f"d = {d}, {2 * d}"] = {"runs_needed_of_each_size": runs_needed, "seconds": seconds}
    return pairs


def ratios(pairs: dict[str, Any], warm: float, cold: float) -> dict[str, Any]:
    """Return how many times as long brute force takes, at its best."""
    seconds = min(pair["seconds"] for pair in pairs.values())
    return {
        "brute_force": pairs,
        "ratio_without_compilation": seconds / warm,
        "ratio_with_compilation": seconds / cold,
    }


def main(settings: Settings) -> None:
    """Run the protocols, print a table, write the record."""
    if settings.only_first:
        print(json.dumps(timed(Problem(settings).as_called, 1)[0]["median"]))
        return
    cold, (first,) = timed(lambda _: Problem(settings).predict(0, settings.cold_size), 1)
    problem = Problem(settings, head=jax.tree.map(lambda leaf: leaf[0], first.head))
    solved = [problem.predict(50 + i, 2**18) for i in range(settings.num_references)]
    predicted, called = predictions(problem, solved), predictions_as_called(problem, solved)
    simulated = simulations(problem, np.mean([curves(one) for one in solved], axis=0))
    error, sizes = settings.target * predicted["reference"]["mean"], settings.num_features
    at_last = brute_force(simulated, "standard_deviation", error, sizes)
    everywhere = brute_force(simulated, "largest_relative_deviation", settings.target, sizes)
    numbers = {
        **predicted,
        "predict_seconds_first_call": cold["median"],
        "simulations": {f"d = {d}": one for d, one in simulated.items()},
        **ratios(at_last, predicted["predict_seconds_warm"]["median"], cold["median"]),
        "as_called": {
            **called,
            **ratios(everywhere, called["predict_seconds_warm"]["median"], called["predict_seconds_first_call"]),
        },
    }
    leave("predict_vs_simulate", __doc__, settings=settings, numbers=numbers)


if __name__ == "__main__":
    main(tyro.cli(Settings))

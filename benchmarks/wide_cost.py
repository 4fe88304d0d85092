"""What a prediction of infinite width costs, with its accuracy beside it.

PROTOCOL. Two hidden layers, γ₀ = 1, plain steps on squared loss, Gaussian inputs with |x|² = D and random signs as
labels; "digits" are threes and eights of scikit-learn, centred, and as many more are test inputs. Time of process and
wall, error bars and test outputs included, after a first call that compiles (told as well); the largest error of
outputs as reported, and their largest distance from a prediction with `reference` times more nodes and a third of the
dropping.

Nothing is asserted. The record has device, dtype and versions.

    python -m benchmarks.wide_cost            # writes benchmarks/results/wide_cost.json
"""

from __future__ import annotations

import dataclasses
import resource
import time
import warnings
from typing import Any, NamedTuple

import jax
import numpy as np
import tyro

import dyntheory as dt
from benchmarks.leaving import leave


class Case(NamedTuple):
    """One problem and the nodes it takes."""

    num_inputs: int
    num_features: int
    num_steps: int
    num_nodes: int
    activation: str = "tanh"
    learning_rate: float = 0.5
    drop_below: float = 1e-2
    has_reference: bool = True
    is_digits: bool = False


CASES = {
    "P = 6, T = 20": Case(6, 10, 20, 2**12),
    "P = 6, T = 20, relu": Case(6, 10, 20, 2**12, "relu"),
    "P = 20, T = 50": Case(20, 20, 50, 2**12),
    "P = 128, T = 100, digits": Case(
        128, 64, 100, 2**14, learning_rate=1.0, drop_below=5e-2, has_reference=False, is_digits=True
    ),
}


@dataclasses.dataclass(frozen=True)
class Settings:
    """Which cases, and how many repeats of those that take seconds."""

    cases: tuple[str, ...] = tuple(CASES)
    repeats: int = 3
    reference: int = 8


def data(case: Case) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return inputs, labels and test inputs."""
    random = np.random.default_rng(1)
    if case.is_digits:
        from sklearn.datasets import load_digits

        rows, digits = load_digits(return_X_y=True)
        chosen = random.permutation(np.flatnonzero((digits == 3) | (digits == 8)))
        rows, labels = rows[chosen] - rows[chosen].mean(axis=0), np.where(digits[chosen] == 3, 1.0, -1.0)
    else:
        rows = random.standard_normal((2 * case.num_inputs, case.num_features))
        labels = np.sign(random.standard_normal(len(rows)))
    rows = rows * np.sqrt(rows.shape[1]) / np.linalg.norm(rows, axis=1, keepdims=True)
    count = case.num_inputs
    return rows[:count], labels[:count], rows[count : 2 * count]


def solve(case: Case, key: int = 0, *, num_nodes: int | None = None, drop_below: float | None = None) -> Any:
    """Predict."""
    inputs, labels, tests = data(case)
    return dt.wide.predict(
        dt.WideNetwork(2, case.activation),
        inputs,
        labels,
        tests,
        num_steps=case.num_steps,
        key=jax.random.key(key),
        learning_rate=case.learning_rate,
        num_nodes=num_nodes or case.num_nodes,
        drop_below=drop_below or case.drop_below,
        keep_kernels=False,
    )


def measure(case: Case, settings: Settings) -> dict[str, Any]:
    """Return seconds, directions, bars and distances."""
    started = time.perf_counter()
    found = solve(case)
    numbers: dict[str, Any] = {"first_call_seconds": time.perf_counter() - started}
    wall, processor = [], []
    for turn in range(settings.repeats if case.has_reference else 1):
        started, used = time.perf_counter(), time.process_time()
        found = solve(case, turn)
        wall.append(time.perf_counter() - started)
        processor.append(time.process_time() - used)
    bars = found.standard_error
    numbers |= {
        "seconds": float(np.median(wall)),
        "processor_seconds": float(np.median(processor)),
        "num_directions": found.provenance["num_directions"],
        "status": str(found.status),
        "largest_bar_of_train_outputs": float(bars.train_outputs.max()),
        "largest_bar_of_test_outputs": float(bars.test_outputs.max()),
        "train_loss": {str(step): float(found.train_loss[step]) for step in (0, case.num_steps // 2, case.num_steps)},
        "peak_memory_of_the_process_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }
    if case.has_reference:
        exact = solve(case, 77, num_nodes=settings.reference * case.num_nodes, drop_below=case.drop_below / 3)
        numbers["largest_distance_of_train_outputs"] = float(np.abs(found.train_outputs - exact.train_outputs).max())
        numbers["largest_distance_of_test_outputs"] = float(np.abs(found.test_outputs - exact.test_outputs).max())
    return numbers


def main(settings: Settings) -> None:
    """Run the protocol, print a table, write the record."""
    warnings.simplefilter("ignore", dt.DyntheoryWarning)
    numbers = {name: measure(CASES[name], settings) for name in settings.cases}
    leave("wide_cost", __doc__, settings=settings, numbers=numbers)


if __name__ == "__main__":
    main(tyro.cli(Settings))

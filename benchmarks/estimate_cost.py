"""What `estimate` costs beside training and beside 5-fold cross-validation: warm seconds in one run, with accuracy.

Protocol: three layers of three tanh units, Gaussian rows, n = 2 d; every time is the median of five calls after one
that compiles. Cross-validation trains on four fifths of the rows five times and tests on the rest, all compiled. Beside
the seconds stand the estimate's standard error and its difference from the error on fresh rows.

    python -m benchmarks.estimate_cost          # writes benchmarks/results/estimate_cost.json
    python -m benchmarks.estimate_cost --quick  # one small size; writes nothing
"""

from __future__ import annotations

import statistics
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro

import dyntheory as dt
from benchmarks.leaving import leave
from dyntheory.ground.precision import as_double, double_precision
from dyntheory.verbs.estimation.fresh_rows import held_out_error
from dyntheory.verbs.estimation.training_run import train_on

SIZES = ((250, 10), (250, 30), (500, 20), (500, 50), (1000, 30), (2000, 30), (4000, 20))  # d, T
UNITS, REPEATS, FOLDS, TESTED = 3, 5, 5, 4000


def median_seconds(call: Callable[[], Any]) -> float:
    """Return the median time of a call, after one that compiles."""
    call()
    times = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        jax.block_until_ready(call())
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def training_seconds(
    method: dt.GeneralFirstOrderMethod, start: tuple[Any, jax.Array], data: tuple[np.ndarray, ...], num_steps: int
) -> tuple[float, float]:
    """Return the seconds of one training, and of one on each fold with a test on the rest."""
    rows, labels = data
    with double_precision():
        numbers, (head, first) = as_double(method), start
        train = jax.jit(train_on, static_argnames=("num_steps",))

        def trained(x: Any, y: Any) -> Any:
            nothing = jnp.zeros((num_steps, len(x), 0))
            return train(numbers, jnp.asarray(x), jnp.asarray(y), head, first, nothing, num_steps=num_steps)

        def folds() -> list[Any]:
            found = []
            for part in np.array_split(np.arange(len(rows)), FOLDS):
                rest = np.setdiff1d(np.arange(len(rows)), part)
                run = trained(rows[rest], labels[rest])
                found.append(held_out_error(numbers, run, jnp.asarray(rows[part]), jnp.asarray(labels[part])))
            return found

        return median_seconds(lambda: trained(rows, labels)), median_seconds(folds)


def measure(num_features: int, num_steps: int) -> dict[str, Any]:
    """Return the seconds of the three at one size."""
    d, n = num_features, 2 * num_features
    random = np.random.default_rng(0)
    rows = random.standard_normal((n + TESTED, d))
    z = rows @ random.standard_normal(d) / np.sqrt(d)
    labels = z + 0.5 * np.sin(2 * z) + 0.3 * random.standard_normal(len(z))
    network = dt.MLP((UNITS, UNITS), "tanh")
    method = dt.gradient_descent(network, optax.sgd, learning_rate=0.3)
    key = jax.random.key(0)
    test_data = (rows[n:], labels[n:])
    live = dt.estimate(rows[:n], labels[:n], method, num_steps=num_steps, key=key, test_data=test_data)
    assert live.standard_error is not None and live.held_out_error is not None
    options: dict[str, Any] = {"num_steps": num_steps, "key": key}
    estimating = median_seconds(lambda: dt.estimate(rows[:n], labels[:n], method, **options).test_error)
    with double_precision():
        start = as_double(network.init_head(key)), jnp.asarray(random.standard_normal((d, UNITS)))
    training, validating = training_seconds(method, start, (rows[:n], labels[:n]), num_steps)
    last = live.at(num_steps)
    return {
        "num_samples": n,
        "num_features": d,
        "num_steps": num_steps,
        "T²k²/12d": (num_steps * UNITS) ** 2 / (12 * d),
        "seconds": {"training": training, "5 folds": validating, "estimate": estimating},
        "estimate over training": estimating / training,
        "estimate over 5 folds": estimating / validating,
        "plan": live.provenance["cost"],
        "estimate": last["test_error"],
        "standard_error": last["test_error_standard_error"],
        "fresh rows": float(live.held_out_error[-1]),
    }


def command(*, quick: bool = False) -> int:
    """Measure and record.

    Args:
        quick: one small size; writes nothing.
    """
    warnings.simplefilter("ignore", dt.DyntheoryWarning)
    found = []
    for size in SIZES[:1] if quick else SIZES:
        one = measure(*size)
        found.append(one)
        shown = {name: f"{value:.3g} s" for name, value in one["seconds"].items()}
        print(
            size, f"T²k²/12d {one['T²k²/12d']:.2g}", shown, f"over folds {one['estimate over 5 folds']:.2g}", flush=True
        )
    if not quick:
        settings = {"units": UNITS, "repeats": REPEATS, "folds": FOLDS}
        leave("estimate_cost", __doc__, settings=settings, numbers={"sizes": found}, quiet=True)
    return 0


if __name__ == "__main__":
    sys.exit(tyro.cli(command))

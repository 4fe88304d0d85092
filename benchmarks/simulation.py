"""What a simulation costs: the dense loop over two matrix products a step, the dense matrix over the revealed one.

PROTOCOL. Two layers, tanh, k units, n/d = 2, link sin_mixture, noise 0.3, learning rate 0.3, T steps. Times are the
fastest of `repeats` warm calls on an idle machine (median beside it); everything runs in one process.

* dense loop: gradient descent on a given X at (n, d), jitted, T steps less zero steps, per step; the floor is a scan of
  T times the two products X w and Xᵀ g and nothing else, with the same X. In float64 and with X in float32. Target: a
  ratio of at most 1.5.
* revealed against dense: `simulate` with one run at (n, d), drawing X, training, population test error included; the
  means of `num_checked` runs of each are compared at T by a z-score. Target: at least 10.
* large: `simulate(matrix="revealed")` with one run at each of `large` features; peak memory of the process.
* choice: at `choices` features, times per run of both matrices and what matrix="auto" takes.
* ensemble: runs per second at d = 100.

Nothing is asserted. Ratios hold within one run on a shared machine; the record has device, dtype and versions.

    python -m benchmarks.simulation                          # a minute; writes benchmarks/results/simulation.json
    python -m benchmarks.simulation --large 100000 1000000   # with a million features: 5 GB
"""

from __future__ import annotations

import dataclasses
import functools
import resource
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro

import dyntheory as dt
from benchmarks.leaving import leave
from dyntheory.dynamics.loop import Start, run
from dyntheory.matrix.dense import DenseMatrix
from dyntheory.problem.shape import Sizes
from dyntheory.verbs.simulation.matrix_choice import Choice, RunShape, choose_matrix

LAW = dt.TeacherStudent(2.0, "sin_mixture", 0.3)


@dataclasses.dataclass(frozen=True)
class Settings:
    """Sizes and repeats.

    Args:
        num_features: d of the dense loop and of the comparison; n = 2d.
        num_units: k.
        num_steps: T.
        large: d of revealed runs that no dense matrix would fit.
        choices: d at which both matrices are timed.
        num_checked: runs of each matrix whose means are compared, at a quarter of `num_features`.
        repeats: warm calls.
        seed: of everything.
    """

    num_features: int = 4000
    num_units: int = 2
    num_steps: int = 20
    large: tuple[int, ...] = (100_000,)
    choices: tuple[int, ...] = (50, 200, 1000)
    num_checked: int = 40
    repeats: int = 5
    seed: int = 0


def timed(call: Callable[[], Any], repeats: int) -> dict[str, float]:
    """Return seconds of warm calls."""
    jax.block_until_ready(call())
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        jax.block_until_ready(call())
        seconds.append(time.perf_counter() - started)
    return {"min": min(seconds), "median": float(np.median(seconds))}


def dense_loop(settings: Settings, dtype: str, method: dt.GeneralFirstOrderMethod) -> dict[str, float]:
    """Return seconds per step of the loop and of its two products."""
    d, k, num_steps = settings.num_features, settings.num_units, settings.num_steps
    n = 2 * d
    with jax.enable_x64(True):
        keys = jax.random.split(jax.random.key(settings.seed), 4)
        inputs = jax.random.normal(keys[0], (n, d), dtype)
        rows, noise = jax.random.normal(keys[1], (d, k + 1)), jax.random.normal(keys[2], (n, 1))
        start = Start(rows[:, :1], rows[:, 1:], noise, method.init_head(keys[3]), jnp.asarray(n / d))

        @functools.partial(jax.jit, static_argnames="num_steps")
        def train(inputs: Any, start: Start, num_steps: int) -> Any:
            return run(LAW, method, DenseMatrix(inputs), start, num_steps=num_steps).train_error

        w, g = rows[:, 1:].astype(dtype), jax.random.normal(keys[3], (n, k), dtype)
        products = {"Xw": lambda x: x @ w, "Xᵀg": lambda x: x.T @ g, "gᵀX": lambda x: (g.T @ x).T}
        alone = {
            name: timed(functools.partial(jax.jit(f), inputs), settings.repeats)["min"] for name, f in products.items()
        }
        floor = alone["Xw"] + min(alone["Xᵀg"], alone["gᵀX"])
        both = [timed(lambda s=s: train(inputs, start, s), settings.repeats)["min"] for s in (num_steps, 0)]
    step = (both[0] - both[1]) / num_steps
    return {"step": step, "two_products": floor, "ratio": step / floor}


def one_run(settings: Settings, method: dt.GeneralFirstOrderMethod, **how: Any) -> dict[str, float]:
    """Return seconds of `simulate` with one run."""
    key = jax.random.key(settings.seed)
    options: dict[str, Any] = {"num_steps": settings.num_steps, "num_runs": 1, "key": key, "keep_preactivations": False}
    return timed(lambda: dt.simulate(LAW, method, **options, **how).test_error, settings.repeats)


def same_law(settings: Settings, method: dt.GeneralFirstOrderMethod) -> dict[str, float]:
    """Return the z-score between the means of both matrices at the last step."""
    key = jax.random.key(settings.seed + 1)
    options: dict[str, Any] = {"num_steps": settings.num_steps, "num_runs": settings.num_checked, "key": key}
    runs = [
        dt.simulate(LAW, method, matrix=matrix, num_features=settings.num_features // 4, **options).at(
            settings.num_steps
        )
        for matrix in ("dense", "revealed")
    ]
    difference = runs[0]["test_error"] - runs[1]["test_error"]
    error = float(np.hypot(*(one["test_error_standard_error"] for one in runs)))
    return {"z": difference / error, "relative_standard_error": error / runs[0]["test_error"]}


def choices(settings: Settings, method: dt.GeneralFirstOrderMethod) -> dict[str, Any]:
    """Return times of both matrices and the automatic choice."""
    found = {}
    for d in settings.choices:
        times = {m: one_run(settings, method, num_features=d, matrix=m)["min"] for m in ("dense", "revealed")}
        shape = RunShape(Sizes(2 * d, 0, d), settings.num_steps, settings.num_units, 1)
        chosen = choose_matrix(Choice("auto", "gaussian", "float64", 10**12), shape)
        found[f"d = {d}"] = {**times, "auto": chosen, "time_over_best": times[chosen] / min(times.values())}
    return found


def main(settings: Settings) -> None:
    """Run the protocol, print a table, write the record."""
    method = dt.gradient_descent(dt.MLP((settings.num_units,), "tanh"), optax.sgd, learning_rate=0.3)
    d = settings.num_features
    large = {}  # first and from small to large: the peak memory of the process never falls
    for size in sorted(settings.large):
        few = dataclasses.replace(settings, repeats=1)
        seconds = one_run(few, method, num_features=size, matrix="revealed")["min"]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        large[f"d = {size}"] = {"seconds": seconds, "peak_bytes_of_the_process": peak, "bytes_of_X": 16 * size**2}
    dense = {dtype: one_run(settings, method, num_features=d, dtype=dtype) for dtype in ("float64", "float32")}
    revealed = one_run(settings, method, num_features=d, matrix="revealed")
    many = {"num_steps": settings.num_steps, "num_features": 100, "num_runs": 1000, "num_test_nodes": 2**11}
    ensemble = timed(lambda: dt.simulate(LAW, method, key=jax.random.key(2), **many).test_error, 1)["min"]
    numbers = {
        "dense_loop": {dtype: dense_loop(settings, dtype, method) for dtype in ("float64", "float32")},
        "one_run_dense": dense,
        "one_run_revealed": revealed,
        "dense_over_revealed": {name: seconds["min"] / revealed["min"] for name, seconds in dense.items()},
        "same_law": same_law(settings, method),
        "large": large,
        "choice": choices(settings, method),
        "runs_per_second_at_100_features": 1000 / ensemble,
    }
    leave("simulation", __doc__, settings=settings, numbers=numbers)


if __name__ == "__main__":
    main(tyro.cli(Settings))

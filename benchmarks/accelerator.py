"""What an accelerator does for a prediction: time in float32 and float64, against its own memory bandwidth.

PROTOCOL. Two layers, tanh, k units, n/d = 2, link sin_mixture, noise 0.3, learning rate 0.2, on the default device.

* core: `dt.state_evolution` on N fixed nodes, compiled once, warm, median and range of `repeats`, in float64 and in
  float32: time until the result is ready, which is device time, as nothing else is asked for between. Its basis has its
  final size from the first step on.
* floor: one reading per step of the basis at its final size, over the bandwidth of `jnp.sum` on an array of that size,
  same type, same run.
* accuracy: the largest relative deviation of train and test error in float32 from float64, on the same nodes.
* verb: `dt.predict` on N nodes with its error bars (float64), first call and warm, and its reported error.
* memory: the peak that the device reports, where it does.

Nothing is asserted. On a CPU it is `benchmarks/solver_floor.py` that says more.

    python -m benchmarks.accelerator           # some minutes; writes benchmarks/results/accelerator.json
    python -m benchmarks.accelerator --num-steps 10 --log2-nodes 12
"""

from __future__ import annotations

import dataclasses
import functools
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro

import dyntheory as dt
from benchmarks.leaving import leave
from benchmarks.solver_floor import seconds_of, summing
from dyntheory.gaussian.nodes import NodeSet, draw_nodes
from dyntheory.ground.precision import double_precision, to_numpy
from dyntheory.ground.status import DyntheoryWarning
from dyntheory.problem.shape import Shape
from dyntheory.results.judgement import relative_errors


@dataclasses.dataclass(frozen=True)
class Settings:
    """Sizes and repeats."""

    num_steps: int = 100
    num_units: int = 4
    log2_nodes: int = 16
    repeats: int = 5
    seed: int = 0


def problem(settings: Settings) -> tuple[dt.TeacherStudent, dt.GeneralFirstOrderMethod, Any]:
    """Return law, method and head, the same in both precisions."""
    law = dt.TeacherStudent(2.0, "sin_mixture", 0.3)
    method = dt.gradient_descent(dt.MLP((settings.num_units,), "tanh"), optax.sgd, learning_rate=0.2)
    with double_precision():
        return law, method, to_numpy(method.init_head(jax.random.key(settings.seed)))


def core(settings: Settings, *, double: bool) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return seconds and floor of the core in one precision, and its curves."""
    law, method, start = problem(settings)
    steps, k, size = settings.num_steps, settings.num_units, 2**settings.log2_nodes
    with jax.enable_x64(double):
        dtype = jnp.zeros(()).dtype
        drawn = (
            draw_nodes(size, Shape(steps, k, 1).sample_dimensions, num_heavy=1, seed=settings.seed),
            draw_nodes(2**14, Shape.of(law, method, 0).test_dimensions, num_heavy=1, seed=settings.seed + 1),
        )
        nodes, test = (jax.device_put(NodeSet(*(np.asarray(part, dtype) for part in one.as_arrays()))) for one in drawn)
        head = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), start)
        solver = jax.jit(functools.partial(dt.state_evolution, num_steps=steps))

        def call() -> Any:
            return solver(law, method, head, jnp.eye(1 + k, dtype=dtype), nodes, test)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DyntheoryWarning)
            seconds = seconds_of(call, settings.repeats)
            solved = to_numpy(call())
        basis = jnp.ones((Shape(steps, k, 1).columns, size), dtype)
        bandwidth = basis.nbytes / seconds_of(summing(basis), 4 * settings.repeats)["min"]
    floor = steps * basis.nbytes / bandwidth
    numbers = {
        "seconds": seconds,
        "bandwidth_bytes_per_second": bandwidth,
        "floor_seconds": floor,
        "ratio_to_floor": seconds["median"] / floor,
    }
    return numbers, {"train_error": solved.records.train_error, "test_error": solved.test_error}


def verb(settings: Settings) -> dict[str, Any]:
    """Return seconds and reported error of `predict`."""
    law, method, head = problem(settings)
    keys = iter(range(settings.seed, 10**6))

    def call() -> dt.Trajectory:
        options = {"num_steps": settings.num_steps, "num_nodes": 2**settings.log2_nodes, "keep_preactivations": False}
        return dt.predict(law, method, key=jax.random.key(next(keys)), head=head, **options)

    seconds = seconds_of(lambda: call().test_error, settings.repeats)
    return {"seconds": seconds, "largest_reported_error": float(relative_errors(call()).max())}


def main(settings: Settings) -> None:
    """Run the protocol, print a table, write the record."""
    (double, exact), (single, rounded) = (core(settings, double=precision) for precision in (True, False))
    deviations = {name: float(np.max(np.abs(rounded[name] / exact[name] - 1))) for name in exact}
    statistics = jax.devices()[0].memory_stats() or {}
    numbers = {
        "float64": double,
        "float32": {**single, **{f"deviation_{name}": value for name, value in deviations.items()}},
        "ratio_float64_to_float32": double["seconds"]["median"] / single["seconds"]["median"],
        "verb": verb(settings),
        "peak_device_bytes": statistics.get("peak_bytes_in_use"),
    }
    leave("accelerator", __doc__, settings=settings, numbers=numbers)


if __name__ == "__main__":
    main(tyro.cli(Settings))

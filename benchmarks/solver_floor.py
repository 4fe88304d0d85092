"""How close the limit solver comes to the memory bandwidth, and how its cost grows.

PROTOCOL. Two layers, tanh, k units, n/d = 2, link sin_mixture, noise 0.3, learning rate 0.5, float64.

* bandwidth: `jnp.sum` over an array of the size of the final basis, all threads of JAX's CPU client (as many as cores),
  best of `repeats`: bytes over seconds.
* floor: the bytes of the orthonormal basis as it stands at each step, read once per step, over that bandwidth.
* arithmetic: the multiplications that a step needs with the basis as it stands then, over the rate of a square matrix
  product of `side` rows, same type and threads, best of `repeats`. Per unit there are seven products with a basis row:
  a change, a noise vector and the two rows found last are projected; one preactivation and the parts of two new rows
  inside the basis are expanded. Where this exceeds the floor, no order of reading can come down to it.
* solver: one solution on `num_nodes` nodes, making the nodes, the loop and the test metrics included, warm, median and
  range of `repeats`; and the verb, which solves the sub-nets as well (floor twice).
* compile: first call of each length minus the warm one.
* exponents: slope of log seconds against log T, log k, log N around the reference, warm, from the two ends.

Nothing is asserted; numbers are ratios within one run on a shared machine.

    python -m benchmarks.solver_floor                  # writes benchmarks/results/solver_floor.json
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
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
from dyntheory.gaussian.nodes import draw_nodes
from dyntheory.ground.precision import double_precision
from dyntheory.problem.prepared import prepare
from dyntheory.problem.shape import Shape
from dyntheory.verbs.prediction.pieces import LimitProblem, nets_for, solve

LAW = dt.TeacherStudent(2.0, "sin_mixture", 0.3)


@dataclasses.dataclass(frozen=True)
class Settings:
    """Sizes and repeats."""

    num_steps: int = 100
    num_units: int = 4
    num_nodes: int = 2**15
    repeats: int = 5
    side: int = 3000
    seed: int = 0


def seconds_of(call: Callable[[], Any], repeats: int) -> dict[str, float]:
    """Return the first call, and median, min and max of the others."""
    times = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        jax.block_until_ready(call())
        times.append(time.perf_counter() - started)
    warm = np.array(times[1:])
    return {"first": times[0], "median": float(np.median(warm)), "min": float(warm.min()), "max": float(warm.max())}


def method_with(num_units: int) -> dt.GeneralFirstOrderMethod:
    """Return the reference method."""
    return dt.gradient_descent(dt.MLP((num_units,), "tanh"), optax.sgd, learning_rate=0.5)


def solver(law: dt.TeacherStudent, num_units: int, num_steps: int, num_nodes: int) -> Callable[[], Any]:
    """Return one solution, nodes made anew, as a function of nothing."""
    method, seeds = method_with(num_units), iter(range(10**6))
    problem = prepare(law, method, jax.random.key(0), head=None, first_layer=None, num_heads=1)
    one = LimitProblem(problem.law, problem.method, problem.heads[0], problem.joint_second_moment)
    test = draw_nodes(2**14, Shape.of(law, method, 0).test_dimensions, num_heavy=1, seed=0)

    def call() -> Any:
        key = jax.random.key(next(seeds))
        nets = nets_for(law, method, num_steps=num_steps, num_nodes=num_nodes, key=key)
        return solve(one, nets, test, num_steps=num_steps).test_error

    return call


def floor_bytes(num_units: int, num_steps: int, num_nodes: int) -> float:
    """Return the bytes of one reading of the basis per step."""
    return 8.0 * num_nodes * sum(Shape(step, num_units, 1).columns for step in range(1, num_steps + 1))


PRODUCTS = 7


def multiplications(num_units: int, num_steps: int, num_nodes: int) -> float:
    """Return how many a run needs with its basis."""
    columns = sum(Shape(step, num_units, 1).columns for step in range(1, num_steps + 1))
    return float(PRODUCTS * num_units * num_nodes * columns)


def machine(settings: Settings) -> tuple[float, float]:
    """Return the bytes a second that are read, and the multiplications a second of a matrix product."""
    array = jnp.ones((Shape(settings.num_steps, settings.num_units, 1).columns, settings.num_nodes))
    bandwidth = array.nbytes / seconds_of(summing(array), 4 * settings.repeats)["min"]
    square = jnp.ones((settings.side, settings.side))
    return bandwidth, settings.side**3 / seconds_of(multiplying(square), settings.repeats)["min"]


def growth(settings: Settings) -> dict[str, Any]:
    """Return the seconds of other lengths, widths and sizes, and the exponents between them."""
    steps, units, nodes = settings.num_steps, settings.num_units, settings.num_nodes
    few = nodes // 4
    lengths = {t: seconds_of(solver(LAW, units, t, few), 3) for t in (steps // 4, steps // 2, steps, 2 * steps)}
    widths = {k: seconds_of(solver(LAW, k, steps, few), 3) for k in (units, 2 * units)}
    sizes = {n: seconds_of(solver(LAW, units, steps, n), 3) for n in (few, nodes // 2, 2 * nodes)}
    grown = {"steps": lengths, "units": widths, "nodes": sizes}
    return {
        **{f"seconds_by_{name}": {str(size): one for size, one in found.items()} for name, found in grown.items()},
        **{f"exponent_{name}": slope(found) for name, found in grown.items()},
        "compile_seconds_by_steps": {str(t): one["first"] - one["median"] for t, one in lengths.items()},
    }


def verb(settings: Settings) -> tuple[dict[str, float], float | None]:
    """Return the seconds of `predict`, and its largest reported relative error."""
    options = {"num_steps": settings.num_steps, "num_nodes": settings.num_nodes}
    predict = functools.partial(dt.predict, LAW, method_with(settings.num_units), **options)
    keys = map(jax.random.key, itertools.count())
    seconds = seconds_of(lambda: predict(key=next(keys), keep_preactivations=False).test_error, settings.repeats)
    result = predict(key=jax.random.key(settings.seed))
    errors = result.standard_error
    return seconds, float(np.max(errors.test_error / result.test_error)) if errors else None


def main(settings: Settings) -> None:
    """Run the protocol, print a table, write the record."""
    sizes = settings.num_units, settings.num_steps, settings.num_nodes
    with double_precision():
        bandwidth, rate = machine(settings)
        one = seconds_of(solver(LAW, *sizes), settings.repeats)
        grown = growth(settings)
    seconds, reported = verb(settings)
    floor, arithmetic = floor_bytes(*sizes) / bandwidth, multiplications(*sizes) / rate
    numbers = {
        "bandwidth_bytes_per_second": bandwidth,
        "multiplications_per_second": rate,
        "floor_seconds": floor,
        "arithmetic_seconds": arithmetic,
        "solver_seconds": one,
        "predict_seconds": seconds,
        "ratio_solver": one["median"] / floor,
        "ratio_arithmetic": arithmetic / floor,
        "ratio_predict_to_two_floors": seconds["median"] / (2 * floor),
        "largest_relative_error_reported": reported,
        **grown,
    }
    leave("solver_floor", __doc__, settings=settings, numbers=numbers)


def summing(array: jax.Array) -> Callable[[], jax.Array]:
    """Return the jitted sum of one array."""
    total = jax.jit(jnp.sum)
    return lambda: total(array)


def multiplying(array: jax.Array) -> Callable[[], jax.Array]:
    """Return the jitted square of a matrix."""
    product = jax.jit(lambda a: a @ a)
    return lambda: product(array)


def slope(seconds: dict[int, dict[str, float]]) -> float:
    """Return the exponent between the smallest and the largest size."""
    low, high = min(seconds), max(seconds)
    return math.log(seconds[high]["median"] / seconds[low]["median"]) / math.log(high / low)


if __name__ == "__main__":
    main(tyro.cli(Settings))

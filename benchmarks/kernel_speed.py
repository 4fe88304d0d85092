"""What the kernels of a deep network cost, against a floor measured in the same run.

PROTOCOL. n rows of d = 784 standard Gaussian numbers, depth 3 with ReLU or erf, weight_std 1.4 and bias_std 0.1, both
kernels, everything jitted, float32 and float64. The floor is what no method can leave out if it computes every entry:
one matrix product of the inputs and, for each of the three nonlinearities, one pass of arccos (ReLU) or arcsin (erf)
over the matrix, fused as XLA likes. "one set" is `kernel(x)`, which computes one triangle; "two sets" `kernel(x, y)`.
Floor and kernels take turns `repeats` times after a warm-up; the ratio is that of the medians, with its range over
turns. Accuracy beside it: the largest deviation of the tangent kernel's first 64 rows from float64, relative to the
diagonal (for float32), and of its diagonal from the same recursion for one row at a time in closed form (for ReLU).

Nothing is asserted. Numbers are ratios within one run on a shared machine; the record has device, dtype and versions.

    python -m benchmarks.kernel_speed                   # writes benchmarks/results/kernel_speed.json
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro

import dyntheory as dt
from benchmarks.leaving import leave
from dyntheory.ground.precision import double_precision
from dyntheory.kernels import Layer

WEIGHT_STD, BIAS_STD = 1.4, 0.1


@dataclasses.dataclass(frozen=True)
class Settings:
    """Sizes and repeats."""

    num_rows: int = 4000
    num_features: int = 784
    depth: int = 3
    repeats: int = 7
    seed: int = 0


def network(activation: str, depth: int) -> Layer:
    """Return the network whose kernels are timed."""
    k = dt.kernels
    layer = {"relu": k.relu, "erf": k.erf}[activation]()
    stack = [one for _ in range(depth) for one in (k.dense(1, weight_std=WEIGHT_STD, bias_std=BIAS_STD), layer)]
    return k.serial(*stack, k.dense(1, weight_std=WEIGHT_STD, bias_std=BIAS_STD))


def floor(activation: str, depth: int) -> Callable[[jax.Array], jax.Array]:
    """Return the jitted floor."""
    inverse = {"relu": jnp.arccos, "erf": jnp.arcsin}[activation]

    def run(x: jax.Array) -> jax.Array:
        cov = jnp.matmul(x, x.T, precision=jax.lax.Precision.HIGHEST) / (2 * x.shape[1])
        for _ in range(depth):
            cov = inverse(jnp.clip(cov, -1, 1)) / 4
        return cov

    return jax.jit(run)


def seconds(call: Callable[[], Any]) -> float:
    """Return the time of one call."""
    started = time.perf_counter()
    jax.block_until_ready(call())
    return time.perf_counter() - started


def race(calls: dict[str, Callable[[], Any]], repeats: int) -> dict[str, list[float]]:
    """Let the calls take turns, after one turn that is not counted."""
    for call in calls.values():
        seconds(call)
    turns = [{name: seconds(call) for name, call in calls.items()} for _ in range(repeats)]
    return {name: [turn[name] for turn in turns] for name in calls}


def accuracy(net: Layer, activation: str, x: jax.Array, depth: int) -> dict[str, float]:
    """Return the errors of the tangent kernel that go with the times."""
    ntk = np.asarray(net.kernel(x).ntk)
    with double_precision():
        exact = np.asarray(net.kernel(np.asarray(x[:64], np.float64)).ntk)
    found = {"largest_error_against_float64": float(np.max(np.abs(ntk[:64, :64] - exact)) / np.min(np.diag(exact)))}
    if activation == "relu":
        square, bias = WEIGHT_STD**2, BIAS_STD**2
        variance = square * np.mean(np.asarray(x, np.float64) ** 2, axis=1) + bias
        tangent = variance
        for _ in range(depth):
            variance = square * variance / 2 + bias
            tangent = variance + square * tangent / 2
        found["largest_relative_error_of_the_diagonal"] = float(np.max(np.abs(np.diag(ntk) / tangent - 1)))
    return found


def measure(activation: str, settings: Settings) -> dict[str, Any]:
    """Return times, ratios and accuracy of one activation in the precision of the moment."""
    net = network(activation, settings.depth)
    key = jax.random.key(settings.seed)
    x, y = jax.random.normal(key, (2, settings.num_rows, settings.num_features))
    base, kernel = floor(activation, settings.depth), jax.jit(net.kernel)
    times = race(
        {"floor": lambda: base(x), "one set": lambda: kernel(x), "two sets": lambda: kernel(x, y)}, settings.repeats
    )
    median = {name: float(np.median(values)) for name, values in times.items()}
    ratios = {
        name: {
            "median": median[name] / median["floor"],
            "min": min(a / b for a, b in zip(times[name], times["floor"], strict=True)),
            "max": max(a / b for a, b in zip(times[name], times["floor"], strict=True)),
        }
        for name in ("one set", "two sets")
    }
    return {"seconds": median, "ratio_to_floor": ratios, "accuracy": accuracy(net, activation, x, settings.depth)}


def main(settings: Settings) -> None:
    """Run the protocol, print a table, write the record."""
    numbers: dict[str, Any] = {}
    for activation in ("relu", "erf"):
        numbers[f"{activation} float32"] = measure(activation, settings)
        with double_precision():
            numbers[f"{activation} float64"] = measure(activation, settings)
    leave("kernel_speed", __doc__, settings=settings, numbers=numbers, quiet=True)
    for name, value in numbers.items():
        ratios = {key: round(ratio["median"], 2) for key, ratio in value["ratio_to_floor"].items()}
        print(f"{name:<14} floor {value['seconds']['floor']:.3f} s   ratios {ratios}   {value['accuracy']}")


if __name__ == "__main__":
    main(tyro.cli(Settings))

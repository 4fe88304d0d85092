"""The empirical tangent kernel of a dense network against the floor: Σ (A Aᵀ) ∘ (G Gᵀ) written by hand, in one run.

PROTOCOL. ReLU network 784-512-512-512-10 with biases, N = 256 inputs, float32, traced over outputs.

* floor: forward pass, backpropagated signals and products written out for this network and jitted; nothing is general.
* dense: `empirical_ntk` as called by a user, its checks included; the fast path is found by itself.
* jacobian: the general way, through Jacobians, on the first 16 inputs, against the floor on the same 16.

Every function is compiled and warmed up; calls alternate, so that all see the same load; the record has median, range
and the ratio of the medians, and beside them the largest difference from the floor in float64, relative to the largest
entry.

Nothing is asserted. Numbers are ratios within one run on a shared machine; the record has device, dtype and versions.

    python -m benchmarks.empirical_ntk            # writes benchmarks/results/empirical_ntk.json
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

from benchmarks.leaving import leave
from dyntheory.ground.precision import double_precision
from dyntheory.kernels import empirical_ntk


@dataclasses.dataclass(frozen=True)
class Settings:
    """Sizes and repeats."""

    num_samples: int = 256
    widths: tuple[int, ...] = (784, 512, 512, 512, 10)
    repeats: int = 21
    jacobian_samples: int = 16
    jacobian_repeats: int = 3
    seed: int = 0


def network(params: Any, x: jax.Array) -> jax.Array:
    """Apply the network in the ntk parameterisation."""
    h = x
    for index, (weights, bias) in enumerate(params):
        h = h @ weights / np.sqrt(weights.shape[0]) + bias
        h = jax.nn.relu(h) if index < len(params) - 1 else h
    return h


def by_hand(params: Any, x: jax.Array) -> jax.Array:
    """Return the traced kernel of `network`, with nothing general about it."""
    activations, slopes = [x], []
    for weights, bias in params[:-1]:
        z = activations[-1] @ weights / np.sqrt(weights.shape[0]) + bias
        activations.append(jnp.maximum(z, 0))
        slopes.append((z > 0).astype(z.dtype))
    last, n = params[-1][0], len(x)
    width, num_outputs = last.shape
    total = num_outputs * (activations[-1] @ activations[-1].T / width + 1)
    signal = (last.T[None] / np.sqrt(width)) * slopes[-1][:, None, :]  # (n, o, m)
    for layer in range(len(params) - 2, -1, -1):
        rows, inputs = signal.reshape(n, -1), activations[layer]
        total += (inputs @ inputs.T / inputs.shape[1] + 1) * (rows @ rows.T)
        if layer:
            weights = params[layer][0]
            back = signal.reshape(-1, signal.shape[-1]) @ weights.T / np.sqrt(weights.shape[0])
            signal = back.reshape(n, num_outputs, -1) * slopes[layer - 1][:, None, :]
    return total / num_outputs


def interleaved(calls: dict[str, Callable[[], jax.Array]], repeats: int) -> dict[str, dict[str, float]]:
    """Return seconds of the calls, taken in turns."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats + 1):
        for name, call in calls.items():
            started = time.perf_counter()
            call().block_until_ready()
            seconds[name].append(time.perf_counter() - started)
    kept = {name: np.array(values[1:]) for name, values in seconds.items()}  # the first call compiles
    return {n: {"median": float(np.median(v)), "min": float(v.min()), "max": float(v.max())} for n, v in kept.items()}


def draw(settings: Settings, dtype: Any) -> tuple[Any, jax.Array]:
    """Return parameters and inputs."""
    draw = np.random.default_rng(settings.seed).standard_normal
    pairs = zip(settings.widths[:-1], settings.widths[1:], strict=True)
    params = [(jnp.asarray(draw(pair), dtype), jnp.asarray(0.1 * draw(pair[1]), dtype)) for pair in pairs]
    return params, jnp.asarray(draw((settings.num_samples, settings.widths[0])), dtype)


def relative_error(kernel: jax.Array, exact: np.ndarray) -> float:
    """Return the largest difference from the leading block of `exact`, relative to the largest entry."""
    expected = exact[: len(kernel), : len(kernel)]
    return float(np.abs(np.asarray(kernel) - expected).max() / np.abs(expected).max())


def main(settings: Settings) -> None:
    """Run the protocol, print a table, write the record."""
    with double_precision():
        params, x = draw(settings, jnp.float64)
        exact = np.asarray(by_hand(params, x))
    params, x = draw(settings, jnp.float32)
    floor = jax.jit(by_hand)
    calls = {"floor": lambda: floor(params, x), "dense": lambda: empirical_ntk(network, params, x)}
    seconds = interleaved(calls, settings.repeats)
    few = x[: settings.jacobian_samples]
    slow = {
        "floor, few inputs": lambda: floor(params, few),
        "jacobian, few inputs": lambda: empirical_ntk(network, params, few, method="jacobian"),
    }
    seconds |= interleaved(slow, settings.jacobian_repeats)
    medians = {name: times["median"] for name, times in seconds.items()}
    numbers: dict[str, Any] = {
        "seconds": seconds,
        "ratio_to_floor": {
            "dense": medians["dense"] / medians["floor"],
            "jacobian": medians["jacobian, few inputs"] / medians["floor, few inputs"],
        },
        "relative_error": {name: relative_error(call(), exact) for name, call in (calls | slow).items()},
    }
    leave("empirical_ntk", __doc__, settings=settings, numbers=numbers, dtype="float32")


if __name__ == "__main__":
    main(tyro.cli(Settings))

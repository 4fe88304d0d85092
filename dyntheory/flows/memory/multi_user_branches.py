"""Fixed points of optimal multi-user detection: at most two of them stable, each on its own interval.

With T(E) = E tanh(E + √E Z) the signal-to-interference ratio E of a user solves 1/E = σ² + β (1 − T(E)). The noise
variance is an explicit function of E,

    σ²(E) = 1/E − β (1 − T(E)),      dσ²/d ln E < 0   where   β E² T′(E) < 1,    T′(E) = E sech⁴(E + √E Z),

and E² T′ has one maximum: below a load of its inverse one solution, above it two turning points E₁ < E₂. Of stable
solutions the one with less mutual information between bits and signal,

    I(E) + (σ² E − 1 − ln σ² E)/(2β)    in nats per user,

is that of equilibrium.

Reference: `tanaka2002statistical`; `guo2005randomly`.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.closed_forms.binary_channel import unknown_nats
from dyntheory.flows.memory.averages import field_averages
from dyntheory.flows.memory.roots import find_root_by_slope
from dyntheory.ground.arrays import Array, ArrayLike
from dyntheory.ground.checks import check_positive, is_concrete
from dyntheory.ground.root_finding import find_root

EFFORT = {"num_bisections": 56, "num_polishes": 1}
PEAK = 1.1393645834512762  # ln E where E² T′ is largest; 1.4752… users per chip from which on two solutions exist
TURNING = -8.0, 4.0  # where ln E of turning points lies
LARGEST_LOAD = 1e6  # for which that is so
SMALLEST = 1e-280  # a noise variance that is none


class Turning(NamedTuple):
    """Turning points of σ²(E) at one load.

    Args:
        low: E₁, where the solution of little knowledge ends.
        high: E₂, where that of much knowledge ends.
        has_two: whether there are any.
    """

    low: Array
    high: Array
    has_two: Array


def check_channel(load: ArrayLike, noise_variance: ArrayLike) -> None:
    """Check both numbers of a channel.

    Raises:
        ValueError: a number that is not positive, or more users than turning points are known of.
    """
    check_positive("load", load, "it is K/N, users per chip")
    check_positive("noise_variance", noise_variance)
    if is_concrete(load) and np.max(np.asarray(load)) > LARGEST_LOAD:
        raise ValueError(f"`load` must be at most {LARGEST_LOAD:g} users per chip, got {load!r}.")


def turning_points(load: Array) -> Turning:
    """Return where σ²(E) turns; without meaning where `has_two` is false."""
    has_two = jnp.log(load) + _log_steepness(jnp.full_like(load, PEAK)) > 0
    held = jnp.where(has_two, load, 2.0)
    peak = jnp.full_like(load, PEAK)

    def rising(x: Array) -> Array:
        return jnp.log(held) + _log_steepness(x)

    low = find_root(rising, (jnp.full_like(load, TURNING[0]), peak), **EFFORT)
    high = find_root(lambda x: -rising(x), (peak, jnp.full_like(load, TURNING[1])), **EFFORT)
    return Turning(jnp.exp(low), jnp.exp(high), has_two)


def ratios(load: Array, noise_variance: Array, turning: Turning) -> tuple[Array, Array]:
    """Return E of the solution reached from no knowledge of the bits, and from full knowledge."""
    least, most = jax.lax.stop_gradient((-jnp.log(noise_variance + load), -jnp.log(noise_variance)))
    low_exists = turning.has_two & (noise_at(turning.low, load) <= noise_variance)
    high_exists = ~turning.has_two | (noise_at(turning.high, load) >= noise_variance)

    def gap(x: Array) -> tuple[Array, Array]:
        ratio, root = jnp.exp(x), jnp.exp(x / 2)
        found = field_averages(root, root)
        whole = noise_variance * ratio + load * ratio * found.slope
        return whole - 1, whole - load * jnp.exp(2 * x + jnp.log(found.fourth))

    low_end = jnp.where(low_exists, jnp.minimum(jnp.log(turning.low), most), most)
    high_start = jnp.where(high_exists & turning.has_two, jnp.maximum(jnp.log(turning.high), least), least)
    low, high = (
        jnp.exp(find_root_by_slope(gap, ends, num_bisections=56)) for ends in ((least, low_end), (high_start, most))
    )
    return jnp.where(low_exists, low, high), jnp.where(high_exists, high, low)


def transition(load: Array, turning: Turning) -> Array:
    """Return the noise variance at which both solutions tell as much, for loads with two; zero below 1e-280."""
    low, high = noise_at(turning.low, load), noise_at(turning.high, load)
    least = jnp.log(jnp.maximum(low, SMALLEST))

    def gain(x: Array) -> tuple[Array, Array]:
        variance = jnp.exp(x)
        uninformed, informed = ratios(load, variance, turning)
        slope = variance * (informed - uninformed) / (2 * load)  # I is stationary in E
        return information(informed, load, variance) - information(uninformed, load, variance), slope

    # Strictly inside, where there are both.
    width = jnp.log(high) - least
    ends = jax.lax.stop_gradient((least + 1e-9 * width, least + (1 - 1e-9) * width))
    found = find_root_by_slope(gain, ends, num_bisections=44)
    return jnp.where(found > ends[0], jnp.exp(found), 0.0)


def noise_at(ratio: Array, load: Array) -> Array:
    """Return σ² of the solution with this E."""
    return 1 / ratio - load * unknown(ratio)


def information(ratio: Array, load: Array, noise_variance: Array) -> Array:
    """Return the mutual information of a user's bit and the received signal, in nats; stationary at solutions."""
    excess = noise_variance * ratio
    return jnp.log(2.0) - unknown_nats(ratio) + (excess - 1 - jnp.log(excess)) / (2 * load)


def replicon(ratio: Array, load: Array) -> Array:
    """Return 1 − β E² E sech⁴: positive where the solution is stable, under iteration and against broken symmetry."""
    return 1 - load * jnp.exp(_log_steepness(jnp.log(ratio)))


def unknown(ratio: Array) -> Array:
    """Return 1 − T(E) = E sech² h."""
    root = jnp.sqrt(ratio)
    return field_averages(root, root).slope


def _log_steepness(x: Array) -> Array:
    """Return ln E² T′(E) at x = ln E."""
    ratio = jnp.exp(x)
    root = jnp.sqrt(ratio)
    return 2 * x + jnp.log(field_averages(root, root).fourth)

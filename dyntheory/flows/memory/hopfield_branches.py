"""Replica-symmetric solutions of the Hopfield network, each on its own curve.

Spins in the field (m + Δ Z)/T with Δ² = α r. With y = m/Δ and s = Δ/T a temperature fixes s at every y,

    E tanh s(y + Z) = T s y,       and then       √α = Δ (1 − C)/√q,       C = (1 − q)/T:

the load is an explicit function of y. It vanishes at y = 0 and y = ∞; its largest value is the capacity α_M(T), and
retrieval is the branch beyond it. Without a condensed pattern y = 0, s is free and the load increases with it.

    f = α/2 + m²/2 + (α/2)[T ln(1 − C) − q/(1 − C)] + Δ² C/2 − T E ln 2 cosh s(y + Z).

Reference: `amit1985storing`; `amit1987statistical`.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from dyntheory.flows.memory.averages import Averages, field_averages
from dyntheory.flows.memory.roots import find_root_by_slope
from dyntheory.ground.arrays import Array
from dyntheory.ground.root_finding import find_root

COLD = 1e-100  # a temperature below which there is none, to all digits
WARM = 0.5
POLISHES, OUTER = 40, 46
SMALLEST_PEAK, LARGEST_PEAK = 0.05, 20.0  # where y of the capacity lies


class Branch(NamedTuple):
    """One solution at (α, T).

    Args:
        load: α.
        overlap: m, with the pattern.
        square: q, of the mean spins.
        field_ratio: y = m/Δ, the signal over the noise of the local fields.
        field_noise: Δ = √(αr).
        free_energy: f per spin.
        energy_of_load: df/dα at this temperature; f is stationary in all order parameters.
        replicon: 1 − α E sech⁴ h/(T − (1 − q))², positive where replica symmetry is locally stable;
            minus infinity without temperature.
    """

    load: Array
    overlap: Array
    square: Array
    field_ratio: Array
    field_noise: Array
    free_energy: Array
    energy_of_load: Array
    replicon: Array


def retrieval(load: Array, temperature: Array, peak: Array) -> Branch:
    """Return the retrieval solution, for a load below the capacity at this temperature, whose y is `peak`."""
    ends = jnp.log(peak), jnp.maximum(jnp.log(peak), -jnp.log(load) / 2)  # α ≤ 1/y²

    def gap(x: Array) -> tuple[Array, Array]:
        branch, fall = curve(jnp.exp(x), temperature)
        return jnp.log(load / branch.load), fall

    x = find_root_by_slope(gap, ends, num_bisections=OUTER)
    return on_curve(jnp.exp(x), temperature)._replace(load=load)


def on_curve(ratio: Array, temperature: Array) -> Branch:
    """Return the solution with y at this temperature, whatever its load."""
    return curve(ratio, temperature)[0]


def curve(ratio: Array, temperature: Array) -> tuple[Branch, Array]:
    """Return the solution with y at this temperature, and −d ln α/d ln y."""
    T = jnp.maximum(temperature, COLD)
    s = width_at(ratio, T)
    found = field_averages(ratio, s)
    rest = _one_minus_response(found, T)
    widens = s * (T - found.slope) / (ratio * (found.slope - T) + found.bend)  # ds/dy
    squares = -found.bend + 2 * found.turn / s * widens  # dq/dy
    fall = -ratio * (2 * widens / s + squares * (2 / (T * rest) - 1 / found.square))
    return _branch(jnp.square(s * T * rest) / found.square, temperature, ratio, s, found, rest), fall


def spin_glass(load: Array, temperature: Array) -> Branch:
    """Return the solution without overlap, for temperatures below 1 + √α."""
    T = jnp.maximum(temperature, COLD)
    root = jnp.sqrt(load)

    def gap(x: Array) -> tuple[Array, Array]:
        s = jnp.exp(x)
        found = field_averages(jnp.zeros_like(s), s)
        width, widens = s * T / jnp.sqrt(found.square) / root, 2 * found.turn  # dq/dx
        part = width * _one_minus_response(found, T)
        return part - 1, part + widens * (width / T - part / (2 * found.square))

    high = jnp.log((root + jnp.sqrt(2 / jnp.pi)) / T)
    low = jnp.minimum(high, 0.0) - 20.0  # where q is the rounding of one
    x = find_root_by_slope(gap, (low, high), num_bisections=OUTER + 8)
    s = jnp.exp(x)
    found = field_averages(jnp.zeros_like(s), s)
    rest = root * jnp.sqrt(found.square) / (s * T)  # 1 − C: at small loads the difference is rounding
    return _branch(load, temperature, jnp.zeros_like(s), s, found, rest)


def paramagnet(load: Array, temperature: Array) -> Branch:
    """Return the solution without order, for temperatures above 1 + √α."""
    T, zero = temperature, jnp.zeros_like(temperature)
    of_load = (1 + T * jnp.log1p(-1 / T)) / 2
    return Branch(
        load, zero, zero, zero, zero, load * of_load - T * jnp.log(2.0), of_load, 1 - load / jnp.square(T - 1)
    )


def capacity_peak(temperature: Array, *, num_polishes: int = 0) -> Array:
    """Return y at the capacity α_M(T), T < 1: where the load is largest.

    A load there has its first derivatives without them, being stationary; y itself needs a polish for its own.
    """
    ends = jnp.log(jnp.full_like(temperature, SMALLEST_PEAK)), jnp.log(jnp.full_like(temperature, LARGEST_PEAK))

    def fall(x: Array) -> Array:
        return curve(jnp.exp(x), temperature)[1]

    return jnp.exp(find_root(fall, ends, num_bisections=OUTER, num_polishes=num_polishes))


def width_at(ratio: Array, temperature: Array) -> Array:
    """Return s with E tanh s(y + Z) = T s y, at T < 1; derivatives of first order are right."""
    T = jnp.maximum(temperature, COLD)

    def excess(s: Array, found: Averages) -> Array:
        return jnp.where(T < WARM, found.overlap - T * s * ratio, (1 - T) * s * ratio - found.shortfall)

    def newton(_: int, s: Array) -> Array:
        found = field_averages(ratio, s)
        return s - excess(s, found) / (ratio * (found.slope - T) + found.bend)

    # The excess is concave in s and negative where tanh x would be the smaller of 1 and x/√(1 + 2x²/3): Newton comes
    # down to the root from there.
    start = jnp.minimum(1.0, jnp.sqrt(1.5 * (1 - T) * (1 + T))) / (ratio * T)
    root = jax.lax.stop_gradient(jax.lax.fori_loop(0, POLISHES, newton, start))
    return newton(0, root)


def _one_minus_response(found: Averages, temperature: Array) -> Array:
    """Return 1 − C, C = (1 − q)/T."""
    T = temperature
    return jnp.where(T < WARM, 1 - found.slope / T, (T - 1 + found.square) / T)


def _branch(load: Array, temperature: Array, ratio: Array, width: Array, found: Averages, rest: Array) -> Branch:
    """Return the solution whose averages were found; `rest` is 1 − C."""
    T = jnp.maximum(temperature, COLD)
    m, noise = ratio * width * T, width * T
    of_load = (1 + T * jnp.log(rest) - found.square / rest) / 2
    energy = load * of_load + (jnp.square(m) + jnp.square(noise) * found.slope / T) / 2 - T * found.log_sum
    replicon = jnp.where(temperature > COLD, 1 - load * (found.fourth / T) / T / jnp.square(rest), -jnp.inf)
    return Branch(load, m, found.square, ratio, noise, energy, of_load, replicon)

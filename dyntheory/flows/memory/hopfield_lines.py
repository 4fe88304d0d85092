"""Lines of the phase diagram of the Hopfield network: loads at which something changes, as functions of temperature.

As functions of the load some of them would have two values: with replica symmetry the capacity is largest at a small
temperature, not at none.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from dyntheory.closed_forms.evaluation import evaluate, over_leading_axes
from dyntheory.flows.memory.hopfield_branches import COLD, capacity_peak, curve, on_curve, spin_glass
from dyntheory.flows.memory.programs import by_size
from dyntheory.flows.memory.roots import find_root_by_slope
from dyntheory.ground.arrays import Array, ArrayLike
from dyntheory.ground.checks import check_nonnegative, is_concrete
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.root_finding import find_root

BELOW = 20.0  # how far below the capacity the transition may lie, as a factor
CLEAREST = 40.0  # field ratio at which replica symmetry holds down to any temperature that is told from none
NUM_BISECTIONS = 40
CLOSEST = 1e-5  # of 1 − T, at which free energies, (1 − T)² apart, are told from each other to five digits


class Capacity(NamedTuple):
    """Where retrieval ends; arrays of one shape.

    Args:
        load: α_M(T), the largest at which retrieval is a (metastable) state; α_c at T = 0.
        overlap: m there.
        field: m/√(2αr) there, the argument of erf in m = erf(·) at T = 0.
    """

    load: Any
    overlap: Any
    field: Any


class PhaseLines(NamedTuple):
    """Loads at given temperatures, arrays of one shape; NaN where a line is not at that temperature.

    Args:
        retrieval: α_M, the line T_M: below it retrieval is at least metastable.
        transition: where retrieval and the spin glass have one free energy, the line T_c: below it retrieval is the
            state of equilibrium. NaN above T = 1 − 1e-5, where energies differ by no more than rounding and it is
            α ≈ ((1 − T)/2.5959)².
        symmetry_breaking: above it replica symmetry is unstable in the retrieval state (de Almeida–Thouless).
        glass: (T − 1)² for T ≥ 1, the line T_g = 1 + √α: above it the spin glass, in which replica symmetry is broken
            from the start.
    """

    retrieval: Any
    transition: Any
    symmetry_breaking: Any
    glass: Any


def capacity(temperature: ArrayLike = 0.0) -> Capacity:
    """Return the largest load at which a Hopfield network retrieves, α_c = 0.1379… without temperature.

    Scaling:
        α = P/N patterns per spin; J = (1/N) Σ ξ ξᵀ, T in the units of J. Replica symmetric.

    Args:
        temperature: T, at least zero and below one, above which nothing is retrieved.

    Returns:
        Load, overlap and field, in the shape of T.

    Raises:
        ValueError: T outside its range.

    Example:
        >>> import dyntheory as dt
        >>> round(float(dt.memory.capacity().load), 13), round(float(dt.memory.capacity().overlap), 13)
        (0.1379055664949, 0.9674171156853)

    Reference: `amit1985storing`; `amit1987statistical`.
    """
    check_arguments(capacity, locals())
    check_nonnegative("temperature", temperature)
    if is_concrete(temperature) and not bool(np.all(np.asarray(temperature) < 1)):
        raise ValueError(f"`temperature` must be below one, where retrieval ends at any load, got {temperature!r}.")
    return Capacity(*evaluate(_capacity, temperature))


def phase_lines(temperature: ArrayLike) -> PhaseLines:
    """Return the loads at which the phases of a Hopfield network change, at given temperatures.

    Scaling:
        That of `capacity`.

    Args:
        temperature: T, zero or positive.

    Returns:
        Four lines, in the shape of T; NaN where a line does not pass this temperature.

    Raises:
        ValueError: T outside its range.

    Example:
        >>> import dyntheory as dt
        >>> lines = dt.memory.phase_lines([0.0, 0.5, 1.5])
        >>> lines.transition.round(4), lines.glass
        (array([0.0519, 0.0281,    nan]), array([ nan,  nan, 0.25]))

    Reference: `amit1987statistical`, where they are T_M, T_c, T_R and T_g.
    """
    check_arguments(phase_lines, locals())
    check_nonnegative("temperature", temperature)
    return PhaseLines(*evaluate(_lines, temperature))


@by_size
def _capacity(temperature: Array) -> tuple[Array, ...]:
    def at(T: Array) -> tuple[Array, Array, Array]:
        y = capacity_peak(T, num_polishes=1)
        found = on_curve(y, T)
        return found.load, found.overlap, y / jnp.sqrt(2.0)

    return over_leading_axes(at, "()->(),(),()")(temperature)


@by_size
def _lines(temperature: Array) -> tuple[Array, ...]:
    return over_leading_axes(_lines_at, "()->(),(),(),()")(temperature)


def _lines_at(temperature: Array) -> tuple[Array, Array, Array, Array]:
    is_cool = temperature < 1
    T = jnp.where(is_cool, temperature, 0.5)
    peak = capacity_peak(T)
    least = on_curve(peak, T)
    glass = jnp.where(temperature >= 1, jnp.square(temperature - 1), jnp.nan)
    transition = on_curve(_transition(peak, least.load, T), T).load
    has_breaking = (least.replicon < 0) & (temperature > COLD)
    breaking = jnp.where(has_breaking, on_curve(_breaking(peak, T), T).load, jnp.nan)
    transition = jnp.where(1 - T > CLOSEST, transition, jnp.nan)
    first, second, third = (jnp.where(is_cool, line, jnp.nan) for line in (least.load, transition, breaking))
    return first, second, third, glass


def _transition(peak: Array, largest: Array, temperature: Array) -> Array:
    """Return y where retrieval and the spin glass have the same free energy."""

    def gain(x: Array) -> tuple[Array, Array]:
        found, fall = curve(jnp.exp(x), temperature)
        glass = spin_glass(found.load, temperature)
        slope = fall * found.load * (found.energy_of_load - glass.energy_of_load)
        return glass.free_energy - found.free_energy, slope

    ends = jnp.log(peak), jnp.log(BELOW / largest) / 2  # α ≤ 1/y²
    return jnp.exp(find_root_by_slope(gain, ends, num_bisections=NUM_BISECTIONS))


def _breaking(peak: Array, temperature: Array) -> Array:
    """Return y where the replicon of retrieval vanishes; a number without meaning where it does not."""

    def replicon(x: Array) -> Array:
        return on_curve(jnp.exp(x), temperature).replicon

    ends = jnp.log(peak), jnp.log(jnp.full_like(peak, CLEAREST))
    return jnp.exp(find_root(replicon, ends, num_bisections=NUM_BISECTIONS, num_polishes=1))

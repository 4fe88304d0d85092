"""Branches of both memories side by side: at every load and temperature which of them there are, and which is best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from dyntheory.closed_forms.evaluation import over_leading_axes
from dyntheory.flows.memory import multi_user_branches
from dyntheory.flows.memory.hopfield_branches import Branch, capacity_peak, on_curve, paramagnet, retrieval, spin_glass
from dyntheory.flows.memory.iteration import wrong_signs
from dyntheory.flows.memory.programs import by_size
from dyntheory.ground.arrays import Array

HOPFIELD = ("retrieval", "spin glass", "paramagnet")
MULTI_USER = ("uninformed", "informed")
Fields = tuple[Array, ...]  # those of a Solution, branches in front, and the best branch


@by_size
def of_hopfield(load: Array, temperature: Array) -> Fields:
    """Return the branches of `HOPFIELD`."""
    peaks = over_leading_axes(_peak, "()->(),()")(temperature)
    fields = over_leading_axes(_hopfield, "(),(),(),()->(b),(b),(b),(b),(b),(b)")(load, temperature, *peaks)
    return _with_best(fields)


@by_size
def of_multi_user(load: Array, noise_variance: Array) -> Fields:
    """Return the branches of `MULTI_USER`."""
    return _with_best(over_leading_axes(_multi_user, "(),()->(b),(b),(b),(b),(b),(b)")(load, noise_variance))


def _peak(temperature: Array) -> tuple[Array, Array]:
    """Return y and load of the capacity; none at temperatures of one and more."""
    is_cool = temperature < 1
    held = jnp.where(is_cool, temperature, 0.5)
    y = capacity_peak(held)
    return y, jnp.where(is_cool, on_curve(y, held).load, 0.0)


def _hopfield(load: Array, temperature: Array, peak: Array, capacity: Array) -> Fields:
    is_glass = temperature < 1 + jnp.sqrt(load)
    retrieves = load <= capacity
    cool = jnp.where(retrieves, temperature, 0.5)
    glassy = jnp.where(is_glass, temperature, 0.5)
    warm = jnp.where(is_glass, 2 + jnp.sqrt(load), temperature)
    # Where nothing is retrieved another point is solved.
    known, start = jnp.where(retrieves, load, 0.01), jnp.where(retrieves, peak, 1.5)
    branches = [
        (retrieval(known, cool, start), retrieves),
        (spin_glass(load, glassy), is_glass),
        (paramagnet(load, warm), ~is_glass),
    ]
    return _stacked([_fields(*one) for one in branches])


def _fields(branch: Branch, exists: Array) -> Fields:
    m, q, y = branch.overlap, branch.square, branch.field_ratio
    found = m, q, y, wrong_signs(y), branch.free_energy, branch.replicon
    return tuple(jnp.where(exists, one, jnp.nan) for one in found)


def _multi_user(load: Array, noise_variance: Array) -> Fields:
    both = multi_user_branches.ratios(load, noise_variance, multi_user_branches.turning_points(load))
    return _stacked([_of_ratio(one, load, noise_variance) for one in both])


def _of_ratio(ratio: Array, load: Array, noise_variance: Array) -> Fields:
    m, y = 1 - multi_user_branches.unknown(ratio), jnp.sqrt(ratio)
    energy = multi_user_branches.information(ratio, load, noise_variance)
    return m, m, y, wrong_signs(y), energy, multi_user_branches.replicon(ratio, load)


def _stacked(branches: Sequence[Fields]) -> Fields:
    return tuple(jnp.stack(parts) for parts in zip(*branches, strict=True))


def _with_best(fields: Any) -> Fields:
    front = tuple(jnp.moveaxis(one, -1, 0) for one in fields)
    # Numbers of branches as floats: inside a program of single precision there are no long integers.
    energies = list(front[4])
    best, least = jnp.full_like(energies[0], -1.0), jnp.full_like(energies[0], jnp.inf)
    for number, energy in enumerate(energies):
        is_better = energy < least
        best, least = jnp.where(is_better, float(number), best), jnp.where(is_better, energy, least)
    return (*front, best)

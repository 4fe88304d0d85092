"""The flow of order parameters of one-pass SGD, α = steps/d, steps of η/d on d ∂ℓ/∂W and on the head.

    dR/dα = −η E r zᵀ,   dQ/dα = −η (E r hᵀ + E h rᵀ) + (η²/B) E r rᵀ,   da/dα = −η c E e g(h),

r = e a g'(h), B the batch size, c the head's rate in units of that of the first layer. With momentum β every gradient
moves weights by η/(1 − β) within O(1) steps, which are no time here: η stands for that.

Reference: `saad1995exact`; `goldt2019dynamics`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from dyntheory.flows.online.closed import closed_averages, closed_error
from dyntheory.flows.online.model import Averages, Model, Overlaps
from dyntheory.flows.online.on_nodes import node_averages
from dyntheory.ground.arrays import Array, PyTree


def averages(model: Model, now: Overlaps, numbers: PyTree) -> Averages:
    """Return the averages: on the nodes that are given, by closed forms where none are."""
    if numbers["nodes"] is None:
        return closed_averages(model, now, numbers["noise_variance"])
    return node_averages(model, now, numbers["noise_variance"], numbers["nodes"])


def overlaps(state: PyTree, numbers: PyTree) -> Overlaps:
    """Return a state as order parameters."""
    return Overlaps(state["weight"], state["teacher"], numbers["teacher_moment"], state["head"])


@functools.lru_cache(maxsize=256)
def field_of(model: Model) -> Callable[[Any, PyTree, PyTree], PyTree]:
    """Return the right side of the flow; the same function for the same model, so nothing recompiles."""

    def field(time: Any, state: PyTree, numbers: PyTree) -> PyTree:
        rate = numbers["learning_rate"] if model.schedule is None else model.schedule(time)
        rate = rate / (1.0 - numbers["momentum"])
        found = averages(model, overlaps(state, numbers), numbers)
        drift, spread = found.with_students, rate**2 / numbers["batch_size"] * found.squares
        return {
            "weight": spread - rate * (drift + drift.T),
            "teacher": -rate * found.with_teachers,
            "head": -rate * numbers["head_rate"] * found.head,
        }

    return field


def error_of(model: Model, state: PyTree, numbers: PyTree) -> tuple[Array, Array]:
    """Return E (F − φ)² of one state, and what rounding may do to it."""
    now = overlaps(state, numbers)
    if numbers["nodes"] is None:
        return closed_error(model, now)
    found = node_averages(model, now, jnp.zeros(()), numbers["nodes"]).error
    return found, jnp.finfo(found.dtype).eps * found

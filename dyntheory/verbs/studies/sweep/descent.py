"""The predicted error of one choice and its gradient in all its numbers, by reverse differentiation of the engine.

What is differentiated is log(Q + c s): Q the test error on all nodes, s its numerical error from the sub-nets as in
`dyntheory.gaussian.sub_nets`, without smoothing over steps. The logarithm tames choices that blow up.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.gaussian.sub_nets import spread_factor
from dyntheory.ground.arrays import Array, Key
from dyntheory.ground.compiling import compiled
from dyntheory.ground.precision import double_precision
from dyntheory.problem.shape import Shape
from dyntheory.verbs.studies.sweep.families import Preparation, Prepared, task_of
from dyntheory.verbs.studies.sweep.points import Points
from dyntheory.verbs.studies.sweep.programs import curves_of, node_sets

INSIDE = 0.618  # of the bounds, where leaves are tried: a function that is a number there by chance is none
FAR = 700.0  # the logarithm of an error that is no number any more
TINY = 1e-30


class NoGradient(ValueError):
    """A choice whose error has no gradient that could be trusted, or that is not known."""


class Descent:
    """Returns the logarithm of the error to be minimised and its gradient."""

    def __init__(
        self,
        points: Points,
        bounds: dict[str, tuple[float, float]],
        key: Key,
        num_nodes: int | None,
        sure: float,
        early_stopping: bool,
    ) -> None:
        preparation = Preparation(points, key, num_nodes, ())
        low = {name: ends[0] for name, ends in bounds.items()}
        inside = {name: low + INSIDE * (high - low) for name, (low, high) in bounds.items()}
        first = preparation.ready(low)
        self._leaves, self._structure = jax.tree.flatten((first.problem, first.sub_nets_moment))
        self._places = _places(low, inside, preparation)
        self._sets = node_sets(task_of(first, key), Shape.of(first.problem.law, first.problem.method, first.num_steps))
        self._options = {"num_steps": first.num_steps, "sure": sure, "early_stopping": early_stopping}

    def __call__(self, values: np.ndarray) -> tuple[float, np.ndarray]:
        """Return value and gradient (numbers,) at numbers in the order of the bounds."""
        with double_precision():
            found, slope = _SLOPE(
                jnp.asarray(values),
                self._leaves,
                *self._sets,
                structure=self._structure,
                places=self._places,
                **self._options,
            )
        found, slope = float(found), np.asarray(slope)
        if not np.isfinite(found) or not np.all(np.isfinite(slope)):
            return FAR, np.zeros(len(values))
        return found, slope


def _places(low: dict[str, float], inside: dict[str, float], preparation: Preparation) -> tuple[tuple[int, ...], ...]:
    """Return for every name the leaves that are its number; no other leaf may change with it."""
    before, found = _numbers(preparation.ready(low)), []
    for name, value in inside.items():
        after = _numbers(preparation.ready({**low, name: value}))
        places = _changed(before, after)
        if not places or any(after[place].shape or float(after[place]) != value for place in places):
            raise NoGradient(f"{name} is not a number of law or method as it is, but an argument of what makes them")
        found.append(tuple(places))
    if _changed(before, _numbers(preparation.ready(inside))) != sorted({place for some in found for place in some}):
        raise NoGradient("the numbers act on each other")
    return tuple(found)


def _changed(before: list[np.ndarray], after: list[np.ndarray]) -> list[int]:
    if len(before) != len(after):
        raise NoGradient("shapes change")
    pairs = enumerate(zip(before, after, strict=True))
    return [place for place, (old, new) in pairs if not np.array_equal(old, new)]


def _numbers(prepared: Prepared) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves((prepared.problem, prepared.sub_nets_moment))]


def _slope(
    values: Array,
    leaves: list[Any],
    whole: Any,
    parts: Any,
    *,
    structure: Any,
    places: tuple[tuple[int, ...], ...],
    num_steps: int,
    sure: float,
    early_stopping: bool,
) -> tuple[Array, Array]:
    def goal(numbers: Array) -> Array:
        changed = list(leaves)
        for number, where in zip(numbers, places, strict=True):
            for place in where:
                changed[place] = number
        problem, moment = jax.tree.unflatten(structure, changed)
        value = curves_of(problem, whole, num_steps=num_steps, record=())[0]["test_error"]
        coarser = problem._replace(joint_second_moment=moment)
        blocks = jax.vmap(lambda sets: curves_of(coarser, sets, num_steps=num_steps, record=())[0]["test_error"])(parts)
        spread = spread_factor(len(blocks)) ** 2 * blocks.var(axis=0, ddof=1) / len(blocks)
        shift = (value - blocks.mean(axis=0)) ** 2 / 4
        goals = jnp.log(value + sure * jnp.sqrt(spread + shift + TINY))
        return jnp.min(goals) if early_stopping else goals[-1]

    return jax.value_and_grad(goal)(values)


_SLOPE = compiled(_slope, static_argnames=("structure", "places", "num_steps", "sure", "early_stopping"))

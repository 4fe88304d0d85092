"""Where one pass ends: the stationary point behind the last time, its error, and how fast it is approached."""

from __future__ import annotations

import functools
import warnings
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.flows.online.equations import error_of, field_of
from dyntheory.flows.online.model import Model
from dyntheory.flows.online.prepared import prepared
from dyntheory.flows.online.solution import Solver, nodes_of, solve
from dyntheory.ground.arrays import Array, Key, PyTree
from dyntheory.ground.checks import check_positive, check_scalar
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.precision import double_precision
from dyntheory.ground.status import DyntheoryWarning, Outcome, Status
from dyntheory.problem.laws.first_layer import FirstLayer
from dyntheory.problem.laws.law import TeacherStudent
from dyntheory.problem.networks.network import MLP

MOST_STEPS, RESIDUAL, FLAT, FAR = 50, 1e-11, 1e-9, 0.3


class Asymptote(NamedTuple):
    """The end of one pass.

    Args:
        excess_error: E(F − φ)² at the stationary point; ε_g is half of it.
        rate: order parameters approach it as e^{−rate α}; below zero it is left again, as a plateau is. Directions that
            do not move at all are left out.
        weight_overlap: Q, (k, k).
        teacher_overlap: R, (k, r).
        head: a, (k,).
        status: "unresolved" where no stationary point was found near the last time, or it is left again.
    """

    excess_error: float
    rate: float
    weight_overlap: np.ndarray
    teacher_overlap: np.ndarray
    head: np.ndarray
    status: Status


def find_asymptote(
    law: TeacherStudent,
    network: MLP,
    *,
    learning_rate: float,
    key: Key,
    time: float = 1000.0,
    head: PyTree = None,
    head_rate: float = 1.0,
    momentum: float = 0.0,
    batch_size: int = 1,
    first_layer: FirstLayer | None = None,
) -> Asymptote:
    """Return the error that one pass at a constant rate ends with, and the rate at which it gets there.

    The flow is solved up to `time`; from there Newton's method finds where it stands still.

    Scaling:
        As in `predict`. With label noise σ the error that is left is O(η σ²) for small η; without it, and with as many
        students as teachers, it is zero up to a largest η, where `rate` changes its sign.

    Args:
        law: as in `predict`; student and teacher must be sums of units with closed forms.
        network: as in `predict`.
        learning_rate: η, a number.
        key: decides the head if none is given.
        time: α from which on Newton's method goes; after the plateaus.
        head: as in `predict`.
        head_rate: c.
        momentum: β.
        batch_size: B.
        first_layer: overlaps at the start.

    Raises:
        ValueError: units without closed forms, or as `predict`.

    Example:
        >>> import jax, numpy as np, dyntheory as dt
        >>> one = {"layer_2": {"weights": np.ones((1, 1))}}
        >>> end = dt.online.find_asymptote(dt.TeacherStudent(1.0, noise_std=1.0), dt.MLP((1,), "linear"), head=one,
        ...                                head_rate=0.0, learning_rate=0.5, key=jax.random.key(0))
        >>> round(end.excess_error, 9), round(end.rate, 6)
        (0.333333333, 0.5)

    Reference: `saad1995line`.
    """
    given = locals()
    check_arguments(find_asymptote, given)
    check_scalar("time", time)
    check_positive("time", time)
    with double_precision():
        one = prepared({**given, "time": [float(time)]})
        if one.model.kind is None:
            raise ValueError("`network` and `law` must be sums of erf, relu or linear units here, of one kind.")
        last = solve(one, one.joint, Solver(*nodes_of(one.model, 1, 0)))
        r = one.model.num_teacher_units
        numbers = jax.tree.map(jnp.asarray, one.numbers | {"teacher_moment": one.joint[:r, :r]}) | {"nodes": None}
        found = _ended(one.model, numbers, last)
    if not found.status.ok:
        warnings.warn(str(found.status), DyntheoryWarning, stacklevel=2)
    return found


def _ended(model: Model, numbers: PyTree, last: Any) -> Asymptote:
    start = np.concatenate(
        [last.weight_overlap[-1][np.triu_indices(model.num_units)], last.teacher_overlap[-1].ravel(), last.head[-1]]
    )
    point, slopes, residual = _newton(model, numbers, start)
    state = _unpacked(model, jnp.asarray(point))
    error, grown = float(error_of(model, state, numbers)[0]), np.linalg.eigvals(slopes) if residual < np.inf else None
    moving = None if grown is None else grown.real[np.abs(grown) > FLAT]
    rate = np.nan if moving is None or not moving.size else -float(moving.max())
    told = ""
    if not residual <= RESIDUAL or np.abs(point - start).max() > FAR * max(1.0, np.abs(start).max()):
        told = "no stationary point was found near the last time: raise `time`, or lower `learning_rate`"
    elif rate < 0:
        told = "the flow leaves this point again, it is a plateau: raise `time`, or lower `learning_rate`"
    status = Status(Outcome.UNRESOLVED, told) if told else Status()
    parts = (np.asarray(state[name]) for name in ("weight", "teacher", "head"))
    return Asymptote(error, rate, *parts, status=status)


def _newton(model: Model, numbers: PyTree, start: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the point, the derivative of the flow there, and what the flow still is: infinite where it is not finite.

    Steps of least length: directions along which nothing moves are not gone, and a frozen head stays.
    """
    point, residual = start.copy(), np.inf
    free = len(start) - model.num_units * (float(numbers["head_rate"]) == 0)
    slopes = np.full((free, free), np.nan)
    for _ in range(MOST_STEPS):
        value, whole = (np.asarray(one) for one in _linearised(model, jnp.asarray(point), numbers))
        slopes = whole[:free, :free]
        if not (np.isfinite(value).all() and np.isfinite(slopes).all()):
            return start, slopes, np.inf
        residual = float(np.abs(value).max())
        if residual <= RESIDUAL / 100:
            break
        point[:free] -= np.linalg.lstsq(slopes, value[:free], rcond=1e-10)[0]
    return point, slopes, residual


@functools.partial(jax.jit, static_argnums=0)
def _linearised(model: Model, point: Array, numbers: PyTree) -> tuple[Array, Array]:
    """Return the flow and its derivative in Q's upper triangle, R and a."""

    def flow(point: Array) -> Array:
        found = field_of(model)(jnp.zeros(()), _unpacked(model, point), numbers)
        upper = found["weight"][np.triu_indices(model.num_units)]
        return jnp.concatenate([upper, found["teacher"].ravel(), found["head"]])

    return flow(point), jax.jacfwd(flow)(point)


def _unpacked(model: Model, point: Array) -> PyTree:
    k, r = model.num_units, model.num_teacher_units
    rows, columns = np.triu_indices(k)
    count = len(rows)
    weight = jnp.zeros((k, k)).at[rows, columns].set(point[:count]).at[columns, rows].set(point[:count])
    teacher = point[count : count + k * r].reshape(k, r)
    return {"weight": weight, "teacher": teacher, "head": point[count + k * r :]}

"""Ordinary differential equations to a tolerance of the solution, not only of a step.

A solver bounds what one step adds. Here a flow is solved at a local tolerance and at one `TIGHTER` times smaller; their
difference is the error of the coarser one, told for the finer one. While it is above what was asked for, the finer one
becomes the coarser one.

Reference: `hairer1993solving`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.ground.arrays import Array, ArrayLike, PyTree
from dyntheory.ground.checks import check_count, check_nonnegative, check_positive, check_scalar
from dyntheory.ground.precision import as_double, double_precision, to_numpy
from dyntheory.ground.status import Outcome, Status

INSTALL = "Flows in continuous time need diffrax: `pip install dyntheory[flows]`."
TIGHTER, SMALLEST = 30.0, 1e-14
FLOOR = 1e-3  # atol in units of rtol
MAX_STEPS = 100_000

Field = Callable[[Any, PyTree, PyTree], PyTree]


class Flow(NamedTuple):
    """States at the times asked for, the error of the solver in the same structure, and how it ended."""

    states: PyTree
    error: PyTree
    status: Status


def solve_flow(
    field: Field,
    start: PyTree,
    times: ArrayLike,
    parameters: PyTree = None,
    *,
    rtol: float = 1e-8,
    atol: float | None = None,
    stiff: bool = False,
    max_steps: int = MAX_STEPS,
    max_step: float | None = None,
) -> Flow:
    """Solve ẏ = field(t, y, parameters), y(0) = start, until the error is below atol + rtol |y| at all times.

    Args:
        field: written in JAX, at the top of a module: programs are kept by its identity, so numbers belong into
            `parameters`.
        start: y(0), a pytree of arrays.
        times: increasing, zero or later, (T,).
        parameters: what `field` needs, a pytree.
        rtol: relative tolerance of the solution, from 1e-12 to 0.1.
        atol: absolute tolerance; default a thousandth of `rtol`.
        stiff: whether an implicit solver is needed.
        max_steps: of the solver.
        max_step: the longest step, for fields that change by themselves: between two looks a pulse in t is not seen.

    Returns:
        NumPy arrays in float64 with an axis of times in front. The status is "unresolved" when the tolerance was not
        reached, and "diverged" when the solver could not go on: states that it did not reach are NaN.

    Raises:
        ImportError: without diffrax.
        ValueError: times that do not increase, or numbers outside their range.
    """
    moments = check_times(times)
    for name, value in (("rtol", rtol), ("atol", atol), ("max_step", max_step)):
        if value is not None:
            check_scalar(name, value)
    check_positive("rtol", rtol)
    if not 1e-12 <= rtol <= 0.1:
        raise ValueError(f"`rtol` must be from 1e-12 to 0.1, got {rtol!r}.")
    if atol is not None:
        check_nonnegative("atol", atol)
    if max_step is not None:
        check_positive("max_step", max_step)
    most, longest = check_count("max_steps", max_steps), None if max_step is None else float(max_step)
    absolute = FLOOR * rtol if atol is None else float(atol)
    with double_precision():
        start, parameters = as_double(start), as_double(parameters)
        solve = functools.partial(_solve, field, stiff, most, start, jnp.asarray(moments), parameters, longest)
        local = rtol / TIGHTER
        states, reached = solve(local, absolute / TIGHTER)
        error = jax.tree.map(lambda one: np.full_like(one, np.inf), states)
        while reached and not _within(error, states, rtol, absolute):
            if local <= SMALLEST:
                return Flow(states, error, Status(Outcome.UNRESOLVED, _unresolved(error, states, rtol)))
            local, coarse = max(local / TIGHTER, SMALLEST), states
            states, reached = solve(local, absolute * local / rtol)
            error = jax.tree.map(lambda one, two: np.abs(one - two), states, coarse)
    if not reached:
        return Flow(states, error, Status(Outcome.DIVERGED, _stopped(states, moments, most)))
    return Flow(states, error, Status())


def check_times(times: ArrayLike) -> np.ndarray:
    """Return times as float64, or say what is wrong with them."""
    numbers = np.asarray(times, dtype=float)
    ordered = numbers.ndim == 1 and len(numbers) > 0 and np.isfinite(numbers).all() and (numbers >= 0).all()
    if not ordered or (np.diff(numbers) <= 0).any():
        raise ValueError(f"`times` must be a row of finite numbers, zero or more, that increase, got {times!r}.")
    return numbers


def _solve(
    field: Field,
    stiff: bool,
    max_steps: int,
    start: PyTree,
    times: Array,
    parameters: PyTree,
    *tolerances: float | None,
) -> tuple[PyTree, bool]:
    states, is_done = _program(field, stiff, max_steps, start, times, parameters, tolerances)
    states = jax.tree.map(lambda one: np.where(np.isfinite(one), one, np.nan), to_numpy(states))
    return states, bool(is_done) and all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(states))


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _program(
    field: Field, stiff: bool, max_steps: int, start: PyTree, times: Array, parameters: PyTree, tolerances: PyTree
) -> tuple[PyTree, Array]:
    try:
        import diffrax
    except ImportError as error:
        raise ImportError(INSTALL) from error
    longest, rtol, atol = tolerances
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(field),
        diffrax.Kvaerno5() if stiff else diffrax.Dopri8(),
        t0=jnp.zeros((), times.dtype),
        t1=jnp.maximum(times[-1], 1e-300),
        dt0=None,
        y0=start,
        args=parameters,
        saveat=diffrax.SaveAt(ts=times),
        stepsize_controller=diffrax.PIDController(rtol=rtol, atol=atol, dtmax=longest),
        max_steps=max_steps,
        throw=False,
    )
    return solution.ys, solution.result == diffrax.RESULTS.successful


def _within(error: PyTree, states: PyTree, rtol: float, atol: float) -> bool:
    pairs = zip(jax.tree.leaves(error), jax.tree.leaves(states), strict=True)
    return all(bool(np.all(off <= atol + rtol * np.abs(state))) for off, state in pairs)


def _unresolved(error: PyTree, states: PyTree, rtol: float) -> str:
    pairs = zip(jax.tree.leaves(error), jax.tree.leaves(states), strict=True)
    worst = max(float(np.max(off / np.maximum(np.abs(state), 1e-300))) for off, state in pairs)
    return f"The relative error is {worst:.1e} at the smallest step tolerance, above `rtol` = {rtol:.1e}: ask for less."


def _stopped(states: PyTree, times: np.ndarray, max_steps: int) -> str:
    finite = np.ones(len(times), bool)
    for leaf in jax.tree.leaves(states):
        finite &= np.isfinite(leaf).reshape(len(times), -1).all(axis=1)
    last = f"t = {times[finite][-1]:.4g}" if finite.any() else "the start"
    return f"The solver stopped after {last}: it blows up, is stiff, or needs more than `max_steps` = {max_steps}."

"""The verbs `flow` and `descend`: all layers by gradient flow or by gradient descent, for any inputs."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.flows.deep_linear.network import Task, as_arrays, checked, descent, field, losses
from dyntheory.flows.deep_linear.results import LinearPaths, paths_of
from dyntheory.flows.solving import check_times, solve_flow
from dyntheory.flows.stepping import along, lost_runs, told
from dyntheory.ground.arrays import Array, ArrayLike
from dyntheory.ground.checks import check_count, check_positive, check_scalar
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.precision import double_precision
from dyntheory.ground.status import Status


def flow(
    correlation: ArrayLike,
    weights: Sequence[ArrayLike],
    *,
    times: ArrayLike,
    covariance: ArrayLike | None = None,
    rtol: float = 1e-8,
    stiff: bool = False,
    max_steps: int = 100_000,
) -> LinearPaths:
    """Train a deep linear network by gradient flow on ½E|y − W_L ⋯ W_1 x|², whatever the start and the inputs.

    Scaling:
        Ẇ_l is minus the gradient of the loss with its half; t is learning rate times steps.

    Args:
        correlation: Σ_yx = E y xᵀ, (outputs, inputs); YᵀX/n of a data set makes it the training of that.
        weights: W_1, …, W_L at the start, W_l (units of layer l, units of layer l − 1).
        times: increasing, zero or later, (T,).
        covariance: C = E x xᵀ, (inputs, inputs); default the identity, whitened inputs.
        rtol: of the solution, relative to the largest entry of a layer at the start or of the target's.
        stiff: whether an implicit solver is needed.
        max_steps: of the solver.

    Returns:
        Products, losses, strengths and alignment of every mode, one run.

    Raises:
        ImportError: without diffrax.
        ValueError: shapes that do not match, entries that are not finite, or numbers outside their range.

    Example:
        >>> import numpy as np
        >>> found = flow(np.diag([3.0, 1.0]), [0.1 * np.eye(2)] * 2, times=[0.0, 1.5, 8.0])
        >>> found.strengths[0].round(2).tolist()
        [[0.01, 0.01], [2.89, 0.17], [3.0, 1.0]]

    Reference: `saxe2014exact`.
    """
    check_arguments(flow, locals())
    moments = check_times(times)
    task, layers = checked(correlation, weights, covariance)
    scale = max(float(np.linalg.norm(task.target, 2)) ** (1 / len(layers)), *(np.abs(one).max() for one in layers))
    absolute = rtol * (scale or 1.0)
    found = solve_flow(field, layers, moments, task, rtol=rtol, atol=absolute, stiff=stiff, max_steps=max_steps)
    error = max(float(np.nanmax(one, initial=0.0)) for one in found.error)
    provenance = {"kind": "flow", "rtol": float(rtol), "weight_error": error}
    return told(collected(moments, task, tuple(one[None] for one in found.states), provenance, found.status))


def descend(
    correlation: ArrayLike,
    weights: Sequence[ArrayLike],
    *,
    learning_rate: float,
    num_steps: int,
    covariance: ArrayLike | None = None,
) -> LinearPaths:
    """Train a deep linear network by gradient descent on the same loss; all states are kept.

    Scaling:
        That of `flow`: times are η times steps, and curves differ from the flow by O(η).

    Args:
        correlation: Σ_yx, (outputs, inputs).
        weights: W_1, …, W_L at the start.
        learning_rate: η; stable below 2/(L s^{2−2/L}) near a mode of strength s, whitened and balanced.
        num_steps: number of steps.
        covariance: C, (inputs, inputs); default the identity.

    Returns:
        As `flow`.

    Raises:
        ValueError: as `flow`.

    Example:
        >>> import numpy as np
        >>> found = descend(np.diag([3.0, 1.0]), [0.1 * np.eye(2)] * 2, learning_rate=0.02, num_steps=400)
        >>> found.strengths[0, -1].round(3).tolist()
        [3.0, 1.0]

    Reference: `saxe2014exact`.
    """
    check_arguments(descend, locals())
    check_scalar("learning_rate", learning_rate)
    check_positive("learning_rate", learning_rate)
    num_steps = check_count("num_steps", num_steps, minimum=0)
    task, layers = checked(correlation, weights, covariance)
    with double_precision():
        states = jax.device_get(_descended(num_steps, *as_arrays(task, layers), jnp.asarray(learning_rate)))
    times = float(learning_rate) * np.arange(num_steps + 1)
    states = tuple(one[None] for one in states)
    provenance = {"kind": "descent", "learning_rate": float(learning_rate)}
    return told(collected(times, task, states, provenance))


@functools.partial(jax.jit, static_argnums=0)
def _descended(num_steps: int, task: Task, layers: tuple[Array, ...], rate: Array) -> tuple[Array, ...]:
    def step(state: tuple[Array, ...]) -> tuple[Array, ...]:
        return tuple(one + rate * pull for one, pull in zip(state, descent(task, state), strict=True))

    return along(step, layers, num_steps)


def collected(
    times: np.ndarray,
    task: Task,
    states: tuple[np.ndarray, ...],
    provenance: dict[str, Any],
    status: Status | None = None,
) -> LinearPaths:
    """Return the result of states with axes of runs and times in front; by default the status says what diverged."""
    with double_precision():
        lost = np.asarray(losses(*as_arrays(task, states)))
    if status is None:  # a loss overflows before its layers do
        finite = np.all([np.isfinite(one).all(axis=(2, 3)) for one in states], axis=0)
        status = lost_runs(finite & np.isfinite(lost), "runs")
    with np.errstate(invalid="ignore", over="ignore"):
        return paths_of(times, states, lost, np.asarray(task.target), status, provenance)

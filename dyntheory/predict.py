"""The verb `predict`: learning curves in the limit n, d → ∞, with their numerical error. Nothing is trained."""

from __future__ import annotations

import math
import warnings

from dyntheory._checks import check_count, check_positive, check_scalar
from dyntheory._precision import double_precision
from dyntheory._typing import Key, Progress, PyTree
from dyntheory.first_layer import FirstLayer
from dyntheory.gaussian.nodes import NUM_BLOCKS
from dyntheory.law import TeacherStudent
from dyntheory.limit_solver import solve_on_nodes
from dyntheory.matrix.limit import num_columns
from dyntheory.method import GeneralFirstOrderMethod, feature_map_is_linear
from dyntheory.outcome import finish, relative_errors
from dyntheory.problem import PreparedProblem, check_problem, prepare
from dyntheory.status import DyntheoryWarning
from dyntheory.trajectory import Trajectory

MIN_NODES = 2**14
NODES_PER_COLUMN = 6
CONVERGENCE_RATE = 0.6


def predict(
    law: TeacherStudent,
    method: GeneralFirstOrderMethod,
    *,
    num_steps: int,
    key: Key,
    head: PyTree = None,
    first_layer: FirstLayer | None = None,
    rtol: float | None = None,
    num_nodes: int | None = None,
    num_heads: int = 1,
    keep_preactivations: bool | None = None,
    max_nodes: int = 2**18,
    progress: Progress | None = None,
) -> Trajectory:
    """Predict the learning curves of `method` on `law` without training.

    Computes in float64 whatever the global flag and returns NumPy arrays.

    Args:
        law: what the data are.
        method: what the algorithm is; its feature map must be linear (SGD, momentum, Nesterov, weight decay,
            schedules).
        num_steps: T, zero or more; T + 1 states are reported.
        key: `jax.random.key(seed)`; decides the head and the node set.
        head: the initial head; default one draw from `key`, the same in `simulate`.
        first_layer: moments of the initial first layer, or a given draw; default independent standard entries.
        rtol: accuracy wanted for train and test error at every step, relative to the larger of the value and 1e-3 of
            its initial value; nodes are doubled until the reported error meets it or `max_nodes` is reached.
        num_nodes: N, a power of two; default 2^14 or what the number of steps and units asks for.
        num_heads: average the curves over that many draws of the head.
        keep_preactivations: keep samples of the limit law of preactivations; default while they are below 64 MB.
        max_nodes: budget for `rtol`.
        progress: called with (fraction done, what is being done).

    Returns:
        Curves with `standard_error` (numerical, one sigma), `status`, `assumptions`, `provenance`.

    Raises:
        TypeError: an argument of the wrong kind.
        ValueError: a number outside its range, or a method that this engine cannot predict.

    Example:
        >>> import jax, optax, dyntheory as dt
        >>> method = dt.gradient_descent(dt.LinearModel(), optax.sgd, learning_rate=0.3)
        >>> theory = dt.predict(dt.TeacherStudent(2.0, noise_std=0.3), method, num_steps=5, key=jax.random.key(0))
        >>> round(float(theory.test_error[0]), 6)
        2.09

    Reference: `han2025precise`.
    """
    check_problem(law, method, first_layer, num_steps, key, num_heads)
    if rtol is not None:
        check_scalar("rtol", rtol)
        check_positive("rtol", rtol)
    check_count("max_nodes", max_nodes)
    report = progress or (lambda fraction, text: None)
    with double_precision():
        problem = prepare(law, method, key, head=head, first_layer=first_layer, num_heads=num_heads)
        _check_linear(problem, num_steps)
        size = _first_size(problem, num_steps, num_nodes)
        while True:
            result = solve_on_nodes(problem, key, num_steps, size, keep_preactivations, report)
            larger = _next_size(size, float(relative_errors(result).max()), rtol, max_nodes)
            if larger is None:
                break
            size = larger
    result = finish(result, rtol)
    if not result.status.ok:
        warnings.warn(str(result.status), DyntheoryWarning, stacklevel=2)
    return result


def _check_linear(problem: PreparedProblem, num_steps: int) -> None:
    if not feature_map_is_linear(problem.method, problem.heads[0], num_steps=num_steps):
        raise ValueError(
            f"predict needs a first-layer optimizer whose update is linear in gradients and weights (SGD, momentum, "
            f"Nesterov, weight decay, schedules); {problem.method.description or problem.method.name} is not. "
            "`simulate` runs it; `head_optimizer` may be anything."
        )


def _first_size(problem: PreparedProblem, num_steps: int, num_nodes: int | None) -> int:
    law, method = problem.law, problem.method
    columns = num_columns(num_steps, method.num_units, law.num_teacher_units, law.num_outputs)
    if num_nodes is None:
        wanted = max(MIN_NODES, NUM_BLOCKS * NODES_PER_COLUMN * columns)
        return 2 ** math.ceil(math.log2(wanted))
    check_count("num_nodes", num_nodes)
    if num_nodes & (num_nodes - 1):
        raise ValueError(f"`num_nodes` must be a power of two, got {num_nodes}.")
    if num_nodes < 2 * NUM_BLOCKS * columns:
        raise ValueError(
            f"`num_nodes` must be at least {2 ** math.ceil(math.log2(2 * NUM_BLOCKS * columns))} for {num_steps} steps "
            f"and {method.num_units} units ({columns} directions on each of {NUM_BLOCKS} sub-nets), got {num_nodes}."
        )
    return num_nodes


def _next_size(size: int, reached: float, rtol: float | None, max_nodes: int) -> int | None:
    """Return the next number of nodes, or None when the accuracy or the budget is reached."""
    if rtol is None or reached <= rtol or 2 * size > max_nodes or not math.isfinite(reached):
        return None
    doublings = max(1, math.ceil(math.log2(reached / rtol) / CONVERGENCE_RATE))
    return min(2 ** math.floor(math.log2(max_nodes)), size * 2**doublings)

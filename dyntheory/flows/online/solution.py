"""One start solved: the flow at two tolerances and, on nodes, on fewer of them; differences are the errors."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import numpy as np

from dyntheory.flows.online.equations import error_of, field_of
from dyntheory.flows.online.model import CLOSED, GRID, NET, Model
from dyntheory.flows.online.on_nodes import Nodes, grids, has_grid, nets
from dyntheory.flows.online.prepared import Prepared, longest_step
from dyntheory.flows.online.results import ORDER_PARAMETERS, OnlineTrajectory
from dyntheory.flows.solving import solve_flow
from dyntheory.gaussian.sub_nets import standard_error
from dyntheory.ground.arrays import Array, PyTree
from dyntheory.ground.linear_algebra import rank_aware_cholesky
from dyntheory.ground.precision import as_double
from dyntheory.ground.status import Status
from dyntheory.results.judgement import heavy_tail

COARSER = 10.0
RTOL = {CLOSED: 1e-8, GRID: 1e-6, NET: 1e-6}
NAMES = {"weight": "weight_overlap", "teacher": "teacher_overlap", "head": "head"}
Values = dict[str, np.ndarray]


class Solver(NamedTuple):
    """How averages are taken, on which nodes and on which fewer ones, and the tolerance."""

    how: str
    nodes: Nodes | None
    fewer: list[Nodes]
    rtol: float | None = None

    @property
    def tolerance(self) -> float:
        """Of order parameters."""
        return RTOL[self.how] if self.rtol is None else self.rtol


def nodes_of(model: Model, num_nodes: int, seed: int) -> tuple[str, Nodes | None, list[Nodes]]:
    """Return how averages are taken, the nodes, and fewer of them for the error."""
    if model.kind is not None:
        return CLOSED, None, []
    if has_grid(model):
        return (GRID, *grids(model))
    return (NET, *nets(model, num_nodes, seed))


def label_tail(one: Prepared, solver: Solver) -> Status:
    """Return whether few Sobol nodes carry E y²: then error bars may be too small."""
    if solver.nodes is None or solver.how != NET:
        return Status()
    r = one.model.num_teacher_units
    z = rank_aware_cholesky(one.joint[:r, :r]) @ solver.nodes.points[:r]
    return heavy_tail(np.asarray(one.model.clean_labels(z.T)), np.asarray(solver.nodes.weights))


def solve(one: Prepared, joint: Array, solver: Solver) -> OnlineTrajectory:
    """Return the result from one start, the Gram matrix of (w*, w), without a verdict on it."""
    values, rough, status = _flow(one, joint, solver.nodes, solver.tolerance)
    coarse, _, _ = _flow(one, joint, solver.nodes, COARSER * solver.tolerance)
    errors = {name: np.abs(values[name] - coarse[name]) + rough.get(name, 0.0) for name in values}
    if solver.fewer:
        others = [_flow(one, joint, fewer, solver.tolerance)[0] for fewer in solver.fewer]
        missed = {name: missed_by(values[name], np.stack([other[name] for other in others])) for name in values}
        errors = {name: np.hypot(errors[name], missed[name]) for name in values}
    r = one.model.num_teacher_units
    teacher = np.asarray(joint)[:r, :r]
    count = None if solver.nodes is None else len(solver.nodes.weights)
    return OnlineTrajectory(
        one.times,
        **_reported(values, one.noise_std),
        teacher_moment=teacher,
        standard_error=OnlineTrajectory(one.times, **_reported(errors, 0.0), teacher_moment=np.zeros_like(teacher)),
        status=status,
        provenance={"kind": "prediction", **one.told, "averages": solver.how, "num_nodes": count},
    )


def _reported(values: Values, noise_std: float) -> dict[str, Any]:
    named = {name: values[name] for name in ORDER_PARAMETERS if name in values}
    return {"excess_error": values["excess_error"], "test_error": values["excess_error"] + noise_std**2, **named}


def missed_by(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the error told by fewer nodes: of one coarser grid the difference, of sub-nets their spread and shift."""
    if len(others) == 1:
        return np.abs(values - others[0])
    return standard_error(values, others, relative=False)


def _flow(one: Prepared, joint: Array, nodes: Nodes | None, rtol: float) -> tuple[Values, Values, Status]:
    """Return values, errors of order parameters and rounding of the error, and how the flow ended."""
    r = one.model.num_teacher_units
    numbers = one.numbers | {"teacher_moment": joint[:r, :r], "nodes": nodes}
    start = {"weight": joint[r:, r:], "teacher": joint[r:, :r], "head": one.head}
    longest = None if one.model.schedule is None else longest_step(one.times)
    flow = solve_flow(field_of(one.model), start, one.times, numbers, rtol=min(rtol, 0.1), max_step=longest)
    excess, rounding = (np.asarray(found) for found in _errors(one.model, as_double(flow.states), as_double(numbers)))
    values = {NAMES[name]: value for name, value in flow.states.items()} | {"excess_error": excess}
    errors = {NAMES[name]: value for name, value in flow.error.items()} | {"excess_error": rounding}
    return values, errors, flow.status


@functools.partial(jax.jit, static_argnums=0)
def _errors(model: Model, states: PyTree, numbers: PyTree) -> tuple[Array, Array]:
    return jax.lax.map(lambda state: error_of(model, state, numbers), states)

"""One solution of the limit, in pieces of a few steps that the host drives.

Between two pieces the host makes the next noise coordinates, makes room in the basis, reports progress and may save.
All pieces have the same length, so they share one program for each size of the basis; the basis grows a fixed number of
times, so compiling does not take longer for longer runs.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory._typing import Array, PyTree
from dyntheory.devices import NodeSharding, gathered, spread
from dyntheory.dynamics import Carry, Keep, Problem, Records, Start, advance, begin, grow, no_uniforms
from dyntheory.gaussian.nodes import NodeSet, teacher_rows
from dyntheory.gaussian.sobol import SobolNet, normals
from dyntheory.law import TeacherStudent
from dyntheory.matrix.limit import keep_rows, limit_matrix, num_dimensions, rows_in_use, with_reserve
from dyntheory.matrix.revealed import Revealed, RevealedMatrix
from dyntheory.method import GeneralFirstOrderMethod
from dyntheory.population import population_metrics
from dyntheory.state_evolution import LimitCurves

PIECE = 25
MAX_GROWTHS = 8
ROWS_PER_SIZE = 256


class LimitProblem(NamedTuple):
    """What is solved: one law, one method, one head."""

    law: TeacherStudent
    method: GeneralFirstOrderMethod
    head: PyTree
    joint_second_moment: Array
    drop_below: Array | float = 0.0


class Plan(NamedTuple):
    """How a run is cut: `num_pieces` of `length` steps, room being made for `per_growth` pieces at a time."""

    num_pieces: int
    length: int
    per_growth: int

    @property
    def num_steps(self) -> int:
        """Steps of all pieces, a few more than asked for when they do not divide."""
        return self.num_pieces * self.length


class State(NamedTuple):
    """A run between two pieces: all that is needed to go on, and what was recorded."""

    pieces_done: int
    num_pieces: int
    problem: Problem
    carry: Carry
    records: list[Records]

    @property
    def fraction(self) -> float:
        """How much of the run is done."""
        return self.pieces_done / max(self.num_pieces, 1)


def plan(num_steps: int) -> Plan:
    """Return how a run of that many steps is cut."""
    count = math.ceil(num_steps / PIECE)
    length = math.ceil(num_steps / count) if count else 0
    return Plan(count, length, math.ceil(count / MAX_GROWTHS) if count else 0)


def net_dimensions(law: TeacherStudent, method: GeneralFirstOrderMethod, num_steps: int) -> int:
    """Return how many coordinates the net of a run needs."""
    return num_dimensions(plan(num_steps).num_steps, method.num_units, law.num_teacher_units, law.num_outputs)


def solve(
    problem: LimitProblem,
    net: SobolNet,
    test_nodes: NodeSet,
    *,
    num_steps: int,
    keep_preactivations: bool = False,
    sharding: NodeSharding | None = None,
    after_piece: Callable[[State], None] = lambda state: None,
    take_up: Callable[[State], State] = lambda first: first,
) -> LimitCurves:
    """Return the limit of training on the points of `net`; call inside `double_precision`.

    Args:
        problem: law, method, head and moments.
        net: `net_dimensions(law, method, num_steps)` dimensions, the first r of them the teacher's.
        test_nodes: for the population metrics.
        num_steps: T.
        keep_preactivations: record h^t on the nodes.
        sharding: how nodes are spread over devices; default all on one.
        after_piece: called between pieces with the run so far; may raise to stop.
        take_up: given the first state, returns the one from which to go on.
    """
    cut, keep = plan(num_steps), Keep(preactivations=keep_preactivations)
    state = take_up(_first_state(problem, net, cut, keep, sharding))
    while state.pieces_done < cut.num_pieces:
        state = _next_piece(problem, net, cut, keep, state, sharding)
        after_piece(state)
    stacked = jax.tree.map(lambda *leaves: np.concatenate(leaves)[: num_steps + 1], *state.records)
    records = stacked._replace(labels=gathered(state.problem.labels))
    test = _test_metrics(problem.law, problem.method, records.gram, records.head, test_nodes)
    return LimitCurves(records, *gathered(test))


def _first_state(problem: LimitProblem, net: SobolNet, cut: Plan, keep: Keep, sharding: NodeSharding | None) -> State:
    law, method = problem.law, problem.method
    r = law.num_teacher_units
    by_row, by_node = (None, None) if sharding is None else sharding
    values, weights = teacher_rows(net.rows(0, r))
    teacher, weights = spread(values, by_row), spread(weights, by_node)
    others = normals(net.rows(r, r + law.num_outputs + method.num_units), by_row)
    fixed, carry, record = _begin(problem, teacher, others, weights, num_steps=cut.num_steps, keep=keep)
    return State(0, cut.num_pieces, fixed, carry, [gathered(record)])


def _next_piece(
    problem: LimitProblem, net: SobolNet, cut: Plan, keep: Keep, state: State, sharding: NodeSharding | None
) -> State:
    law, k = problem.law, problem.method.num_units
    done = state.pieces_done * cut.length
    carry = state.carry
    if state.pieces_done % cut.per_growth == 0:
        room = min(cut.per_growth, cut.num_pieces - state.pieces_done) * cut.length
        carry = _grow(state.problem, _compact(problem, state, room), num_steps=room)
    start = law.num_teacher_units + law.num_outputs + k * (done + 1)
    noise = normals(net.rows(start, start + k * cut.length), None if sharding is None else sharding.rows)
    first = law.num_teacher_units + k * (done + 1)
    carry, records = _advance(state.problem, carry, noise, first, num_steps=cut.length, keep=keep)
    return state._replace(pieces_done=state.pieces_done + 1, carry=carry, records=[*state.records, gathered(records)])


def _compact(problem: LimitProblem, state: State, room: int) -> Carry:
    """Return the carry without the directions that were dropped, in one of a few sizes so that programs are shared.

    Raises:
        ValueError: the directions do not fit the nodes.
    """
    carry = state.carry
    revealed: Revealed = carry.matrix_state
    if not float(problem.drop_below):
        return carry
    used = np.flatnonzero(gathered(_rows_in_use(revealed)))
    num_nodes = revealed.samples.space.basis.shape[1]
    wanted = len(used) + 2 * problem.method.num_units * room
    if 2 * wanted > num_nodes:
        raise ValueError(
            f"After {state.pieces_done} of {state.num_pieces} pieces the run needs room for {wanted} directions, more "
            f"than half of {num_nodes} nodes (of a sub-net): raise `num_nodes` or `drop_below`."
        )
    size = min(-(-len(used) // ROWS_PER_SIZE) * ROWS_PER_SIZE, revealed.samples.space.basis.shape[0])
    places = np.concatenate([used, np.full(size - len(used), used[-1])])
    matrix_state = _keep_rows(state.problem, revealed, places, np.asarray(len(used)))
    return carry._replace(matrix_state=matrix_state)


@jax.jit
def _rows_in_use(revealed: Revealed) -> Array:
    return rows_in_use(revealed)


@jax.jit
def _keep_rows(problem: Problem, revealed: Revealed, places: Array, count: Array) -> Revealed:
    return keep_rows(cast(RevealedMatrix, problem.matrix), revealed, places, count)


# It runs once and takes longer to compile than to run.
@functools.partial(
    jax.jit, static_argnames=("num_steps", "keep"), compiler_options={"xla_backend_optimization_level": "0"}
)
def _begin(
    problem: LimitProblem, teacher: Array, others: Array, weights: Array, *, num_steps: int, keep: Keep
) -> tuple[Problem, Carry, Records]:
    law = problem.law
    start = limit_matrix(
        NodeSet(jnp.concatenate([teacher, others]), weights),
        problem.joint_second_moment,
        jnp.asarray(law.samples_per_feature),
        num_teacher_units=law.num_teacher_units,
        num_outputs=law.num_outputs,
        num_steps=num_steps,
        drop_below=problem.drop_below,
    )
    rows = Start(
        teacher_weights=start.teacher_weights,
        weights=start.weights,
        label_noise=start.label_noise,
        head=problem.head,
        samples_per_feature=jnp.asarray(law.samples_per_feature),
    )
    fixed, carry, record = begin(law, problem.method, start.matrix, rows, keep)
    return fixed, carry, jax.tree.map(lambda leaf: leaf[None], record)


@functools.partial(jax.jit, static_argnames=("num_steps",))
def _grow(problem: Problem, carry: Carry, *, num_steps: int) -> Carry:
    return grow(problem, carry, num_steps=num_steps)


@functools.partial(jax.jit, static_argnames=("num_steps", "keep"), donate_argnames=("carry",))
def _advance(
    problem: Problem, carry: Carry, noise: Array, first: Any, *, num_steps: int, keep: Keep
) -> tuple[Carry, Records]:
    problem = problem._replace(matrix=with_reserve(cast(RevealedMatrix, problem.matrix), noise, jnp.asarray(first)))
    return advance(problem, carry, no_uniforms(problem, num_steps), keep, num_steps=num_steps)


@jax.jit
def _test_metrics(
    law: TeacherStudent, method: GeneralFirstOrderMethod, gram: Array, head: PyTree, test_nodes: NodeSet
) -> tuple[Array, Array]:
    return population_metrics(law, method, gram, head, test_nodes)

"""One solution of the limit, in pieces of a few steps that the host drives.

Between two pieces the host makes the next noise coordinates, makes room in the basis, reports progress and may save.
All pieces have the same length, so they share one program for each size of the basis. The basis grows a fixed number of
times or, where directions are dropped, by multiples of a fixed size: compiling does not take longer for longer runs.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.dynamics.curves import Curves
from dyntheory.dynamics.generalization import population_metrics
from dyntheory.dynamics.loop import Carry, Fixed, Records, Start, advance, begin, grow
from dyntheory.dynamics.observables import Record
from dyntheory.gaussian.nodes import NodeSet
from dyntheory.ground.arrays import Array, Key, PyTree
from dyntheory.ground.compiling import compiled
from dyntheory.ground.devices import NodeSharding, gathered
from dyntheory.matrix.limit import Reserve, bare, keep_rows, limit_matrix, rows_in_use, split_noise, with_reserve
from dyntheory.matrix.nodes_side import NodeSide
from dyntheory.matrix.revealed import Half, Revealed
from dyntheory.problem.laws.law import TeacherStudent
from dyntheory.problem.methods.method import GeneralFirstOrderMethod
from dyntheory.verbs.prediction.coordinates import FirstNodes, Nets, NextRows, draw_nets, first_nodes, next_rows

PIECE = 25
MAX_GROWTHS = 8
ROWS_PER_SIZE = 256


class LimitProblem(NamedTuple):
    """What is solved: one law, one method, one head; the rows of a draw, where one is given."""

    law: TeacherStudent
    method: GeneralFirstOrderMethod
    head: PyTree
    joint_second_moment: Array
    drop_below: Array | float = 0.0
    draw: tuple[Array, Array] | None = None


class Cut(NamedTuple):
    """How a run is cut: `num_pieces` of `length` steps, room being made for `per_growth` pieces at a time.

    `is_brief` says that it is over before a good program would be compiled.
    """

    num_pieces: int
    length: int
    per_growth: int
    is_brief: bool = False

    @property
    def num_steps(self) -> int:
        """Steps of all pieces, a few more than asked for when they do not divide."""
        return self.num_pieces * self.length


class State(NamedTuple):
    """A run between two pieces: all that is needed to go on, and what was recorded."""

    pieces_done: int
    num_pieces: int
    fixed: Fixed
    carry: Carry
    records: list[Records]

    @property
    def fraction(self) -> float:
        """How much of the run is done."""
        return self.pieces_done / max(self.num_pieces, 1)


def cut_of(num_steps: int, *, drops: bool = False) -> Cut:
    """Return how a run of that many steps is cut; one that drops directions makes room for a single piece at a time."""
    count = math.ceil(num_steps / PIECE)
    length = math.ceil(num_steps / count) if count else 0
    return Cut(count, length, min(1, count) if drops else math.ceil(count / MAX_GROWTHS))


def nets_for(
    law: TeacherStudent,
    method: GeneralFirstOrderMethod,
    *,
    num_steps: int,
    num_nodes: int,
    key: Key,
    has_feature_nodes: bool = False,
) -> Nets:
    """Return the nets of a run, long enough for its pieces.

    Raises:
        ValueError: more dimensions than Sobol points have.
    """
    steps = cut_of(num_steps).num_steps
    return draw_nets(law, method, num_steps=steps, num_nodes=num_nodes, key=key, has_feature_nodes=has_feature_nodes)


def solve(
    problem: LimitProblem,
    nets: Nets,
    test_nodes: NodeSet,
    *,
    num_steps: int,
    record: Record = (),
    sharding: NodeSharding | None = None,
    is_brief: bool = False,
    after_piece: Callable[[State], None] = lambda state: None,
    take_up: Callable[[State], State] = lambda first: first,
) -> Curves:
    """Return the limit of training on the points of `nets`; call inside `double_precision`.

    Args:
        problem: law, method, head and moments.
        nets: from `nets_for`; with a net of the features any row-wise feature map, without it a linear one.
        test_nodes: for the population metrics.
        num_steps: T.
        record: what is recorded beside the curves, see `dyntheory.dynamics.observables`.
        sharding: how nodes are spread over devices; default all on one.
        is_brief: whether this and all that belongs to it is over before a good program would be compiled.
        after_piece: called between pieces with the run so far; may raise to stop.
        take_up: given the first state, returns the one from which to go on.
    """
    cut = cut_of(num_steps, drops=float(problem.drop_below) > 0)._replace(is_brief=is_brief)
    state = take_up(_first_state(problem, nets, cut, record, sharding))
    while state.pieces_done < cut.num_pieces:
        state = _next_piece(problem, nets, cut, record, state, sharding)
        after_piece(state)
    stacked = jax.tree.map(lambda *leaves: np.concatenate(leaves)[: num_steps + 1], *state.records)
    records = stacked._replace(labels=gathered(state.fixed.labels))
    test = _test_metrics(problem.law, problem.method, records.gram, records.head, test_nodes)
    return Curves(records, *gathered(test))


def _first_state(problem: LimitProblem, nets: Nets, cut: Cut, record: Record, sharding: NodeSharding | None) -> State:
    nodes = first_nodes(nets, problem.law, problem.method, sharding)
    fixed, carry, first = _begin(problem, nodes, num_steps=cut.num_steps, record=record)
    return State(0, cut.num_pieces, fixed, carry, [gathered(first)])


def _next_piece(
    problem: LimitProblem, nets: Nets, cut: Cut, record: Record, state: State, sharding: NodeSharding | None
) -> State:
    done = state.pieces_done * cut.length
    rows = next_rows(nets, problem.law, problem.method, (done, done + cut.length), sharding)
    carry = state.carry
    if state.pieces_done % cut.per_growth == 0:
        room = min(cut.per_growth, cut.num_pieces - state.pieces_done) * cut.length
        carry = _compact(problem, state, room)
        carry = _grow(state.fixed, carry, rows, done, num_steps=room, length=cut.length)
    advance_by = _ADVANCE[cut.is_brief]
    carry, records = advance_by(state.fixed, carry, rows, done, num_steps=cut.length, record=record)
    return state._replace(pieces_done=state.pieces_done + 1, carry=carry, records=[*state.records, gathered(records)])


def _compact(problem: LimitProblem, state: State, room: int) -> Carry:
    """Return the carry without the directions that were dropped, in one of a few sizes so that programs are shared.

    Raises:
        ValueError: the directions do not fit the nodes.
    """
    carry = state.carry
    if not float(problem.drop_below):
        return carry
    revealed, matrix = carry.matrix_state, bare(state.fixed.matrix)
    for name in Revealed._fields:
        side, half = getattr(matrix, name), getattr(revealed, name)
        if isinstance(side, NodeSide):
            wanted = 2 * problem.method.num_units * room
            revealed = revealed._replace(**{name: _compact_half(side, half, wanted, state)})
    return carry._replace(matrix_state=revealed)


def _compact_half(side: NodeSide, half: Half, room: int, state: State) -> Half:
    """Return one half without the directions that were dropped, if there is then room for so many more."""
    used = np.flatnonzero(gathered(_rows_in_use(half)))
    capacity, num_nodes = half.space.basis.shape
    if 2 * (len(used) + room) > num_nodes:
        raise ValueError(
            f"After {state.pieces_done} of {state.num_pieces} pieces the run needs room for {len(used) + room} "
            f"directions, more than half of {num_nodes} nodes (of a sub-net): raise `num_nodes` or `drop_below`."
        )
    size = min(-(-len(used) // ROWS_PER_SIZE) * ROWS_PER_SIZE, capacity)
    places = np.concatenate([used, np.full(size - len(used), used[-1])])
    return _keep_rows(side, half, places, np.asarray(len(used)))


_rows_in_use = compiled(rows_in_use, fast=True)
_keep_rows = compiled(keep_rows, fast=True)


@functools.partial(compiled, fast=True, static_argnames=("num_steps", "record"))
def _begin(problem: LimitProblem, nodes: FirstNodes, *, num_steps: int, record: Record) -> tuple[Fixed, Carry, Records]:
    law = problem.law
    start = limit_matrix(
        law,
        problem.joint_second_moment,
        nodes.samples,
        num_steps=num_steps,
        feature_nodes=nodes.features,
        draw=problem.draw,
        drop_below=problem.drop_below,
    )
    rows = Start(
        teacher_weights=start.teacher_weights,
        weights=start.weights,
        label_noise=start.label_noise,
        head=problem.head,
        samples_per_feature=jnp.asarray(law.samples_per_feature),
    )
    fixed, carry, first = begin(law, problem.method, start.matrix, rows, record)
    return fixed, carry, jax.tree.map(lambda leaf: leaf[None], first)


@functools.partial(compiled, fast=True, static_argnames=("num_steps", "length"))
def _grow(fixed: Fixed, carry: Carry, rows: NextRows, done: Any, *, num_steps: int, length: int) -> Carry:
    return grow(_at_step(fixed, rows, done, length)[0], carry, num_steps=num_steps)


def _advance(
    fixed: Fixed, carry: Carry, rows: NextRows, done: Any, *, num_steps: int, record: Record
) -> tuple[Carry, Records]:
    fixed, uniforms = _at_step(fixed, rows, done, num_steps)
    return advance(fixed, carry, uniforms, record, num_steps=num_steps)


_ADVANCE = {
    is_brief: compiled(_advance, fast=is_brief, static_argnames=("num_steps", "record"), donate_argnames=("carry",))
    for is_brief in (False, True)
}


def _at_step(fixed: Fixed, rows: NextRows, done: Any, length: int) -> tuple[Fixed, tuple[Array, Array]]:
    """Return the problem with the innovations of the next steps, and the uniforms of both maps."""
    method, matrix = fixed.method, bare(fixed.matrix)
    k = method.num_units
    innovations, sample_uniforms = split_noise(rows.samples, length, k, method.sample_noise)
    samples = Reserve(innovations, jnp.asarray(matrix.num_first_vectors + k * (done + 1)))
    features, feature_uniforms = None, jnp.zeros((length, fixed.teacher_weights.shape[0], 0))
    if rows.features is not None:
        innovations, feature_uniforms = split_noise(rows.features, length, k, method.feature_noise)
        features = Reserve(innovations, jnp.asarray(k * done))
    changed = with_reserve(cast(Any, fixed.matrix), samples, features)
    return fixed._replace(matrix=changed), (sample_uniforms, feature_uniforms)


def structure_between(first: State) -> Any:
    """Return the tree structure of carry and records between two pieces.

    The first carry has another one: a side on nodes still holds the first question, of r + k columns.
    """
    found: list[Any] = []

    def grown(carry: Carry) -> None:
        found.append(jax.tree.structure((grow(first.fixed, carry, num_steps=1), first.records[0])))

    jax.eval_shape(grown, first.carry)
    return found[0]


@functools.partial(compiled, fast=True)
def _test_metrics(
    law: TeacherStudent, method: GeneralFirstOrderMethod, gram: Array, head: PyTree, test_nodes: NodeSet
) -> tuple[Array, Array]:
    return population_metrics(law, method, gram, head, test_nodes)

"""Every number of a law, a method, a head and a moment that `jax.grad` can reach: a right derivative, or a refusal.

Derivatives through the core are held against wide-step central differences (Richardson of two widths) on eight node
sets, whose spread is the error of both: what differentiates along nodes agrees to the order of the step, what moves
weights of nodes agrees in the mean.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dyntheory as dt
from dyntheory.gaussian.nodes import NodeSet, draw_nodes
from dyntheory.ground.precision import as_double, double_precision
from dyntheory.problem.laws.first_layer import joint_second_moment
from dyntheory.problem.methods.linearity import feature_map_is_linear
from dyntheory.problem.shape import Shape
from tests import fast_compiling, registry
from tests.registry import HEADLESS, LAWS, LOSSES, NETWORKS, OPTIMIZERS, PERTURBATIONS, Row, can_exist

STEPS, NODES, NETS, WIDTH = 2, (2**9, 2**14), 8, 0.02  # more nodes where few cannot tell
ON_SIMPLEX = ("probabilities", "shares")
REFUSED = ("['fraction']", "['rate']")


class Reached(NamedTuple):
    """A number, or an array of them, with a direction in which it may move."""

    name: str
    place: int
    direction: np.ndarray


def _problem(row: Row) -> Any:
    """Return (law, method, head) with every number in double precision."""
    method = as_double(row.make())
    head = as_double(method.init_head(jax.random.key(3)))
    return as_double(row.labelled.law), method, head


def _directions(problem: Any) -> list[Reached]:
    """Return a direction for every leaf: of its own size; a simplex is not left, a matrix stays symmetric."""
    random, found = np.random.default_rng(5), []
    for place, (path, leaf) in enumerate(jax.tree_util.tree_leaves_with_path(problem)):
        name, value = jax.tree_util.keystr(path), np.asarray(leaf)
        factors = random.uniform(0.5, 1.0, value.shape)
        if "second_moment" in name:
            factors = (factors + factors.T) / 2
        direction = value * factors
        if "teacher_prior" in name and np.any(value == 0) and ON_SIMPLEX[0] in name:
            continue  # No node stands for a component of probability zero: NaN, see test_mixture_nodes.
        if any(one in name for one in ON_SIMPLEX):
            direction = value * (factors - np.sum(value * factors))
        if np.any(direction):
            found.append(Reached(name, place, direction))
    return found


def _stacked(count: int, dimensions: int, heavy: int, seed: int) -> NodeSet:
    drawn = [draw_nodes(count, dimensions, num_heavy=heavy, seed=seed + i) for i in range(NETS)]
    return NodeSet(np.stack([one.coordinates for one in drawn]), np.stack([one.weights for one in drawn]))


def _nodes(count: int, law: dt.TeacherStudent, method: dt.GeneralFirstOrderMethod, head: Any) -> tuple[NodeSet, ...]:
    shape, r = Shape.of(law, method, STEPS), law.num_teacher_units
    found = _stacked(count, shape.sample_dimensions, r, 0), _stacked(count, shape.test_dimensions, r, 100)
    if feature_map_is_linear(method, head):
        return found
    return (*found, _stacked(count, shape.feature_dimensions, 0, 200))


def _along(problem: Any, start: str, reached: list[Reached]) -> Callable[..., Any]:
    """Return (moves, numbers, nodes) -> curves, where move i goes along direction i from the numbers of the problem.

    The start follows the law: a w⁰ that w* determines stays so, and no rank changes.
    """
    structure = jax.tree.structure(problem)

    def curves(moves: jax.Array, leaves: list[jax.Array], nodes: tuple[NodeSet, ...]) -> jax.Array:
        moved = list(leaves)
        for move, one in zip(moves, reached, strict=True):
            moved[one.place] = moved[one.place] + move * one.direction
        law, method, head = jax.tree.unflatten(structure, moved)
        layer = registry.start(start, law, method.num_units)
        moment = joint_second_moment(layer, law.teacher_moment, method.num_units)
        features = nodes[2] if len(nodes) > 2 else None
        solved = dt.state_evolution(law, method, head, moment, *nodes[:2], num_steps=STEPS, feature_nodes=features)
        return jnp.concatenate([solved.test_loss, solved.records.train_error, solved.records.gram[-1].ravel()])

    return curves


def _refusals(problem: Any, start: str, reached: list[Reached], nodes: Any) -> dict[str, str]:
    """Return why derivatives are refused, by name, nothing for those that are not; traced, not computed."""
    leaves, one = jax.tree.leaves(problem), jax.tree.map(lambda leaf: leaf[0], nodes)

    def reason(some: list[Reached]) -> str:
        curves, zero = _along(problem, start, some), jnp.zeros(len(some))
        try:
            jax.eval_shape(lambda t: jax.jvp(lambda t: curves(t, leaves, one), (t,), (jnp.ones_like(t),))[1], zero)
        except ValueError as error:
            assert "cannot be differentiated" in str(error)
            return str(error)
        return ""

    return {each.name: reason([each]) for each in reached} if reason(reached) else {}


def _check(row: Row) -> set[str]:
    """Check every number of a row; return the names of those that are differentiated."""
    with double_precision():
        problem = _problem(row)
        reached, nodes = _directions(problem), _nodes(NODES[0], *problem)
        assert not jax.tree.leaves(problem) or reached
        reasons = _refusals(problem, row.start, reached, nodes)
        kept = [one for one in reached if not reasons.get(one.name)]
        if kept:
            curves, leaves = _along(problem, row.start, kept), jax.tree.leaves(problem)
            assert any(_compare(curves, leaves, _nodes(count, *problem), len(kept), str(row)) for count in NODES), row
    return {one.name for one in kept}


def _compare(curves: Callable[..., Any], leaves: list[Any], nodes: Any, count: int, what: str) -> bool:
    """Compare derivatives and differences; return whether their errors are small enough to tell."""

    def both(moves: jax.Array, along: jax.Array, leaves: list[Any], nodes: Any) -> tuple[jax.Array, jax.Array]:
        return jax.jvp(lambda t: curves(t, leaves, nodes), (moves,), (along,))

    program = jax.jit(
        jax.vmap(jax.vmap(both, (None, None, None, 0)), (0, 0, None, None)),
        compiler_options=fast_compiling.options(),
    )
    unit, offsets = np.eye(count), (0.0, -2.0, -1.0, 1.0, 2.0)
    moves = np.concatenate([WIDTH * offset * unit for offset in offsets])
    values, slopes = (np.asarray(x) for x in program(moves, np.tile(unit, (len(offsets), 1)), leaves, nodes))
    derivative = slopes[:count]
    far, near, after, beyond = values[count:].reshape(4, count, *values.shape[1:])
    difference = (8 * (after - near) - (beyond - far)) / (12 * WIDTH)
    gap = difference - derivative
    error = gap.std(axis=1, ddof=1) / np.sqrt(NETS)
    size = np.abs(difference).mean(axis=1)
    scale = np.maximum(size, 0.02 * np.abs(values[:count]).mean(axis=1))
    assert np.isfinite(derivative).all(), what
    excess = np.abs(gap.mean(axis=1)) - 5 * error - 2e-3 * scale
    assert (excess <= 0).all(), (what, np.argwhere(excess > 0)[:5], gap.mean(axis=1)[excess > 0][:5])
    return bool((error < 0.15 * scale.max(axis=1, keepdims=True)).all())


# Of maps that nobody called smooth: whether the derivative is right is what is asked here.
NOBODY_SAID = pytest.mark.filterwarnings("ignore:Nobody said whether")
# LayerNorm of two entries and rmsprop's first step are signs but for a width of 10⁻³: few nodes see their slope, and
# errors stay too large to tell.
STEEP = ("linen", "rmsprop")
SPARSE = Row("fista", "sparse teacher", "default", "linear model", "none", "squared")


@pytest.mark.parametrize(
    ("row", "named"),
    [
        (Row("sgd", "sin", "default", "linear model", "mini-batches", "squared"), {"fraction"}),
        (Row("sgd", "sin", "default", "linear model", "dropout", "squared"), {"rate"}),
        pytest.param(SPARSE, set(), marks=pytest.mark.full),
    ],
    ids=str,
)
def test_probabilities(row: Row, named: set[str]) -> None:
    """Of masks they are refused, by name, and all other numbers are right; of a prior on nodes they are right."""
    kept = _check(row)
    with double_precision():
        everything = {one.name for one in _directions(_problem(row))}
    assert {name for name in everything - kept if any(one in name for one in REFUSED)} == everything - kept
    assert len(everything - kept) == len(named)
    assert kept and any("learning_rate" in name for name in kept)
    assert any("probabilities" in name for name in kept) == (row is SPARSE)


def _rows() -> list[Row]:
    """Return every method, law, network, loss and perturbation, the rest smooth; laws on a frame and on nodes."""
    usual = {"law": "sin", "start": "default", "network": "one unit", "perturbation": "none", "loss": "squared"}
    tables: dict[str, Any] = {"network": NETWORKS, "perturbation": PERTURBATIONS, "loss": LOSSES}
    rows = [Row(method, **usual) for method in OPTIMIZERS]
    rows += [Row("sgd", **{**usual, table: name}) for table, names in tables.items() for name in names]
    rows = [row for row in rows if row.method not in STEEP and row.network not in STEEP]
    for method in ("sgd", "fista"):
        for law in LAWS:
            rows += [Row(method, **{**usual, "law": law, "loss": loss, "start": "correlated"}) for loss in LOSSES]
    rows += [Row(method, law, start) for method in HEADLESS for law in LAWS for start in ("informed", "default")]
    found: dict[tuple[str, ...], Row] = {}
    for row in filter(can_exist, rows):
        on_law = row.network is None or row.start == "correlated"
        kind = (row.method, row.law, row.loss) if on_law else dataclasses.astuple(row)
        found.setdefault(tuple(map(str, kind)), row)
    return list(found.values())


@NOBODY_SAID
@pytest.mark.full
@pytest.mark.parametrize("row", _rows(), ids=str)
def test_every_number(row: Row) -> None:
    _check(row)


def test_every_entry_of_the_registry_is_walked() -> None:
    rows = _rows()
    assert {row.method for row in rows} == {*OPTIMIZERS, *HEADLESS} - {*STEEP}
    assert {row.law for row in rows} == set(LAWS)
    assert {row.network for row in rows} - {None} == {*NETWORKS} - {*STEEP}
    assert {row.loss for row in rows} - {None} == set(registry.LOSSES)

"""One contract over the registry: predicted by the pure core under jit and vmap, simulated on a dense matrix, compared.

The prediction is eight scramblings side by side in one program, their spread its standard error. Agreement is judged by
z-scores, after a gate on standard errors, at a level at which the whole grid gives a false alarm in one of thirty tries
and with the finite-size bias 10/d that `compare` allows. New numbers must not compile anything again, every number
keeps its type, and the results of the verbs have one structure.
"""

import dataclasses
import functools
import itertools
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest

import dyntheory as dt
from dyntheory.gaussian.nodes import NodeSet, draw_nodes
from dyntheory.ground.precision import double_precision
from dyntheory.problem.methods.linearity import feature_map_is_linear
from dyntheory.problem.networks.losses import LOSSES
from dyntheory.problem.prepared import PreparedProblem, prepare
from dyntheory.problem.shape import Shape
from dyntheory.results.trajectory import CURVES, OVERLAPS
from dyntheory.verbs.simulation import batch
from tests import fast_compiling, registry
from tests.registry import Row, all_rows, can_exist, default_rows

STEPS, FEATURES, RUNS, LEVEL = 3, 250, 20, 1e-4
NODES, NETS = 2**10, 8
COARSEST = 0.3
EVERY_ENTRY = default_rows()
BY_DEFAULT = [row for row in EVERY_ENTRY[::3] if row.method not in ("fista", "gaussian amp", "weight decay")]
REST = [row for row in all_rows() if row not in EVERY_ENTRY]


class Nodes(NamedTuple):
    """Node sets with a leading axis of scramblings."""

    samples: NodeSet
    test: NodeSet
    features: NodeSet | None


def _stacked(dimensions: int, num_heavy: int, seed: int) -> NodeSet:
    drawn = [draw_nodes(NODES, dimensions, num_heavy=num_heavy, seed=seed + i) for i in range(NETS)]
    return NodeSet(np.stack([one.coordinates for one in drawn]), np.stack([one.weights for one in drawn]))


def _nodes(problem: PreparedProblem) -> Nodes:
    (law, method), r = problem[:2], problem.law.num_teacher_units
    shape = Shape.of(law, method, STEPS)
    samples, test = _stacked(shape.sample_dimensions, r, 0), _stacked(shape.test_dimensions, r, 100)
    if feature_map_is_linear(method, problem.heads[0]):
        return Nodes(samples, test, None)
    return Nodes(samples, test, _stacked(shape.feature_dimensions, 0, 200))


# Compiling is nearly all of the time here, so the code need not be good.
@functools.partial(jax.jit, compiler_options=fast_compiling.options())
def _core(problem: PreparedProblem, nodes: Nodes) -> dict[str, Any]:
    def one(given: Nodes) -> dict[str, Any]:
        law, method, heads, moment, _ = problem
        options: dict[str, Any] = {"feature_nodes": given.features, "num_steps": STEPS}
        curves = dt.state_evolution(law, method, heads[0], moment, given.samples, given.test, **options)
        return curves.reported(law.num_teacher_units)

    return jax.vmap(one)(nodes)


def _law(row: Row, factor: float) -> dt.TeacherStudent:
    law = row.labelled.law
    return dataclasses.replace(law, noise_std=factor * law.noise_std)


def _options(row: Row, method: dt.GeneralFirstOrderMethod) -> dict[str, Any]:
    return {"key": jax.random.key(8), "first_layer": row.first_layer(method.num_units)}


def _predicted(row: Row, factor: float = 1.0) -> dt.Trajectory:
    """Return the prediction of the pure core; a factor changes the numbers of law and method and no shape."""
    method = row.make(factor)
    with double_precision():
        problem = prepare(_law(row, factor), method, head=None, num_heads=1, **_options(row, method))
        fields = jax.tree.map(np.asarray, _core(problem, _nodes(problem)))
    mean = jax.tree.map(lambda x: x.mean(axis=0), fields)
    error = jax.tree.map(lambda x: x.std(axis=0, ddof=1) / np.sqrt(NETS), fields)
    steps = np.arange(STEPS + 1)
    return dt.Trajectory(steps, **mean, standard_error=dt.Trajectory(steps, **error), provenance={"kind": "prediction"})


def _simulated(row: Row, factor: float = 1.0, *, num_runs: int = RUNS) -> dt.Trajectory:
    method = row.make(factor)
    sizes = {"num_steps": STEPS, "num_features": FEATURES, "num_runs": num_runs, "num_test_nodes": 2**11}
    return dt.simulate(_law(row, factor), method, **sizes, **_options(row, method))


def _shapes(result: Any) -> dict[str, Any]:
    fields = {name: getattr(result, name) for name in (*CURVES, *OVERLAPS, "head")}
    return jax.tree.map(lambda leaf: f"{leaf.dtype} {leaf.shape}", fields)


def _check_agreement(row: Row, theory: dt.Trajectory, runs: dt.Trajectory) -> None:
    """Require z-scores below the threshold; where the runs spread too widely to tell, more of them are made."""
    report = dt.compare(theory, runs, level=LEVEL, metrics=CURVES)
    if report.resolution >= COARSEST:
        runs = _simulated(row, num_runs=10 * RUNS)
        report = dt.compare(theory, runs, level=LEVEL, metrics=CURVES)
    assert len(report.steps) == STEPS + 1
    assert report.resolution < COARSEST, report.resolution
    assert report.verdict != "disagree", str(report)
    for name in OVERLAPS:
        value, simulated = getattr(theory, name), getattr(runs, name)
        error = np.hypot(getattr(theory.standard_error, name), getattr(runs.standard_error, name))
        excess = np.abs(simulated - value) - report.allowance * np.abs(value).max()
        assert np.max(excess / np.maximum(error, 1e-12)) < report.threshold, name


def _check(row: Row) -> None:
    theory, runs = _predicted(row), _simulated(row)
    _check_agreement(row, theory, runs)
    assert _shapes(theory) == _shapes(runs) == _shapes(theory.standard_error) == _shapes(runs.standard_error)
    assert all(text.startswith("float64") for text in jax.tree.leaves(_shapes(theory)))

    def num_programs() -> tuple[int, int]:
        return _core._cache_size(), batch._solve.num_programs  # pyright: ignore[reportAttributeAccessIssue]

    before = num_programs()
    for solve in (_predicted, _simulated):
        solve(row, 0.9)
    assert num_programs() == before


@pytest.mark.parametrize(
    "row",
    [pytest.param(row, marks=[pytest.mark.full] * (row not in BY_DEFAULT), id=str(row)) for row in EVERY_ENTRY],
)
def test_every_row_is_predicted_and_simulated(row: Row) -> None:
    _check(row)


@pytest.mark.full
@pytest.mark.parametrize("row", REST, ids=str)
def test_the_cross_product_is_predicted_and_simulated(row: Row) -> None:
    _check(row)


@pytest.mark.full
@pytest.mark.parametrize("row", EVERY_ENTRY, ids=str)
def test_the_verbs_return_one_structure(row: Row) -> None:
    method = row.make()
    theory = dt.predict(row.labelled.law, method, num_steps=STEPS, num_nodes=2**12, **_options(row, method))
    runs = _simulated(row)
    _check_agreement(row, theory, runs)
    assert _shapes(theory) == _shapes(runs) == _shapes(theory.standard_error) == _shapes(runs.standard_error)


def test_some_rows_have_every_entry_and_all_rows_every_pair() -> None:
    tables: dict[str, Any] = {
        "method": [*registry.OPTIMIZERS, *registry.HEADLESS],
        "law": registry.LAWS,
        "start": registry.STARTS,
        "network": registry.NETWORKS,
        "perturbation": registry.PERTURBATIONS,
        "loss": registry.LOSSES,
    }
    for name, entries in tables.items():
        assert {getattr(row, name) for row in EVERY_ENTRY} - {None} == set(entries)
    every = [*EVERY_ENTRY, *REST]
    for one, other in itertools.combinations([name for name in tables if name != "loss"], 2):
        found = {(getattr(row, one), getattr(row, other)) for row in every}
        missing = set(itertools.product(tables[one], tables[other])) - found
        assert not [pair for pair in missing if _some_row_exists(**dict(zip((one, other), pair, strict=True)))]


def test_every_method_and_loss_of_the_library_has_a_row() -> None:
    text = Path(registry.__file__).read_text()
    room = "dyntheory.problem.methods."
    named = [name for name in dt.__all__ if str(getattr(getattr(dt, name), "__module__", "")).startswith(room)]
    makers = {name for name in named if "hyperparameters" not in name} - {"GeneralFirstOrderMethod"}
    assert len(makers) > 9 and [name for name in makers if f"dt.{name}" not in text] == []
    assert set(registry.LOSSES) == set(LOSSES)
    networks = {type(make(1)) for make in registry.NETWORKS.values()}
    assert networks == {dt.MLP, dt.LinearModel, dt.FlaxNetwork}


def _some_row_exists(**parts: str) -> bool:
    """Return whether some problem has these parts."""
    headless = parts.get("method") in registry.HEADLESS
    if headless and ("network" in parts or "perturbation" in parts):
        return False
    free: dict[str, Any] = {"method": ["sgd"], "law": registry.LAWS, "start": registry.STARTS}
    if not headless:
        free |= {"network": registry.NETWORKS, "perturbation": ["none"], "loss": registry.LOSSES}
    free |= {name: [value] for name, value in parts.items()}
    return any(can_exist(Row(**dict(zip(free, row, strict=True)))) for row in itertools.product(*free.values()))

"""Theory against dense simulation: z-scores after a gate that the standard errors are small, d and 2d apart."""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
import pytest

import dyntheory as dt
from dyntheory.dynamics.state_evolution import state_evolution
from dyntheory.gaussian import draw_nodes
from dyntheory.ground.precision import double_precision
from dyntheory.problem.laws.inputs import Sparse
from dyntheory.problem.prepared import prepare
from dyntheory.problem.shape import Shape


class Case(NamedTuple):
    """One problem."""

    hidden: tuple[int, ...]
    activation: str
    alpha: float
    noise: float
    link: str = "sin_mixture"
    rate: float = 0.4
    steps: int = 12
    overlap: float = 0.0
    momentum: float = 0.0


DEFAULT = [
    Case((3,), "tanh", 2.0, 0.3),
    Case((3, 3), "relu", 1.0, 0.0, overlap=0.4),
    Case((2, 3, 2, 3), "gelu", 0.5, 0.5, link="tanh"),
    Case((8,), "erf", 4.0, 0.2, momentum=0.5, rate=0.2),
]
GRID = [
    Case(hidden, activation, alpha, noise, overlap=overlap, steps=30, rate=0.25)
    for index, (hidden, activation) in enumerate(
        (hidden, activation)
        for hidden in ((1,), (8,), (4, 3), (2, 3, 3, 2))
        for activation in ("tanh", "erf", "gelu", "relu")
    )
    for alpha, noise, overlap in [((0.3, 0.0, 0.0), (1.0, 0.5, 0.4), (4.0, 0.2, 0.0), (2.0, 0.3, 0.3))[index % 4]]
]


def _start(case: Case) -> dt.FirstLayer:
    overlap = np.zeros((case.hidden[0], 1))
    overlap[0] = case.overlap
    return dt.FirstLayer(teacher_overlap=overlap)


def _problem(case: Case) -> tuple[dt.TeacherStudent, dt.GeneralFirstOrderMethod, dict[str, Any]]:
    law = dt.TeacherStudent(case.alpha, case.link, case.noise)
    network = dt.MLP(case.hidden, case.activation)
    method = dt.gradient_descent(network, optax.sgd, learning_rate=case.rate, momentum=case.momentum)
    options = {"num_steps": case.steps, "key": jax.random.key(11), "first_layer": _start(case)}
    return law, method, options


@functools.cache
def _solve(case: Case, num_features: int, num_runs: int) -> tuple[dt.Trajectory, tuple[dt.Trajectory, ...]]:
    law, method, options = _problem(case)
    runs = tuple(
        dt.simulate(law, method, num_features=size, num_runs=num_runs, **options)
        for size in (num_features, 2 * num_features)
    )
    return dt.predict(law, method, **options), runs


def _check(case: Case, num_features: int, num_runs: int) -> None:
    theory, runs = _solve(case, num_features, num_runs)
    assert theory.status.ok
    assert runs[1].standard_error is not None
    assert np.median(runs[1].standard_error.test_error / runs[1].test_error) < 0.04
    report = dt.compare(theory, runs[1])
    assert report.verdict == "agree", str(report)
    extrapolated = dt.compare(theory, *runs)
    assert extrapolated.verdict != "disagree", str(extrapolated)


@pytest.mark.parametrize(
    "case",
    [DEFAULT[0], *(pytest.param(c, marks=pytest.mark.full) for c in DEFAULT[1:])],
    ids=lambda case: f"{case.hidden}-{case.activation}",
)
def test_predictions_agree_with_simulation(case: Case) -> None:
    _check(case, 200, 16)


@pytest.mark.full
@pytest.mark.parametrize("case", GRID, ids=lambda case: f"{case.hidden}-{case.activation}-{case.alpha}")
def test_predictions_agree_over_the_grid(case: Case) -> None:
    _check(case, 400, 24)


def test_without_memory_the_agreement_fails() -> None:
    """The negative control: the same comparison rejects a limit whose Onsager term is dropped."""
    case = Case((3,), "tanh", 0.7, 0.3, rate=0.5)
    theory, runs = _solve(case, 200, 16)
    law, method, options = _problem(case)
    with double_precision():
        problem = prepare(law, method, options["key"], head=None, first_layer=options["first_layer"], num_heads=1)
        dimensions = Shape(case.steps, case.hidden[0], 1).sample_dimensions, Shape.of(law, method, 0).test_dimensions
        nodes = [draw_nodes(2**12, count, num_heavy=1, seed=0) for count in dimensions]
        wrong = jax.jit(state_evolution, static_argnames=("num_steps", "memory"))(
            problem.law,
            problem.method,
            problem.heads[0],
            problem.joint_second_moment,
            *nodes,
            num_steps=case.steps,
            memory=False,
        )
    curves = {"test_error": wrong.test_error, "train_error": wrong.records.train_error}
    broken = dataclasses.replace(theory, **jax.tree.map(np.asarray, curves))
    assert dt.compare(theory, runs[1]).verdict == "agree"
    assert dt.compare(broken, runs[1]).verdict == "disagree"


@pytest.mark.full
def test_other_input_laws_follow_the_gaussian_prediction() -> None:
    theory, _ = _solve(DEFAULT[0], 200, 16)
    law, method, options = _problem(DEFAULT[0])
    for inputs in ("rademacher", "uniform", "sparse", "student_t"):
        runs = dt.simulate(law, method, num_features=200, num_runs=8, inputs=inputs, **options)
        assert dt.compare(theory, runs).verdict != "disagree", inputs


def test_inputs_of_a_few_large_entries_do_not() -> None:
    """A law given as a function; every other row is nearly empty."""
    theory, _ = _solve(DEFAULT[0], 200, 16)
    law, method, options = _problem(DEFAULT[0])
    runs = dt.simulate(law, method, num_features=200, num_runs=8, inputs=Sparse(1.5 / 200), **options)
    assert dt.compare(theory, runs).verdict == "disagree"
    assert runs.provenance["inputs"] == "Sparse(fraction=0.0075)"


@pytest.mark.full
def test_real_rows_follow_the_gaussian_prediction_when_they_look_gaussian() -> None:
    theory, _ = _solve(DEFAULT[0], 200, 16)
    law, method, options = _problem(DEFAULT[0])
    rows = np.random.default_rng(0).standard_normal((900, 100))
    runs = dt.simulate(law, method, num_features=100, num_runs=16, inputs=rows, **options)
    assert dt.compare(theory, runs).verdict != "disagree"
    assert runs.provenance["num_test"] == 700

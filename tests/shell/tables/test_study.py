"""Keys of [sweep] and [design] mean what --set means by them; numbers are handed on, everything else is read anew."""

from __future__ import annotations

import copy
from typing import Any

import jax
import pytest

from dyntheory.shell.tables.problem import Problem, ProblemError
from dyntheory.shell.tables.problem_file import parse_problem
from dyntheory.shell.tables.study import design_of, settings_of, sweep_of
from tests.shell.tables.conftest import SMALL

SCHEDULE = {"schedule": "piecewise_linear", "num_steps": 4, "rates": [0.1, 0.2, 0.3]}


def problem_of(**tables: Any) -> Problem:
    table = copy.deepcopy(SMALL)
    for name, entries in tables.items():
        table[name] = {**table.get(name, {}), **entries}
    return parse_problem(table)


def test_numbers_of_law_and_method_keep_their_programs() -> None:
    over = {"samples_per_feature": [1.0, 3.0], "method.learning_rate": [0.1, 0.2], "num_steps": [1, 2]}
    problem = problem_of(sweep={"over": over})
    study = sweep_of(problem)
    assert study.law is problem.law
    assert study.method is problem.method
    assert study.over == {"samples_per_feature": [1.0, 3.0], "learning_rate": [0.1, 0.2], "num_steps": [1, 2]}


def test_everything_else_is_read_again() -> None:
    over = {"hidden": [[3], [2, 2]], "link": ["sin", "tanh"], "mini_batches.fraction": [0.5, 1.0]}
    table = {"method": {"mini_batches": {"fraction": 0.5}}, "sweep": {"over": {**over, "noise_std": [0.0, 1.0]}}}
    table["sweep"]["over"] = {"method." + k if "." in k else k: v for k, v in table["sweep"]["over"].items()}
    study = sweep_of(problem_of(**table))
    given = {"hidden": [2, 2], "link": "tanh", "fraction": 1.0}
    assert set(study.over) == {*given, "noise_std"}
    wanted = problem_of(network={"hidden": [2, 2]}, law={"link": "tanh"}, method={"mini_batches": {"fraction": 1.0}})
    assert study.law(**given) == wanted.law
    assert jax.tree.map(float, study.method(**given).hyperparameters) == wanted.method.hyperparameters
    assert study.method(**given) is study.method(**given)
    assert study.first_layer is None


def test_a_list_of_points() -> None:
    points = [{"learning_rate": 0.1, "activation": "tanh"}, {"learning_rate": 0.2, "activation": "erf"}]
    study = sweep_of(problem_of(sweep={"over": points}))
    assert study.over == points
    assert study.method(activation="erf").description.startswith("MLP(hidden=(3, 2), activation=erf")
    with pytest.raises(ProblemError, match="same keys"):
        sweep_of(problem_of(sweep={"over": [*points, {"learning_rate": 0.3}]}))


def test_where_the_first_layer_starts_may_change() -> None:
    study = sweep_of(problem_of(sweep={"over": {"first_layer.second_moment": [0.5, 2.0]}}))
    assert study.first_layer(second_moment=2.0).second_moment[0, 0] == 2.0


def test_a_rate_that_the_head_does_not_share_is_read_again() -> None:
    problem = problem_of(method={"head_learning_rate": 0.1}, sweep={"over": {"learning_rate": [0.2, 0.3]}})
    numbers = sweep_of(problem).method(learning_rate=0.3).hyperparameters
    assert float(numbers["first_layer"]["learning_rate"]) == 0.3
    assert float(numbers["head"]["learning_rate"]) == 0.1


def test_a_schedule_is_designed_by_its_rates() -> None:
    problem = problem_of(method={"learning_rate": SCHEDULE}, design={"over": {"rates": [0.0, 2.0]}})
    study, tied = design_of(problem)
    assert study.over == {f"rate_{knot}": (0.0, 2.0) for knot in range(3)}
    assert tied == list(study.over)
    lines = settings_of(problem, {"rate_0": 0.5, "rate_1": 0.25, "rate_2": 1.0})
    assert lines == ['method.learning_rate = { schedule = "piecewise_linear", num_steps = 4, rates = [0.5, 0.25, 1] }']
    over = {"rates": [0.0, 2.0], "samples_per_feature": [1.0, 2.0], "first_layer.second_moment": [0.5, 2.0]}
    both = problem_of(method={"learning_rate": SCHEDULE}, design={"over": over, "tied": ["rates"]})
    assert design_of(both)[1] == [f"rate_{knot}" for knot in range(3)]
    found = settings_of(both, {"rate_0": 0.5, "samples_per_feature": 1.5, "second_moment": 0.75})
    assert found[1:] == ["law.samples_per_feature = 1.5", "first_layer.second_moment = 0.75"]
    ends, names = design_of(problem_of(design={"over": {"method.learning_rate": [0, 2]}, "tied": ["learning_rate"]}))
    assert (ends.over, names) == ({"learning_rate": (0, 2)}, ["learning_rate"])


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ({}, r"\[sweep\] needs `over`"),
        ({"sweep": {"over": {"nois_std": [1.0]}}}, "Did you mean 'noise_std'"),
        ({"sweep": {"over": {"seed": [1, 2]}}}, "run.num_steps may change"),
        ({"sweep": {"over": {"num_features": [10, 20]}}}, "keys of law, network"),
        ({"sweep": {"over": {"noise_std": [0.1]}}, "predict": {"rtol": 1e-3}}, "leave it out for sweep"),
        ({"sweep": {"over": {"noise_std": [0.1]}}, "run": {"num_heads": 5}}, "run.num_heads"),
    ],
)
def test_what_cannot_be_swept_over_is_refused(tables: dict[str, Any], words: str) -> None:
    with pytest.raises(ProblemError, match=words):
        sweep_of(problem_of(**tables))


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ({"sweep": {"over": 3}}, r"`sweep.over` must be a table of keys"),
        ({"sweep": {"over": {"noise_std": 0.1}}}, r"`sweep.over` must be a table of keys"),
        ({"design": {"over": {"learning_rate": [0.1]}}}, r"`design.over` must be a table of keys with two bounds"),
        ({"design": {"trained": True}}, "Unknown key of"),
        ({"method": {"learning_rate": {**SCHEDULE, "rates": 0.1}}}, "learning_rate.rates"),
        ({"method": {"learning_rate": {"schedule": "piecewise_linear", "rates": [0.1, 0.2]}}}, "num_steps"),
        ({"method": {"learning_rate": SCHEDULE, "momentum": 0.9}}, "leave out momentum"),
        ({"method": {"learning_rate": {**SCHEDULE, "num_steps": 2}}}, "num_knots"),
    ],
)
def test_tables_that_cannot_be_read_are_refused(tables: dict[str, Any], words: str) -> None:
    with pytest.raises(ProblemError, match=words):
        problem_of(**tables)


def test_a_design_without_rates_says_how_to_have_them() -> None:
    with pytest.raises(ProblemError, match=r"needs a schedule with rates.*num_steps = 4"):
        design_of(problem_of(design={"over": {"rates": [0.0, 2.0]}}))

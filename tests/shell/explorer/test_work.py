"""What the page computes is what the verbs compute, on more and more nodes, and is remembered."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dyntheory as dt
from dyntheory.shell.explorer.lanes import Cancelled
from dyntheory.shell.explorer.warned import heard, warnings_by_thread
from dyntheory.shell.explorer.work import Memory, Result, Shown, levels, simulation_of, theory_of
from dyntheory.shell.tables.problem_file import parse_problem
from tests.shell.explorer.conftest import small, unusual


def silent(fraction: float, text: str) -> None:
    """Say nothing."""


def nodes(table: dict[str, Any]) -> list[int | None]:
    return [level.keywords.get("num_nodes") for level in levels(parse_problem(table))]


def test_levels_end_with_what_predict_takes() -> None:
    assert nodes(small()) == [2**11, 2**12]
    table = small()
    del table["predict"]
    assert nodes(table) == [2**11, 2**12, 2**14]
    assert nodes({**table, "predict": {"num_nodes": 512}}) == [512]


def test_long_runs_begin_with_the_fewest_nodes_that_they_allow() -> None:
    found = nodes({**small(), "run": {"num_steps": 100}, "predict": {}})
    assert found[0] == 2**13 and found[-1] is not None and found[-1] > 2**13


def test_an_accuracy_that_was_asked_for_is_of_the_last_level_only() -> None:
    found = levels(parse_problem(unusual("accuracy")))
    assert [("rtol" in level.keywords, level.is_last) for level in found] == [(False, False), (True, True)]


def test_too_few_nodes_meet_the_error_of_predict() -> None:
    with pytest.raises(ValueError, match="`num_nodes` must be at least"):
        list(theory_of({**small(), "predict": {"num_nodes": 2}}, Memory(), silent))


@pytest.mark.full
def test_theory_simulation_and_agreement() -> None:
    """The last level is `dyntheory.predict` for the table; a simulation joins it once it is there."""
    memory = Memory()
    first, last = theory_of(small(), memory, silent)
    problem = parse_problem(small())
    expected = dt.predict(problem.law, problem.method, **problem.predict)
    np.testing.assert_allclose(last.theory.trajectory.test_error, expected.test_error, rtol=1e-10)
    assert (first.level.number, last.level.number, last.level.total) == (1, 2, 2)
    assert first.agreement is None and first.simulation is None
    assert last.theory.trajectory.provenance["configuration"] == problem.table
    (simulated,) = simulation_of(small(), memory, silent)
    (again,) = theory_of(small(), memory, silent)
    assert again.theory is last.theory and again.simulation is simulated
    assert isinstance(again.agreement, dt.Agreement)
    assert again.agreement.verdict == dt.compare(expected, simulated.trajectory).verdict


def test_what_belongs_to_other_settings_is_not_shown_with_these(monkeypatch: pytest.MonkeyPatch) -> None:
    memory, called = Memory(), []

    def predict(*arguments: Any, **keywords: Any) -> dt.Trajectory:
        called.append(keywords["num_nodes"])
        return dt.Trajectory(np.arange(3), train_error=np.ones(3), test_error=np.ones(3))

    monkeypatch.setattr(dt, "predict", predict)
    monkeypatch.setattr(dt, "simulate", lambda *arguments, **keywords: predict(num_nodes=0))
    list(simulation_of(small(), memory, silent))
    more_runs = {**small(), "simulate": {"num_features": 40, "num_runs": 6}}
    assert [shown.simulation is None for shown in theory_of(small(), memory, silent)] == [False, False]
    (shown,) = theory_of(more_runs, memory, silent)
    assert shown.simulation is None, "the same theory, another simulation"
    assert called == [0, 2**11, 2**12]
    other = {**small(), "run": {"num_steps": 2, "seed": 1}}
    assert [shown.simulation for shown in theory_of(other, memory, silent)] == [None, None]


def test_one_run_has_a_reason_in_place_of_a_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"num_features": 40, "num_runs": 1}
    curve = dt.Trajectory(np.arange(3), train_error=np.ones(3), test_error=np.ones(3), provenance=sizes)
    monkeypatch.setattr(dt, "predict", lambda *arguments, **keywords: curve)
    monkeypatch.setattr(dt, "simulate", lambda *arguments, **keywords: curve)
    memory = Memory()
    list(simulation_of(small(), memory, silent))
    *_, shown = theory_of(small(), memory, silent)
    assert isinstance(shown, Shown)
    assert "no standard error" in str(shown.agreement)


def test_a_cancelled_simulation_leaves_what_is_known() -> None:
    memory = Memory()
    list(theory_of(small(), memory, silent))

    def cancel(fraction: float, text: str) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        list(simulation_of(small(), memory, cancel))
    (shown,) = theory_of(small(), memory, silent)
    assert shown.level.is_last and shown.simulation is None


def test_memory_forgets_what_was_not_used_for_longest() -> None:
    memory = Memory(most=2)
    results = {name: Result(dt.Trajectory(np.arange(2)), ()) for name in "abc"}
    memory.put("a", results["a"])
    memory.put("b", results["b"])
    assert memory.get("a") is results["a"]
    memory.put("c", results["c"])
    assert memory.get("b") is None and memory.get("a") is results["a"] and memory.get("c") is results["c"]


def test_warnings_are_heard_by_the_thread_that_they_come_from() -> None:
    import warnings

    with warnings_by_thread(), heard() as texts:
        warnings.warn("n/d is rounded", dt.DyntheoryWarning, stacklevel=1)
    assert texts == ["n/d is rounded"]

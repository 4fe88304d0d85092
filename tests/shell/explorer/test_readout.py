"""What the page says: escaped, with what ended badly in front, and full digits beside the rounded ones."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import dyntheory as dt
from dyntheory.ground.status import Outcome
from dyntheory.shell.explorer import readout
from dyntheory.shell.explorer.texts import TEXTS
from dyntheory.shell.explorer.work import Result, Shown, levels
from dyntheory.shell.tables.problem_file import parse_problem
from tests.shell.conftest import trajectory_of
from tests.shell.explorer.conftest import small

ENGLISH = TEXTS["en"]


def shown_of(theory: dt.Trajectory, simulation: dt.Trajectory | None = None, *warnings: str) -> Shown:
    problem = parse_problem(small())
    agreement = None if simulation is None else dt.compare(theory, simulation)
    simulated = None if simulation is None else Result(simulation, warnings)
    return Shown(problem, levels(problem)[-1], Result(theory, ()), simulated, agreement)


def test_texts_from_outside_are_escaped() -> None:
    assert "<script>" not in readout.alert("heading", "got '<script>'")
    assert "<b>" not in readout.kept('name = "<b>"', ENGLISH)
    assert 'role="alert"' in readout.alert("heading", "text")


def test_what_ended_badly_and_what_was_warned_of_is_said() -> None:
    assert readout.warnings(shown_of(trajectory_of()), ENGLISH) == ""
    diverged = trajectory_of(status=dt.Status(Outcome.DIVERGED, step=2))
    said = readout.warnings(shown_of(diverged, trajectory_of(), "n/d is 1.9"), ENGLISH)
    assert f"theory: {diverged.status}" in said and "simulation: n/d is 1.9" in said


@pytest.mark.parametrize("language", TEXTS)
def test_the_line_says_what_is_shown_and_done(language: str) -> None:
    texts, shown = TEXTS[language], shown_of(trajectory_of())
    assert texts["computing"] in readout.accuracy(None, texts, is_stale=False, busy=texts["computing"])
    last = readout.accuracy(shown, texts, is_stale=False, busy="")
    assert texts["final"] in last and 'data-level="2" data-levels="2" data-stale="false" data-busy="false"' in last
    stale = readout.accuracy(shown, texts, is_stale=True, busy="")
    assert texts["stale"] in stale and texts["final"] not in stale


def test_the_table_has_both_sides_with_all_digits() -> None:
    value = 1 / 3
    simulation = trajectory_of(value)
    table = readout.numbers(shown_of(trajectory_of(), simulation), ENGLISH)
    assert table.count("<tr>") == 4
    assert f'data-side="simulation" data-metric="test_error" data-step="2" data-value="{value!r}"' in table
    shorter = dataclasses.replace(
        simulation, steps=np.arange(1), train_error=np.ones(1), test_error=np.ones(1), standard_error=None
    )
    without = dataclasses.replace(shown_of(trajectory_of()), simulation=Result(shorter, ()))
    assert "<td>-</td>" in readout.numbers(without, ENGLISH)


@pytest.mark.parametrize("language", TEXTS)
@pytest.mark.parametrize(("value", "verdict"), [(1.005, "agree"), (2.0, "disagree")])
def test_the_verdict_is_in_words(value: float, verdict: str, language: str) -> None:
    texts = TEXTS[language]
    said = readout.verdict(shown_of(trajectory_of(), trajectory_of(value)), texts)
    assert texts[f"verdict_{verdict}"] in said and f'data-verdict="{verdict}"' in said
    assert "points within" in said
    none = dataclasses.replace(shown_of(trajectory_of()), agreement="one run")
    assert texts["no_verdict"] in readout.verdict(none, texts) and "one run" in readout.verdict(none, texts)

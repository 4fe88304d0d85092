"""What is saved gives the same table and the same numbers again."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dyntheory as dt
from dyntheory.shell.explorer import export
from dyntheory.shell.explorer.python_lines import python_lines
from dyntheory.shell.explorer.work import Memory, Result, Shown, levels, simulation_of, theory_of
from dyntheory.shell.tables.problem_file import load_problem, parse_problem
from tests.shell.explorer.conftest import UNUSUAL, examples, small, unusual


def silent(fraction: float, text: str) -> None:
    """Say nothing."""


def pretended(table: dict[str, Any]) -> Shown:
    """Return what would be shown of a table, with curves that nobody computed."""
    problem = parse_problem(table)
    curve = dt.Trajectory(np.arange(3), train_error=np.ones(3), test_error=np.ones(3))
    return Shown(problem, levels(problem)[-1], Result(curve, ()), None, None)


@pytest.mark.parametrize("name", UNUSUAL)
def test_a_problem_comes_back_as_the_same_table(name: str, tmp_path: Path) -> None:
    path = tmp_path / "problem.toml"
    shown = pretended(unusual(name))
    path.write_bytes(export.toml_bytes(shown))
    assert load_problem(path).table == shown.problem.table


@pytest.mark.parametrize("path", examples())
def test_an_example_comes_back_as_the_same_table(path: Path, tmp_path: Path) -> None:
    saved = tmp_path / "problem.toml"
    shown = pretended(tomllib.loads(path.read_text(encoding="utf-8")))
    saved.write_bytes(export.toml_bytes(shown))
    assert load_problem(saved).table == load_problem(path).table


def run(source: str) -> dict[str, Any]:
    """Return what lines of Python define; figures are left out."""
    names: dict[str, Any] = {}
    exec("\n".join(line for line in source.splitlines() if "savefig" not in line), names)
    return names


def test_lines_of_python_make_the_same_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    memory = Memory()
    list(simulation_of(small(), memory, silent))
    first, *_ = theory_of(small(), memory, silent)
    assert first.simulation is not None
    made = run(export.python_bytes(first).decode())
    assert "points within" in capsys.readouterr().out
    for side, result in (("theory", first.theory), ("simulation", first.simulation)):
        for metric in ("train_error", "test_error"):
            np.testing.assert_allclose(
                getattr(made[side], metric), getattr(result.trajectory, metric), rtol=1e-9, err_msg=f"{side} {metric}"
            )


@pytest.mark.parametrize("name", UNUSUAL)
def test_lines_of_python_say_the_same_problem(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Law and method have the same numbers, and the verb gets the same keywords, without computing anything."""
    import jax

    asked: dict[str, Any] = {}
    monkeypatch.setattr(dt, "predict", lambda law, method, **keywords: asked.update(keywords))
    shown = pretended(unusual(name))
    made = run(python_lines(shown.problem, shown.level, simulated=False))
    for part in ("law", "method"):
        ours = jax.tree.leaves(getattr(shown.problem, part))
        assert [np.asarray(leaf).tolist() for leaf in jax.tree.leaves(made[part])] == [
            np.asarray(leaf).tolist() for leaf in ours
        ]
    keywords = shown.level.keywords
    assert set(asked) == set(keywords)
    plain = {key: value for key, value in keywords.items() if key not in ("key", "first_layer")}
    assert {key: asked[key] for key in plain} == plain
    assert jax.random.key_data(asked["key"]).tolist() == jax.random.key_data(keywords["key"]).tolist()
    if "first_layer" in keywords:
        for field in ("second_moment", "teacher_overlap"):
            np.testing.assert_array_equal(getattr(asked["first_layer"], field), getattr(keywords["first_layer"], field))


@pytest.mark.parametrize("name", UNUSUAL)
@pytest.mark.full
def test_lines_of_python_make_the_same_numbers_of_unusual_problems(name: str) -> None:
    (*_, shown) = theory_of(unusual(name), Memory(), silent)
    made = run(python_lines(shown.problem, shown.level, simulated=False))
    np.testing.assert_allclose(made["theory"].test_error, shown.theory.trajectory.test_error, rtol=1e-9)


@pytest.mark.parametrize("path", examples())
def test_lines_of_python_for_the_examples_are_python(path: Path) -> None:
    shown = pretended(tomllib.loads(path.read_text(encoding="utf-8")))
    compile(python_lines(shown.problem, shown.level, simulated=True), path.name, "exec")


def test_figures_and_numbers_are_files_of_their_kind(tmp_path: Path) -> None:
    shown = pretended(small())
    begins = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}
    for kind in export.FIGURES:
        assert export.figure_bytes(shown, kind).startswith(begins[kind])
    path = tmp_path / "theory.nc"
    path.write_bytes(export.netcdf_bytes(shown.theory.trajectory))
    np.testing.assert_array_equal(dt.load(path).test_error, np.ones(3))

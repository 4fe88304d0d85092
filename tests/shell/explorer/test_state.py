"""Table, controls and address say the same; what the controls do not show is kept."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from dyntheory.shell.explorer.controls import CONTROLS
from dyntheory.shell.explorer.state import LONGEST_REST, OF_THE_FILE, REST, State, encoded, from_query
from dyntheory.shell.tables.problem_file import parse_problem, template
from tests.shell.explorer.conftest import UNUSUAL, examples, small, unusual


def reloaded(state: State, start: State) -> State:
    address = encoded(state.query(start), "secret")
    return from_query(parse_qs(address.removeprefix("?")), start)


@pytest.mark.parametrize("path", examples())
def test_an_example_fills_the_controls_and_comes_back(path: Path) -> None:
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    state = State.of_table(table)
    assert state.table == table
    assert reloaded(state, State.of_table(small())) == state


@pytest.mark.parametrize("name", UNUSUAL)
def test_what_has_no_control_is_kept(name: str) -> None:
    table = unusual(name)
    state = State.of_table(table)
    assert state.table == table
    assert reloaded(state, State.of_table(small())).table == table


@pytest.mark.parametrize(
    ("name", "text", "table", "key", "value"),
    [
        ("samples_per_feature", "3", "law", "samples_per_feature", 3.0),
        ("noise_std", "-1", "law", "noise_std", -1.0),
        ("link", "relu", "law", "link", "relu"),
        ("width", "4", "network", "hidden", [4]),
        ("width", "[4, 2]", "network", "hidden", [4, 2]),
        ("depth", "3", "network", "hidden", [2, 2, 2]),
        ("activation", "erf", "network", "activation", "erf"),
        ("optimizer", "adam", "method", "optimizer", "adam"),
        ("learning_rate", "1e-2", "method", "learning_rate", 0.01),
        ("momentum", "0.9", "method", "momentum", 0.9),
        ("num_steps", "7", "run", "num_steps", 7),
        ("seed", "5", "run", "seed", 5),
        ("num_features", "80", "simulate", "num_features", 80),
        ("num_runs", "6", "simulate", "num_runs", 6),
    ],
)
def test_every_control_writes_its_entry(name: str, text: str, table: str, key: str, value: Any) -> None:
    written = State.of_table(small()).edited(name, text).table
    assert written[table][key] == value
    assert type(written[table][key]) is type(value)
    expected = small()
    expected[table][key] = value
    assert written == expected


def test_every_control_is_tried_above() -> None:
    tried = {case[0] for case in test_every_control_writes_its_entry.pytestmark[0].args[1]}  # type: ignore[attr-defined]
    assert tried == {control.name for control in CONTROLS}


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("noise_std", "-1", "`noise_std` must be zero or positive, got -1.0"),
        ("noise_std", "abc", "`law.noise_std` must be a number, got 'abc'"),
        ("noise_std", "1,5", "'1,5' is not a value"),
        ("depth", "0", "`depth` must be at least 1, got 0"),
        ("depth", "10000000000", "`depth` must be at most"),
        ("width", "0", "hidden"),
        ("num_steps", "", "`run.num_steps` is missing"),
        ("num_steps", "1.5", "`run.num_steps` must be an integer"),
        ("activation", "rleu", "Did you mean 'relu'?"),
    ],
)
def test_bad_values_meet_the_errors_of_the_library(name: str, text: str, words: str) -> None:
    state = State.of_table(small()).edited(name, text)
    with pytest.raises((ValueError, TypeError)) as caught:
        parse_problem(state.table)
    assert words in str(caught.value)


def test_controls_that_do_not_apply_write_nothing() -> None:
    table = {"law": {"samples_per_feature": 0.5}, "method": {"kind": "lasso_amp", "threshold": 1.5}}
    table |= {"run": {"num_steps": 2}}
    state = State.of_table(table).edited("width", "3").edited("optimizer", "adam")
    assert state.table == table
    clouds = {"kind": "gaussian_mixture", "samples_per_feature": 2.0, "separation": 1.0}
    assert State.of_table({**small(), "law": clouds}).edited("noise_std", "0.3").table["law"] == clouds


def test_a_rest_too_long_for_an_address_is_that_of_the_file() -> None:
    eigenvalues = {"kind": "spectrum", "eigenvalues": [1.0 + index for index in range(LONGEST_REST)]}
    start = State.of_table({**small(), "law": {"samples_per_feature": 2.0, "features": eigenvalues}})
    moved = start.edited("samples_per_feature", "4.0")
    assert moved.query(start)[REST] == OF_THE_FILE
    assert reloaded(moved, start) == moved


def test_an_address_that_says_nothing_is_the_start() -> None:
    start = State.of_table(tomllib.loads(template()))
    assert from_query({"token": ["x"], "unknown": ["y"]}, start) == start
    assert from_query({"language": ["ja"]}, start).view["language"] == "ja"
    assert from_query({"language": ["xx"]}, start).view["language"] == "en"


@pytest.mark.parametrize("rest", ["[]", "{", "[" * 100_000], ids=["a list", "cut", "deep"])
def test_a_damaged_address_is_refused_with_the_reason(rest: str) -> None:
    with pytest.raises(ValueError, match="`rest` in the address must be a table"):
        from_query({REST: [rest]}, State.of_table(small()))


@pytest.mark.parametrize("rest", [{"law": 3}, {"network": []}, {"nowhere": {}}, {"method": "sgd"}, {"run": None}])
def test_a_rest_that_is_no_problem_meets_the_errors_of_the_library(rest: Any) -> None:
    state = from_query({REST: [json.dumps(rest)], "num_steps": ["2"]}, State.of_table(small()))
    with pytest.raises(ValueError, match=r"must be a table|Unknown table|is missing|must be"):
        parse_problem(state.table)

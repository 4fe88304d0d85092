"""TOML problems: what is read, what is refused, and what the refusal says."""

from __future__ import annotations

import copy
import re
import tomllib
from pathlib import Path

import jax
import numpy as np
import pytest

from dyntheory.problem.laws.links import resolve_link
from dyntheory.shell.tables.problem import ProblemError
from dyntheory.shell.tables.problem_file import load_problem, parse_problem, template
from tests import ROOT
from tests.shell.tables.conftest import SMALL, parse, refusal

EXAMPLES = sorted((ROOT / "examples").glob("*.toml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_parses_and_says_what_it_shows(path: Path) -> None:
    problem = load_problem(path)
    assert problem.predict["num_steps"] > 0
    assert path.read_text(encoding="utf-8").startswith("# ")
    assert f"examples/{path.name}" in path.read_text(encoding="utf-8")


def test_all_examples_are_there() -> None:
    names = [
        "five_layer",
        "lasso_amp",
        "misspecified_link",
        "power_law",
        "real_inputs",
        "real_inputs_limits",
        "relu",
        "study",
        "three_layer",
    ]
    assert [path.stem for path in EXAMPLES] == [*names, "two_layer"]


def test_the_template_parses() -> None:
    assert parse_problem(tomllib.loads(template())).simulate["num_runs"] == 10


SUGGESTIONS = [
    f"{table}.{suggestion}"
    for table, body in re.findall(r"^(?:# )?\[(\w+)\]((?:\n(?!(?:# )?\[).*)*)", template(), flags=re.MULTILINE)
    for suggestion in re.findall(r"^# (\w+ = .*?)(?:  #.*)?$", body, flags=re.MULTILINE)
    if not suggestion.startswith("kind")
]


@pytest.mark.parametrize("suggestion", SUGGESTIONS)
def test_suggestions_of_the_template_are_valid(suggestion: str) -> None:
    parse_problem(tomllib.loads(template()), overrides=[suggestion])


def test_kinds_of_the_template_are_valid() -> None:
    problem = tomllib.loads(template())
    kinds = re.findall(r'^# kind = "(\w+)"', template(), flags=re.MULTILINE)
    assert kinds == ["gaussian_mixture", "linear", "lasso_amp"]
    clouds = {"kind": kinds[0], "samples_per_feature": 2.0, "separation": 1.0}
    assert parse_problem({**problem, "law": clouds, "network": {"kind": kinds[1]}}).method.num_units == 1
    del problem["network"]
    assert parse_problem({**problem, "method": {"kind": kinds[2], "threshold": 1.5}}).method.name == "LASSO-AMP"


def test_values_arrive() -> None:
    problem = parse()
    assert problem.law.noise_std == 0.3
    assert resolve_link(problem.law.link).name == "sin"
    assert problem.method.num_units == 3
    assert problem.method.hyperparameters["head"] == {"learning_rate": 0.5}
    assert problem.predict["num_steps"] == problem.simulate["num_steps"] == 4
    assert problem.simulate["inputs"] == "gaussian"
    assert jax.random.key_data(problem.predict["key"]).tolist() == jax.random.key_data(jax.random.key(0)).tolist()


def test_the_table_is_kept_with_defaults_and_overrides() -> None:
    given = copy.deepcopy(SMALL)
    problem = parse_problem(given, overrides=["run.seed=3"])
    assert given == SMALL
    assert problem.table["run"] == {"num_steps": 4, "seed": 3, "keep_preactivations": False}
    assert problem.table["method"]["loss"] == "squared"
    assert parse_problem(problem.table).table == problem.table


def test_the_first_layer_is_read() -> None:
    overlap = "first_layer.teacher_overlap=[[0.5], [0], [0]]"
    layer = parse("first_layer.second_moment=2", overlap).predict["first_layer"]
    np.testing.assert_array_equal(layer.second_moment, 2 * np.eye(3))
    np.testing.assert_array_equal(layer.teacher_overlap, [[0.5], [0.0], [0.0]])
    assert "first_layer" not in parse().predict


def test_linear_regression() -> None:
    problem = parse_problem({**SMALL, "network": {"kind": "linear"}})
    assert problem.method.num_units == 1


BAD = {
    "law.nose_std=1": "Unknown key of [law] with kind = 'teacher_student': 'nose_std'. Did you mean 'noise_std'?",
    "nose_std=1": "--set nose_std=1: Unknown key 'nose_std'. Did you mean 'noise_std'?",
    "netwrk.hidden=[3]": "Unknown table 'netwrk'. Did you mean 'network'?",
    "law=3": "`law` must be a table, written [law], got 3.",
    "num_steps": "--set takes key=value, such as method.learning_rate=0.3, got 'num_steps'.",
    "hidden=[3,": "'[3,' is not a value",
    "num_steps=1\nseed=2": "is not a value",
    "method.learning_rate.x=1": "'learning_rate' is not a table, so it has no entry 'x'.",
    "samples_per_feature=-0.5": "[law] `samples_per_feature` must be positive (it is n/d), got -0.5.",
    "samples_per_feature=0": "[law] `samples_per_feature` must be positive",
    "samples_per_feature=nan": "[law] `samples_per_feature` must be positive",
    "samples_per_feature=two": "`law.samples_per_feature` must be a number, got 'two'.",
    "samples_per_feature=true": "`law.samples_per_feature` must be a number, got True.",
    "link=sine": "[law] Unknown link 'sine'. Did you mean 'sin'?",
    "link='__import__(\"os\")'": "[law] Unknown link",
    "teacher_second_moment=[[1, 2], [2, 1]]": "[law] `teacher_second_moment` must be positive semidefinite",
    "activation=rleu": "[network] Unknown activation 'rleu'. Did you mean 'relu'?",
    "hidden=[3, 0]": "[network] `hidden[1]` must be at least 1, got 0.",
    "hidden=[]": "[network] `hidden` must name at least one hidden width",
    "hidden=3": "`network.hidden` must be a list of integers, got 3.",
    "use_bias=yes": "`network.use_bias` must be true or false, got 'yes'.",
    "network.kind=linear": "Unknown key of [network] with kind = 'linear': 'hidden'.",
    "network.kind=cnn": "Unknown `network.kind` 'cnn'. Known: linear, mlp.",
    "learning_rate=inf": "[method] `learning_rate` must be finite, got inf.",
    "learning_rate=fast": "`method.learning_rate` must be a number or a schedule, got 'fast'.",
    "loss=hinge": "[method] Unknown loss 'hinge'. Did you mean 'squared_hinge'?",
    "second_moment=[[1, 0], [0, 1]]": "[first_layer] `second_moment` must have shape (3, 3), got (2, 2).",
    "second_moment=-1": "[first_layer] `second_moment` must be positive semidefinite",
    "teacher_overlap=[[2], [0], [0]]": "[first_layer] `second_moment` and `teacher_overlap` contradict each other",
    "teacher_overlap=[[2], [0, 1]]": "`first_layer.teacher_overlap` must be a matrix",
    "teacher_overlap=[[2]]": "[first_layer] `teacher_overlap` must have shape (k, r) = (3, 1), got (1, 1).",
    "num_steps=-1": "[run] `num_steps` must be at least 0, got -1.",
    "num_steps=1.5": "`run.num_steps` must be an integer, got 1.5.",
    "seed=-1": "[run] `seed` must be at least 0, got -1.",
    "num_heads=0": "[run] `num_heads` must be at least 1, got 0.",
    "simulate.num_runs=0": "[simulate] `num_runs` must be at least 1, got 0.",
    "num_features=0": "[simulate] `num_features` must be at least 1, got 0.",
    "inputs=guassian": "Unknown `simulate.inputs` 'guassian'. Did you mean 'gaussian'?",
    "predict.rtol=small": "`predict.rtol` must be a number, got 'small'.",
}


@pytest.mark.parametrize("key", ["kind=lasso_amp", "rtol=1e-3", "num_runs=7"])
def test_a_key_of_several_tables_is_not_written_into_the_first(key: str) -> None:
    assert f"{key.split('=')[0]!r} is a key of several tables: write " in refusal(key)


def test_kinds_are_set_where_they_are_named() -> None:
    amp = {name: SMALL[name] for name in ("law", "run")} | {"method": {"kind": "bayes_amp", "threshold": 1.5}}
    assert parse_problem(amp, overrides=["method.kind=lasso_amp"]).method.name == "LASSO-AMP"


NESTED = {"lists": "[" * 5000 + "]" * 5000, "tables": "{a=" * 5000 + "1" + "}" * 5000, "few": "[" * 150 + "]" * 150}
LARGE = {
    "run.seed": ("9" * 30, "`run.seed` must be an integer, got 1e+30"),
    "run.num_steps": ("9" * 5000, "4300 digits"),
    "law.samples_per_feature": ("9" * 400, "`samples_per_feature` must be positive"),
    "law.teacher_second_moment": (f"[[{'9' * 400}]]", "must be finite"),
    "law.features": (f"{{ kind = 'power_law', exponent = 1.0, num_modes = {10**12} }}", "too large"),
    "method.learning_rate": (f"-{'9' * 400}", "`learning_rate` must be finite, got -inf"),
    "method.momentum": ("1e400", "must be"),
    "first_layer.second_moment": ("9" * 400, "must be finite"),
    "first_layer.teacher_overlap": (f"[[{'9' * 400}], [0], [0]]", "must be finite"),
    "network.hidden": (f"[{'9' * 30}]", "`network.hidden` must be a list of integers"),
}


@pytest.mark.parametrize("name", NESTED)
def test_nested_files_are_refused_by_name(name: str, tmp_path: Path) -> None:
    path = tmp_path / "deep.toml"
    path.write_text(f"law = {NESTED[name]}\n", encoding="utf-8")
    with pytest.raises(ProblemError, match=r"deep\.toml.*(nested too deeply|must be a table)"):
        load_problem(path)


@pytest.mark.parametrize("key", LARGE)
def test_numbers_that_no_machine_holds_are_refused(key: str, tmp_path: Path) -> None:
    path, (table, entry), (number, words) = tmp_path / "large.toml", key.split("."), LARGE[key]
    text = {name: {field: repr(value) for field, value in SMALL.get(name, {}).items()} for name in (*SMALL, table)}
    text[table][entry] = number
    lines = [
        f"[{name}]\n" + "".join(f"{field} = {value}\n" for field, value in body.items()) for name, body in text.items()
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(ProblemError, match=r"large\.toml") as caught:
        load_problem(path)
    assert words in str(caught.value)


@pytest.mark.parametrize("override", BAD, ids=lambda override: override.replace("\n", " "))
def test_bad_entries_are_refused_with_their_name(override: str) -> None:
    assert BAD[override] in refusal(override)


@pytest.mark.parametrize(
    ("table", "key"),
    [("law", "samples_per_feature"), ("network", "hidden"), ("run", "num_steps"), ("method", "learning_rate")],
)
def test_missing_entries_are_named(table: str, key: str) -> None:
    problem = copy.deepcopy(SMALL)
    del problem[table][key]
    with pytest.raises(ProblemError, match=f"`{table}.{key}` is missing: "):
        parse_problem(problem)


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "problem.toml"
    with pytest.raises(ProblemError, match=r"There is no file .*problem\.toml\. `dyntheory new"):
        load_problem(path)
    with pytest.raises(ProblemError, match="cannot be read"):
        load_problem(tmp_path)
    for content in (b"law = [", b"\xff\xfe\x00"):
        path.write_bytes(content)
        with pytest.raises(ProblemError, match=r"problem\.toml is not TOML: "):
            load_problem(path)
    path.write_text("\ufeff" + template(), encoding="utf-8")
    assert load_problem(path).predict["num_steps"] == 20
    path.write_text("[lwa]\n", encoding="utf-8")
    with pytest.raises(ProblemError, match=r"problem\.toml: Unknown table 'lwa'\. Did you mean 'law'\?"):
        load_problem(path)


def test_the_law_may_be_left_out_where_data_come_from_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "method.toml"
    path.write_text("[network]\nhidden = [2]\n[method]\nlearning_rate = 0.1\n[run]\nnum_steps = 1\n", encoding="utf-8")
    assert load_problem(path, law_optional=True).method.num_units == 2
    with pytest.raises(ProblemError, match=r"`law\.samples_per_feature` is missing"):
        load_problem(path)

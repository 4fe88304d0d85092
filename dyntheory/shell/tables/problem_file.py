"""Problems in TOML: the same dataclasses written down.

A table of the file is an object or the keywords of a verb, a key is one of its arguments. Names are looked up in
tables of names; nothing is ever evaluated. Every error names the table and the key.
"""

from __future__ import annotations

import contextlib
import copy
import importlib.resources
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from dyntheory.ground.checks import check_count, check_finite
from dyntheory.ground.names import check_name
from dyntheory.problem.laws.datasets import DATASETS
from dyntheory.problem.laws.first_layer import FirstLayer, joint_second_moment
from dyntheory.problem.laws.inputs import INPUTS
from dyntheory.problem.laws.law import TeacherStudent
from dyntheory.shell.tables.entries import (
    BOUNDS,
    COUNT,
    COUNTS,
    FLAG,
    MATRIX,
    MOMENT,
    NAME,
    NAMES,
    NUMBER,
    OVER,
    check_entries,
    with_floats,
)
from dyntheory.shell.tables.law_table import LAWS, read_law, with_files
from dyntheory.shell.tables.method_table import (
    METHOD_NAMES,
    NETWORKS,
    TRAINED,
    has_network,
    method_kinds,
    read_method,
    read_network,
)
from dyntheory.shell.tables.overrides import apply_overrides
from dyntheory.shell.tables.problem import Problem, ProblemError
from dyntheory.verbs.simulation.matrix_choice import MATRICES

FIRST_LAYER = {"second_moment": MOMENT, "teacher_overlap": MATRIX}
RUN = {"num_steps": COUNT, "seed": COUNT, "num_heads": COUNT, "keep_preactivations": FLAG}
PREDICT = {"rtol": NUMBER, "num_nodes": COUNT}
SIMULATE = {
    **{"num_features": COUNT, "num_runs": COUNT, "inputs": NAME, "matrix": NAME, "dtype": NAME},
    **{"rtol": NUMBER, "max_runs": COUNT, "num_test_nodes": COUNT},
}
FINITE_SIZE = {"sizes": COUNTS, "num_runs": COUNT}
SWEEP = {"over": OVER, "train": FLAG}
DESIGN = {
    **{"over": BOUNDS, "tied": NAMES, "search": NAME, "early_stopping": FLAG, "confirm": FLAG},
    **{"population": COUNT, "max_sweeps": COUNT},
}
TABLES = ("law", "network", "method", "first_layer", "run", "predict", "simulate", "finite_size", "sweep", "design")
DEFAULTS: dict[str, dict[str, Any]] = {
    "law": {"kind": "teacher_student"},
    "network": {"kind": "mlp"},
    "method": {"kind": TRAINED, "optimizer": "sgd", "loss": "squared"},
    "run": {"seed": 0, "keep_preactivations": False},
    "simulate": {"num_features": 1000, "num_runs": 20, "inputs": "gaussian", "matrix": "dense"},
    "finite_size": {"num_runs": 200},
}
TOO_DEEP = "holds lists or tables nested too deeply: no entry of a problem needs more than a matrix in a table."
UNUSED_LAW = {"samples_per_feature": 1.0}


def template() -> str:
    """Return the commented problem that `dyntheory new` writes; it runs in a few seconds."""
    return importlib.resources.files("dyntheory.shell.tables").joinpath("template.toml").read_text(encoding="utf-8")


def load_problem(path: str | Path, *, overrides: Sequence[str] = (), law_optional: bool = False) -> Problem:
    """Read a problem from a TOML file.

    Args:
        path: the file.
        overrides: assignments such as "method.learning_rate=0.3" that replace entries of the file; see
            `dyntheory.shell.tables.overrides.apply_overrides`.
        law_optional: whether [law] may be left out, for data that come from elsewhere.

    Raises:
        ProblemError: the file is missing, is not TOML, or does not describe a problem.
    """
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ProblemError(f"There is no file {path}. `dyntheory new {path}` writes a template there.") from None
    except RecursionError:
        raise ProblemError(f"{path} {TOO_DEEP}") from None
    except ValueError as error:  # no TOML, no UTF-8, an integer of thousands of digits
        raise ProblemError(f"{path} is not TOML: {error}") from error
    except OSError as error:
        raise ProblemError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        table = {"law": UNUSED_LAW, **table} if law_optional else table
        return parse_problem(table, overrides=overrides, directory=Path(path).parent)
    except ProblemError as error:
        raise ProblemError(f"{path}: {error}") from error
    except RecursionError:
        raise ProblemError(f"{path} {TOO_DEEP}") from None


def parse_problem(table: Mapping[str, Any], *, overrides: Sequence[str] = (), directory: str | Path = ".") -> Problem:
    """Make a problem of nested dictionaries, as `tomllib` reads them.

    Args:
        table: the tables law, network, method, first_layer, run, predict, simulate, finite_size, sweep, design; all
            but law, network and run may be left out.
        overrides: see `load_problem`.
        directory: where the names of files in it start.

    Raises:
        ProblemError: an unknown table, key or name, a value of the wrong kind or outside its range.
    """
    with _located():
        tables = _fill(with_floats(apply_overrides(copy.deepcopy(dict(table)), overrides, known_keys=known_keys)))
    with _located("law"):
        tables["law"] = with_files(tables["law"], Path(directory))
        law = read_law(tables["law"])
    with _located("network"):
        network = read_network(tables["network"], tables["method"])
    with _located("method"):
        method = read_method(tables["method"], network, num_outputs=law.num_outputs)
    with _located("first_layer"):
        start = _first_layer(tables["first_layer"], law, method.num_units)
    common = {**_run(tables["run"]), **start}
    with _located("predict"):
        check_entries("predict", tables["predict"], PREDICT)
    with _located("simulate"):
        _check_simulate(tables["simulate"], common.get("num_heads", 1))
    with _located("finite_size"):
        check_entries("finite_size", tables["finite_size"], FINITE_SIZE)
        sizes = _finite_size(tables["finite_size"], tables["simulate"])
    for name, kinds in (("sweep", SWEEP), ("design", DESIGN)):
        with _located(name):
            check_entries(name, tables[name], kinds)
    predict, simulate = ({**common, **tables[name]} for name in ("predict", "simulate"))
    studied = {key: value for key, value in simulate.items() if key not in ("num_features", "keep_preactivations")}
    return Problem(law, method, predict, simulate, {**studied, **sizes}, tables)


@contextlib.contextmanager
def _located(table: str | None = None) -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError) as error:
        named = table is None or re.search(rf"`{table}\.|\[{table}[\].]", str(error))
        raise ProblemError(str(error) if named else f"[{table}] {error}") from error
    except (OverflowError, MemoryError) as error:
        raise ProblemError(f"[{table or 'law'}] holds a number that is too large ({error}).") from error


def _fill(table: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    for name, entries in table.items():
        check_name("table", name, TABLES)
        if not isinstance(entries, dict):
            raise TypeError(f"`{name}` must be a table, written [{name}], got {entries!r}.")
    filled = {name: {**DEFAULTS.get(name, {}), **table.get(name, {})} for name in TABLES}
    check_name("`method.kind`", filled["method"]["kind"], METHOD_NAMES)
    if not has_network(filled["method"]):
        filled |= {name: dict(table.get(name, {})) for name in ("network", "method")}
    return filled


def known_keys(tables: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what may be written in every table, given the kinds and the optimizers."""
    filled = _fill(tables)
    law = LAWS.get(str(filled["law"]["kind"]), LAWS["teacher_student"])
    network = NETWORKS.get(str(filled["network"].get("kind")), NETWORKS["mlp"])
    named = ({"kind": NAME, **choice.kinds} for choice in (law, network))
    kinds = (*named, method_kinds(filled["method"]), FIRST_LAYER, RUN, PREDICT, SIMULATE, FINITE_SIZE, SWEEP, DESIGN)
    return {table: list(keys) for table, keys in zip(TABLES, kinds, strict=True)}


def _first_layer(entries: Mapping[str, Any], law: TeacherStudent, num_units: int) -> dict[str, FirstLayer]:
    check_entries("first_layer", entries, FIRST_LAYER)
    if not entries:
        return {}
    for name, numbers in entries.items():
        check_finite(name, numbers)
    moment = entries.get("second_moment")
    if moment is not None:
        moment = np.asarray(moment, dtype=float)
        moment = moment * np.eye(num_units) if moment.ndim == 0 else moment
    overlap = entries.get("teacher_overlap")
    layer = FirstLayer(second_moment=moment, teacher_overlap=None if overlap is None else np.asarray(overlap, float))
    joint_second_moment(layer, law.teacher_moment, num_units)
    return {"first_layer": layer}


def _run(entries: Mapping[str, Any]) -> dict[str, Any]:
    with _located("run"):
        check_entries("run", entries, RUN, required={"num_steps": "how many updates to follow"})
        check_count("num_steps", entries["num_steps"], minimum=0)
        seed = check_count("seed", entries["seed"], minimum=0)
        if "num_heads" in entries:
            check_count("num_heads", entries["num_heads"])
    return {"key": jax.random.key(seed), **{key: value for key, value in entries.items() if key != "seed"}}


def _finite_size(entries: Mapping[str, Any], simulate: Mapping[str, Any]) -> dict[str, Any]:
    """Return sizes, by default a quarter, a half and all of those of the simulation, and the number of runs."""
    largest = simulate["num_features"]
    sizes = entries.get("sizes", [max(largest // 4, 1), max(largest // 2, 2), max(largest, 3)])
    return {"sizes": tuple(check_count("sizes", size) for size in sizes), "num_runs": entries["num_runs"]}


def _check_simulate(entries: Mapping[str, Any], num_heads: int) -> None:
    check_entries("simulate", entries, SIMULATE)
    check_count("num_features", entries["num_features"])
    if check_count("num_runs", entries["num_runs"]) % num_heads:
        raise ValueError(f"`num_runs` must be a multiple of `run.num_heads` = {num_heads}, got {entries['num_runs']}.")
    check_name("`simulate.inputs`", entries["inputs"], [*INPUTS, *DATASETS])
    check_name("`simulate.matrix`", entries["matrix"], MATRICES)

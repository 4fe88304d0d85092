"""Problems in TOML: the same dataclasses written down.

A table of the file is an object or the keywords of a verb, a key is one of its arguments. Names are looked up in
tables of names; nothing is ever evaluated. Every error names the table and the key.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import importlib.resources
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from dyntheory._checks import check_count, check_name
from dyntheory.datasets import DATASETS
from dyntheory.first_layer import FirstLayer, joint_second_moment
from dyntheory.inputs import INPUTS
from dyntheory.kinds import COUNT, COUNTS, FLAG, MATRIX, MOMENT, NAME, NUMBER, RATE, Kind, check_entries
from dyntheory.law import TeacherStudent
from dyntheory.losses import resolve_loss
from dyntheory.matrix_choice import MATRICES
from dyntheory.method import GeneralFirstOrderMethod
from dyntheory.methods.gradient_descent import gradient_descent
from dyntheory.network import MLP, LinearModel, Network
from dyntheory.optimizers import FROZEN, OPTIMIZERS, build_schedule, is_flag, missing_numbers, numbers_of
from dyntheory.overrides import apply_overrides


class ProblemError(ValueError):
    """A problem that cannot be read; the text names the file, the table and the key."""


@dataclasses.dataclass(frozen=True)
class Problem:
    """A problem read from TOML.

    Args:
        law: the data.
        method: the algorithm.
        predict: keywords of `dyntheory.predict`.
        simulate: keywords of `dyntheory.simulate`; `inputs` may be the name of a data set.
        finite_size: keywords of `dyntheory.finite_size`: those of `simulate`, with several sizes.
        table: the tables as they were read, defaults filled in; belongs to the provenance of what is computed.
    """

    law: TeacherStudent
    method: GeneralFirstOrderMethod
    predict: dict[str, Any]
    simulate: dict[str, Any]
    finite_size: dict[str, Any]
    table: dict[str, dict[str, Any]]

    def simulate_arguments(self) -> dict[str, Any]:
        """Return the keywords of `dyntheory.simulate`, the name of a data set replaced by its rows.

        Raises:
            ModuleNotFoundError: the data set needs a package that is not installed.
            ProblemError: `num_features` is not the number of its columns.
        """
        inputs, num_features = self.simulate["inputs"], self.simulate["num_features"]
        if inputs not in DATASETS:
            return self.simulate
        rows = DATASETS[inputs]()
        if rows.shape[1] != num_features:
            raise ProblemError(
                f"`simulate.num_features` must be {rows.shape[1]}, the columns of {inputs!r}, got {num_features}."
            )
        return {**self.simulate, "inputs": rows}


NETWORKS: dict[str, tuple[Callable[..., Network], dict[str, Kind]]] = {
    "mlp": (
        MLP,
        {"hidden": COUNTS, "activation": NAME, "num_outputs": COUNT, "use_bias": FLAG, "initialization": NAME},
    ),
    "linear": (LinearModel, {}),
}
LAW = {"samples_per_feature": NUMBER, "link": NAME, "noise_std": NUMBER, "teacher_second_moment": MOMENT}
FIRST_LAYER = {"second_moment": MOMENT, "teacher_overlap": MATRIX}
RUN = {"num_steps": COUNT, "seed": COUNT, "num_heads": COUNT, "keep_preactivations": FLAG}
PREDICT = {"rtol": NUMBER, "num_nodes": COUNT}
SIMULATE = {
    **{"num_features": COUNT, "num_runs": COUNT, "inputs": NAME, "matrix": NAME, "dtype": NAME},
    **{"rtol": NUMBER, "max_runs": COUNT, "num_test_nodes": COUNT},
}
FINITE_SIZE = {"sizes": COUNTS, "num_runs": COUNT}
TABLES = ("law", "network", "method", "first_layer", "run", "predict", "simulate", "finite_size")
DEFAULTS: dict[str, dict[str, Any]] = {
    "network": {"kind": "mlp"},
    "method": {"optimizer": "sgd", "loss": "squared"},
    "run": {"seed": 0, "keep_preactivations": False},
    "simulate": {"num_features": 1000, "num_runs": 20, "inputs": "gaussian", "matrix": "dense"},
    "finite_size": {"num_runs": 200},
}


def template() -> str:
    """Return the commented problem that `dyntheory new` writes; it runs in a few seconds."""
    return importlib.resources.files("dyntheory").joinpath("template.toml").read_text(encoding="utf-8")


def load_problem(path: str | Path, *, overrides: Sequence[str] = ()) -> Problem:
    """Read a problem from a TOML file.

    Args:
        path: the file.
        overrides: assignments such as "method.learning_rate=0.3" that replace entries of the file; see
            `dyntheory.overrides.apply_overrides`.

    Raises:
        ProblemError: the file is missing, is not TOML, or does not describe a problem.
    """
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ProblemError(f"There is no file {path}. `dyntheory new {path}` writes a template there.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProblemError(f"{path} is not TOML: {error}") from error
    except OSError as error:
        raise ProblemError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        return parse_problem(table, overrides=overrides)
    except ProblemError as error:
        raise ProblemError(f"{path}: {error}") from error


def parse_problem(table: Mapping[str, Any], *, overrides: Sequence[str] = ()) -> Problem:
    """Make a problem of nested dictionaries, as `tomllib` reads them.

    Args:
        table: the tables law, network, method, first_layer, run, predict, simulate, finite_size; all but law, network
            and run may be left out.
        overrides: see `load_problem`.

    Raises:
        ProblemError: an unknown table, key or name, a value of the wrong kind or outside its range.
    """
    with _located():
        tables = _fill(apply_overrides(copy.deepcopy(dict(table)), overrides, known_keys=_known_keys))
    with _located("law"):
        check_entries("law", tables["law"], LAW, required={"samples_per_feature": "it is n/d"})
        law = TeacherStudent(**tables["law"])
    with _located("network"):
        network = _network(tables["network"])
    with _located("method"):
        method = _method(tables["method"], network)
    with _located("first_layer"):
        start = _first_layer(tables["first_layer"], law, network)
    common = {**_run(tables["run"]), **start}
    with _located("predict"):
        check_entries("predict", tables["predict"], PREDICT)
    with _located("simulate"):
        _check_simulate(tables["simulate"], common.get("num_heads", 1))
    with _located("finite_size"):
        check_entries("finite_size", tables["finite_size"], FINITE_SIZE)
        sizes = _finite_size(tables["finite_size"], tables["simulate"])
    predict, simulate = ({**common, **tables[name]} for name in ("predict", "simulate"))
    studied = {key: value for key, value in simulate.items() if key not in ("num_features", "keep_preactivations")}
    return Problem(law, method, predict, simulate, {**studied, **sizes}, tables)


@contextlib.contextmanager
def _located(table: str | None = None) -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError) as error:
        named = table is None or re.search(rf"`{table}\.|\[{table}\]", str(error))
        raise ProblemError(str(error) if named else f"[{table}] {error}") from error


def _fill(table: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    for name, entries in table.items():
        check_name("table", name, TABLES)
        if not isinstance(entries, dict):
            raise TypeError(f"`{name}` must be a table, written [{name}], got {entries!r}.")
    return {name: {**DEFAULTS.get(name, {}), **table.get(name, {})} for name in TABLES}


def _known_keys(tables: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what may be written in every table, given the kind of network and the optimizers."""
    filled = _fill(tables)
    _, network = NETWORKS.get(str(filled["network"]["kind"]), NETWORKS["mlp"])
    method = filled["method"]
    names = (str(method["optimizer"]), str(method.get("head_optimizer", method["optimizer"])))
    first, head = (OPTIMIZERS.get(name, OPTIMIZERS["sgd"]) for name in names)
    kinds = (
        LAW,
        {"kind": NAME, **network},
        _method_kinds(first, head),
        FIRST_LAYER,
        RUN,
        PREDICT,
        SIMULATE,
        FINITE_SIZE,
    )
    return {table: list(keys) for table, keys in zip(TABLES, kinds, strict=True)}


def _network(entries: Mapping[str, Any]) -> Network:
    name = check_name("`network.kind`", entries["kind"], NETWORKS)
    factory, kinds = NETWORKS[name]
    required = {"hidden": "the widths of the hidden layers, such as [3, 3]"} if "hidden" in kinds else {}
    check_entries("network", entries, {"kind": NAME, **kinds}, required=required, choice="kind")
    arguments = {key: value for key, value in entries.items() if key != "kind"}
    if "hidden" in arguments:
        arguments["hidden"] = tuple(arguments["hidden"])
    return factory(**arguments)


def _method_kinds(first: Callable[..., Any], head: Callable[..., Any]) -> dict[str, Kind]:
    kinds = {"optimizer": NAME, "head_optimizer": NAME, "loss": NAME}
    for prefix, factory in (("", first), ("head_", head)):
        for name, parameter in numbers_of(factory).items():
            number = RATE if name == "learning_rate" else NUMBER
            kinds[prefix + name] = FLAG if is_flag(parameter) else number
    return kinds


def _method(entries: Mapping[str, Any], network: Network) -> GeneralFirstOrderMethod:
    choices = {name for name in OPTIMIZERS if name != FROZEN}
    first = OPTIMIZERS[check_name("`method.optimizer`", entries["optimizer"], choices)]
    name = entries.get("head_optimizer")
    head = first if name is None else OPTIMIZERS[check_name("`method.head_optimizer`", name, OPTIMIZERS)]
    needed = dict.fromkeys(missing_numbers(first, {}), f"the optimizer {entries['optimizer']!r} needs it")
    if name is not None:
        needed |= {f"head_{number}": f"the optimizer {name!r} needs it" for number in missing_numbers(head, {})}
    check_entries("method", entries, _method_kinds(first, head), required=needed, choice="optimizer")
    numbers = {
        key: build_schedule(f"method.{key}", value) if isinstance(value, dict) else value
        for key, value in entries.items()
        if key not in ("optimizer", "head_optimizer", "loss")
    }
    head_optimizer = None if name is None else head
    return gradient_descent(
        network, first, loss=resolve_loss(entries["loss"]), head_optimizer=head_optimizer, **numbers
    )


def _first_layer(entries: Mapping[str, Any], law: TeacherStudent, network: Network) -> dict[str, FirstLayer]:
    check_entries("first_layer", entries, FIRST_LAYER)
    if not entries:
        return {}
    moment = entries.get("second_moment")
    if moment is not None:
        moment = np.asarray(moment, dtype=float)
        moment = moment * np.eye(network.num_units) if moment.ndim == 0 else moment
    overlap = entries.get("teacher_overlap")
    layer = FirstLayer(second_moment=moment, teacher_overlap=None if overlap is None else np.asarray(overlap, float))
    joint_second_moment(layer, law.teacher_moment, network.num_units)
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

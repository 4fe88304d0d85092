"""A problem as lines of Python that compute the same numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dyntheory.problem.laws.datasets import DATASETS
from dyntheory.shell.explorer.work import Level
from dyntheory.shell.tables.law_table import LAWS, PRIORS, SPECTRA
from dyntheory.shell.tables.method_table import METHODS, NETWORKS, WRAPPERS, has_network
from dyntheory.shell.tables.optimizers import FROZEN, OPTIMIZERS, SCHEDULE_FACTORIES, piecewise
from dyntheory.shell.tables.problem import Problem

LONGEST_LINE = 100
Choices = Mapping[str, Any]


def python_lines(problem: Problem, level: Level, *, simulated: bool) -> str:
    """Return a script.

    Args:
        problem: what the page shows.
        level: the accuracy that it shows.
        simulated: whether it shows a simulation too.
    """
    table = problem.table
    imports = ["import dyntheory as dt", "import jax", *(["import optax"] if has_network(table["method"]) else [])]
    imports += ["import numpy as np"] if table["first_layer"] else []
    inputs, lines = table["simulate"]["inputs"], _problem_lines(problem)
    if simulated and inputs in DATASETS:
        imports.append("from dyntheory.problem.laws.datasets import DATASETS")
    start = ["first_layer=first_layer"] if table["first_layer"] else []
    predict = [*_keywords(level.keywords), *start, "key=key"]
    lines.append(_call_of("theory = dt.predict", ["law", "method", *predict]))
    if not simulated:
        return _script(imports, [*lines, "dt.plot.curves(theory).savefig('curves.png')"])
    asked = _keywords({key: value for key, value in problem.simulate.items() if key != "inputs"})
    rows = f"inputs=DATASETS[{inputs!r}]()" if inputs in DATASETS else f"inputs={inputs!r}"
    lines += [
        _call_of("simulation = dt.simulate", ["law", "method", *asked, rows, *start, "key=key"]),
        "print(dt.compare(theory, simulation))",
        "dt.plot.curves(theory, simulation).savefig('curves.png')",
    ]
    return _script(imports, lines)


def _script(imports: Sequence[str], lines: Sequence[str]) -> str:
    """Return the file; names are all checked, so that no quote stands inside another."""
    return "\n".join([*imports, "", *lines, ""]).replace("'", '"')


def _call_of(function: str, arguments: Sequence[str]) -> str:
    """Return a call on one line, or on one line for each argument where that is too long."""
    line = f"{function}({', '.join(arguments)})"
    if len(line) <= LONGEST_LINE:
        return line
    return "\n    ".join([f"{function}(", *(f"{argument}," for argument in arguments)]) + "\n)"


def _keywords(given: Mapping[str, Any]) -> list[str]:
    return [f"{key}={value!r}" for key, value in given.items() if key not in ("key", "first_layer")]


def _problem_lines(problem: Problem) -> list[str]:
    table = problem.table
    lines = [f"key = jax.random.key({table['run']['seed']})", "law = " + _call("dt.", table["law"], LAWS)]
    entries = table["method"]
    if has_network(entries):
        lines += [f"network = {_call('dt.', table['network'], NETWORKS)}", f"method = {_trained(entries)}"]
    else:
        given = {key: value for key, value in entries.items() if key not in WRAPPERS}
        lines.append(f"method = {_call('dt.', given, METHODS)}")
    for name in WRAPPERS:
        if name in entries:
            numbers = _arguments(entries[name])
            numbers += [f"num_outputs={problem.law.num_outputs}"] if name == "label_noise" else []
            lines.append(f"method = dt.{name}(method, {', '.join(numbers)})")
    if table["first_layer"]:
        lines.append(f"first_layer = dt.FirstLayer({', '.join(_first_layer(table['first_layer'], problem))})")
    return lines


def _call(prefix: str, entries: Mapping[str, Any], choices: Choices) -> str:
    """Return the call that the `kind` of a table stands for."""
    given = {key: value for key, value in entries.items() if key != "kind"}
    return f"{prefix}{choices[entries['kind']].make.__name__}({', '.join(_arguments(given))})"


def _arguments(entries: Mapping[str, Any]) -> list[str]:
    return [f"{key}={_value(key, value)}" for key, value in entries.items()]


def _value(key: str, value: Any) -> str:
    if key in ("teacher_prior", "prior"):
        if isinstance(value, list):
            return f"({', '.join(_value(key, one) for one in value)},)"
        return _call("dt.priors.", value, PRIORS)
    if key == "features":
        return _call("dt.spectra.", value, SPECTRA)
    if key == "hidden":
        return repr(tuple(value))
    if isinstance(value, dict):
        return _schedule(value)
    return repr(value)


def _trained(entries: Mapping[str, Any]) -> str:
    numbers: dict[str, Any] = {k: v for k, v in entries.items() if k not in (*WRAPPERS, "kind", "loss")}
    parts = ["network"]
    if (scheduled := piecewise(entries)) is not None:
        steps, rates = entries["learning_rate"]["num_steps"], scheduled[1]
        numbers = {key: value for key, value in numbers.items() if key not in ("optimizer", "learning_rate")} | rates
        parts.append(f"dt.piecewise_sgd({steps}, {len(rates)})")
    for key, value in numbers.items():
        is_optimizer = key in ("optimizer", "head_optimizer")
        parts.append(f"{key}={_optimizer(value) if is_optimizer else _value(key, value)}")
    parts.append(f"loss={entries['loss']!r}")
    return _call_of("dt.gradient_descent", parts)


def _optimizer(name: str) -> str:
    return f"optax.{OPTIMIZERS[name].__name__ if name == FROZEN else name}"


def _schedule(entries: Mapping[str, Any]) -> str:
    numbers = []
    for key, value in entries.items():
        if key != "schedule":
            numbers.append(f"{key}={_boundaries(value) if isinstance(value, dict) else repr(value)}")
    return f"optax.{SCHEDULE_FACTORIES[entries['schedule']]}({', '.join(numbers)})"


def _boundaries(value: Mapping[str, Any]) -> str:
    return repr({int(step): factor for step, factor in value.items()})


def _first_layer(entries: Mapping[str, Any], problem: Problem) -> list[str]:
    moment = entries.get("second_moment")
    given = dict(entries)
    if moment is not None and not isinstance(moment, list):
        size = problem.method.num_units
        given["second_moment"] = [[float(moment) if row == col else 0.0 for col in range(size)] for row in range(size)]
    return [f"{key}=np.array({value!r})" for key, value in given.items()]

"""The controls of the page: which entry of a problem's table each of them writes.

A control holds the text that a person typed. A text is a value of TOML, as after `--set`; an empty one leaves the entry
out, so that the library's own default, or its own complaint, is what holds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from dyntheory.ground.checks import check_count
from dyntheory.problem.laws.links import LINKS
from dyntheory.problem.networks.activations import ACTIVATIONS
from dyntheory.shell.explorer.toml_text import value_text
from dyntheory.shell.tables.law_table import LAWS
from dyntheory.shell.tables.method_table import NETWORKS, has_network, method_kinds
from dyntheory.shell.tables.optimizers import FROZEN, OPTIMIZERS
from dyntheory.shell.tables.overrides import parse_value
from dyntheory.shell.tables.problem_file import DEFAULTS

Table = dict[str, Any]


class Slider(NamedTuple):
    """What a slider beside a control reaches; what is typed may lie beyond.

    Args:
        low: at its left end.
        high: at its right end.
        is_log: whether it moves by factors.
        is_count: whether it stops at integers.
    """

    low: float
    high: float
    is_log: bool = False
    is_count: bool = False


@dataclasses.dataclass(frozen=True)
class Control:
    """One control.

    Args:
        name: in the address and in the texts.
        group: the part of the form that it stands in.
        table: of the entry that it writes, and
        key: of that entry.
        slider: beside the text, if there is one.
        choices: what may be chosen, for a control without free text.
        default: shown where nothing is written.
    """

    name: str
    group: str
    table: str
    key: str
    slider: Slider | None = None
    choices: tuple[str, ...] = ()
    default: str = ""


WIDTH, DEPTH, HIDDEN = "width", "depth", "hidden"
DEEPEST = 1000  # layers that are written out in a list
CONTROLS = (
    Control("samples_per_feature", "data", "law", "samples_per_feature", Slider(0.25, 16.0, is_log=True)),
    Control("noise_std", "data", "law", "noise_std", Slider(0.0, 2.0), default="0.0"),
    Control("link", "data", "law", "link", choices=tuple(sorted(LINKS)), default="linear"),
    Control(WIDTH, "network", "network", HIDDEN, Slider(1, 8, is_count=True)),
    Control(DEPTH, "network", "network", HIDDEN, Slider(1, 5, is_count=True)),
    Control("activation", "network", "network", "activation", choices=tuple(sorted(ACTIVATIONS)), default="tanh"),
    Control(
        *("optimizer", "method", "method", "optimizer"),
        choices=tuple(name for name in OPTIMIZERS if name != FROZEN),
        default="sgd",
    ),
    Control("learning_rate", "method", "method", "learning_rate", Slider(0.003, 3.0, is_log=True)),
    Control("momentum", "method", "method", "momentum", Slider(0.0, 0.99)),
    Control("num_steps", "run", "run", "num_steps", Slider(1, 100, is_count=True)),
    Control("seed", "run", "run", "seed", default=str(DEFAULTS["run"]["seed"])),
    Control(
        *("num_features", "simulation", "simulate", "num_features"), default=str(DEFAULTS["simulate"]["num_features"])
    ),
    Control("num_runs", "simulation", "simulate", "num_runs", default=str(DEFAULTS["simulate"]["num_runs"])),
)
GROUPS = tuple(dict.fromkeys(control.group for control in CONTROLS))
Texts = dict[str, str]


def read_texts(table: Mapping[str, Any]) -> Texts:
    """Return the texts of all controls for a table."""
    return {control.name: _READ.get(control.name, _read)(control, table) for control in CONTROLS}


def without_controls(table: Mapping[str, Any]) -> Table:
    """Return what a table holds beyond the controls; tables that are empty then are left out."""
    keys = {(control.table, control.key) for control in CONTROLS}
    rest: Table = {}
    for name, entries in table.items():
        if not isinstance(entries, dict):
            rest[name] = entries
            continue
        kept = {key: value for key, value in entries.items() if (name, key) not in keys}
        if kept:
            rest[name] = kept
    return rest


def written(rest: Mapping[str, Any], texts: Mapping[str, str]) -> Table:
    """Return the table of a problem: the rest, with what the controls say.

    Raises:
        TypeError: a depth that is no integer.
        ValueError: a text that is no value of TOML, a part of the rest that is no table.
    """
    table = {name: dict(entries) if isinstance(entries, dict) else entries for name, entries in rest.items()}
    for control in CONTROLS:
        if control.name == DEPTH or not applies(control, table):
            continue
        value = _hidden(texts) if control.name == WIDTH else _value(control, texts)
        if value is not None:
            entries = table.setdefault(control.table, {})
            if not isinstance(entries, dict):
                raise ValueError(f"`{control.table}` must be a table, got {entries!r}.")
            entries[control.key] = value
    return table


def applies(control: Control, table: Mapping[str, Any]) -> bool:
    """Return whether a problem with these kinds has what a control writes."""
    law, network, method = (_entries(table, name) for name in ("law", "network", "method"))
    if control.table == "law":
        return control.key in LAWS.get(str(law.get("kind")), LAWS["teacher_student"]).kinds
    if control.table == "network":
        return has_network(method) and control.key in NETWORKS.get(str(network.get("kind")), NETWORKS["mlp"]).kinds
    if control.table == "method":
        return control.key in method_kinds({"optimizer": "sgd", **method})
    return True


def listed_widths(texts: Mapping[str, str]) -> bool:
    """Return whether the width is a list, one number a layer, which says the depth itself."""
    return texts.get(WIDTH, "").lstrip().startswith("[")


def _entries(table: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    entries = table.get(name, {})
    return entries if isinstance(entries, dict) else {}


def _read(control: Control, table: Mapping[str, Any]) -> str:
    value = _entries(table, control.table).get(control.key)
    return "" if value is None else value if isinstance(value, str) and control.choices else value_text(value)


def _read_width(control: Control, table: Mapping[str, Any]) -> str:
    hidden = _entries(table, control.table).get(HIDDEN)
    if hidden is None:
        return ""
    is_equal = isinstance(hidden, list) and hidden and all(width == hidden[0] for width in hidden)
    return value_text(hidden[0] if is_equal else hidden)


def _read_depth(control: Control, table: Mapping[str, Any]) -> str:
    hidden = _entries(table, control.table).get(HIDDEN)
    return str(len(hidden)) if isinstance(hidden, list) else ""


_READ: dict[str, Callable[[Control, Mapping[str, Any]], str]] = {WIDTH: _read_width, DEPTH: _read_depth}


def _value(control: Control, texts: Mapping[str, str]) -> Any:
    text = texts.get(control.name, "").strip()
    if not text:
        return None
    if control.choices:
        return text
    value = _parsed(control.name, text)
    is_real = control.slider is not None and not control.slider.is_count
    return float(value) if is_real and type(value) is int else value


def _hidden(texts: Mapping[str, str]) -> Any:
    text = texts.get(WIDTH, "").strip()
    if not text:
        return None
    width = _parsed(WIDTH, text)
    if isinstance(width, list):
        return width
    depth = texts.get(DEPTH, "").strip()
    count = check_count(DEPTH, _parsed(DEPTH, depth) if depth else 1)
    if count > DEEPEST:
        raise ValueError(f"`{DEPTH}` must be at most {DEEPEST}, got {count}.")
    return [width] * count


def _parsed(name: str, text: str) -> Any:
    try:
        return parse_value(text)
    except ValueError as error:
        raise ValueError(f"`{name}`: {error}") from error

"""What the page shows: the table of a problem as controls and a rest, and both as the query of an address."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from dyntheory.shell.explorer.controls import CONTROLS, Table, Texts, read_texts, without_controls, written
from dyntheory.shell.explorer.texts import LANGUAGES

AXES = ("auto", "linear", "log")
VIEW = {"language": tuple(LANGUAGES), "axis": AXES}
REST, OF_THE_FILE, TOKEN = "rest", "file", "token"
LONGEST_REST = 1500  # characters of an address; browsers take some thousands in all


@dataclasses.dataclass(frozen=True)
class State:
    """What the page shows.

    Args:
        rest: what the table holds beyond the controls.
        texts: of the controls, as they were typed.
        view: language, and scale of the error axis.
    """

    rest: Table
    texts: Texts
    view: dict[str, str]

    @classmethod
    def of_table(cls, table: Mapping[str, Any]) -> State:
        """Return the state that shows a table."""
        view = {name: choices[0] for name, choices in VIEW.items()}
        return cls(without_controls(table), read_texts(table), view)

    @property
    def table(self) -> Table:
        """The nested table of the problem, as a file would hold it.

        Raises:
            TypeError: see `dyntheory.shell.explorer.controls.written`.
            ValueError: the same.
        """
        return written(self.rest, self.texts)

    def edited(self, name: str, text: str) -> State:
        """Return the state after a person changed one control or one part of the view."""
        if name in VIEW:
            text = text if text in VIEW[name] else VIEW[name][0]
            return dataclasses.replace(self, view={**self.view, name: text})
        return dataclasses.replace(self, texts={**self.texts, name: text})

    def query(self, start: State) -> dict[str, str]:
        """Return the query of an address that shows this state again.

        Args:
            start: the state at the command line's start; a rest too long for an address is not written if it is that
                one's, as "file".
        """
        query = {name: text for name, text in self.texts.items() if text}
        rest = json.dumps(self.rest, separators=(",", ":"))
        if len(rest) > LONGEST_REST and self.rest == start.rest:
            rest = OF_THE_FILE
        if self.rest:
            query[REST] = rest
        return query | {name: text for name, text in self.view.items() if text != VIEW[name][0]}


def from_query(query: Mapping[str, Sequence[str]], start: State) -> State:
    """Return the state of an address.

    Args:
        query: the values of every name, as `urllib.parse.parse_qs` gives them; names of nothing are left alone.
        start: the state at the command line's start, taken where the address says nothing of the problem.

    Raises:
        ValueError: a rest that is not one.
    """
    last = {name: values[-1] for name, values in query.items() if values}
    view = {name: last[name] if last.get(name) in choices else choices[0] for name, choices in VIEW.items()}
    names = [control.name for control in CONTROLS]
    if REST not in last and not any(name in last for name in names):
        return dataclasses.replace(start, view=view)
    return State(_rest(last.get(REST, "{}"), start), {name: last.get(name, "") for name in names}, view)


def encoded(query: Mapping[str, str], token: str) -> str:
    """Return the part of an address from "?" on."""
    return "?" + urlencode({TOKEN: token, **query})


def _rest(text: str, start: State) -> Table:
    if text == OF_THE_FILE:
        return start.rest
    try:
        rest = json.loads(text)
    except (ValueError, RecursionError):
        rest = None
    if not isinstance(rest, dict):
        raise ValueError(f"`{REST}` in the address must be a table written in JSON, or {OF_THE_FILE!r}, got {text!r}.")
    return rest

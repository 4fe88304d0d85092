"""The controls as a Panel component; the browser's side is `form.js`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from dyntheory.shell.explorer.controls import CONTROLS, DEPTH, Control, applies, listed_widths
from dyntheory.shell.explorer.state import VIEW, State
from dyntheory.shell.explorer.texts import LANGUAGES

Texts = Mapping[str, str]
STYLE = """
:host, form { font: inherit; display: block; width: 100%; }
fieldset { border: 0; border-top: 1px solid #ccd3dc; margin: 0 0 0.7rem; padding: 0.2rem 0 0; }
legend { font-weight: 600; padding: 0 0.5rem 0 0; font-size: 0.95rem; }
.field { display: grid; grid-template-columns: 1fr 7.2rem; gap: 0.1rem 0.6rem; align-items: center; margin: 0.3rem 0; }
.field input[type=range] { grid-column: 1 / -1; width: 100%; margin: 0; accent-color: #0b3c78; }
.field input[type=text], .field select { font: inherit; width: 100%; box-sizing: border-box; padding: 0.22rem 0.35rem;
  border: 1px solid #8592a3; border-radius: 4px; background: #fff; color: #16202c; }
.field :disabled { background: #eef1f4; color: #6b7683; }
button { font: inherit; padding: 0.3rem 0.8rem; border: 1px solid #8592a3; border-radius: 4px; background: #fff;
  color: #16202c; cursor: pointer; }
:focus-visible { outline: 2px solid #e8743b; outline-offset: 1px; }
"""


@functools.cache
def form_class() -> Any:
    """Return the component's class; Panel is imported with it."""
    import panel as pn
    import param

    class Form(pn.custom.JSComponent):
        """Controls with labels, and what a person changes as messages {name, text}."""

        fields = param.List(doc="what there is, see `fields_of`")
        values = param.Dict(doc="the texts of the controls after a load, by name")
        words = param.Dict(doc="other texts of the language")

        _esm = Path(__file__).with_name("form.js").read_text(encoding="utf-8")
        _stylesheets: ClassVar[list[str]] = [STYLE]
        hear: Callable[[dict[str, str]], None] = staticmethod(lambda message: None)

        def _handle_msg(self, data: dict[str, str]) -> None:
            self.hear(data)

    return Form


def fields_of(state: State, texts: Texts) -> list[dict[str, Any]]:
    """Return what the form shows in a state, in the language of `texts`."""
    try:
        table = state.table
    except (TypeError, ValueError):
        table = state.rest
    fields = [_field(control, state, table, texts) for control in CONTROLS]
    named = {"language": LANGUAGES, "axis": {name: texts[f"axis_{name}"] for name in VIEW["axis"]}}
    for name, labels in named.items():
        options = [{"value": value, "label": label} for value, label in labels.items()]
        fields.append(_plain(name, "view", texts) | {"is_choice": True, "options": options})
    return fields


def values_of(state: State) -> dict[str, str]:
    """Return the texts of all controls and of the view."""
    return {**state.texts, **state.view}


def words_of(state: State, texts: Texts) -> dict[str, str]:
    """Return the other texts of the form and of the document."""
    return {"reset": texts["reset"], "title": texts["title"], "language": state.view["language"]}


def _plain(name: str, group: str, texts: Texts) -> dict[str, Any]:
    return {
        "name": name,
        "group": group,
        "label": texts[name],
        "group_label": texts[f"group_{group}"],
        "slider_label": f"{texts[name]}, {texts['slider']}",
        "is_choice": False,
        "is_disabled": False,
        "placeholder": "",
        "slider": None,
        "options": [],
    }


def _field(control: Control, state: State, table: Mapping[str, Any], texts: Texts) -> dict[str, Any]:
    is_told = control.name == DEPTH and listed_widths(state.texts)
    field = _plain(control.name, control.group, texts)
    field["is_disabled"] = is_told or not applies(control, table)
    field["is_choice"] = bool(control.choices)
    field["placeholder"] = control.default or texts["none"]
    field["slider"] = None if control.slider is None else control.slider._asdict()
    if control.choices:
        held = state.texts.get(control.name, "")
        unset = f"{control.default} ({texts['unset']})"
        choices = [*control.choices, *([held] if held and held not in control.choices else [])]
        field["options"] = [{"value": "", "label": unset}, *({"value": one, "label": one} for one in choices)]
    return field

"""Both languages have the same texts, with the same places for numbers, and every control has a label."""

from __future__ import annotations

import string

import pytest

from dyntheory.shell.explorer.controls import CONTROLS, GROUPS
from dyntheory.shell.explorer.form import fields_of, values_of
from dyntheory.shell.explorer.state import VIEW, State
from dyntheory.shell.explorer.texts import LANGUAGES, TEXTS
from tests.shell.explorer.conftest import small


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_languages_have_the_same_texts() -> None:
    assert set(TEXTS) == set(LANGUAGES)
    english, japanese = TEXTS["en"], TEXTS["ja"]
    assert list(english) == list(japanese)
    for name, text in english.items():
        assert text and japanese[name]
        assert places(text) == places(japanese[name]), name


@pytest.mark.parametrize("language", TEXTS)
def test_every_control_has_a_label_and_a_group(language: str) -> None:
    state = State.of_table(small())
    fields = fields_of(state, TEXTS[language])
    assert [field["name"] for field in fields] == [*(control.name for control in CONTROLS), *VIEW]
    assert all(field["label"] and field["group_label"] for field in fields)
    assert set(values_of(state)) == {field["name"] for field in fields}
    assert {f"group_{group}" for group in GROUPS} <= set(TEXTS[language])


def test_controls_that_do_not_apply_are_disabled() -> None:
    method = {"kind": "lasso_amp", "threshold": 1.5}
    state = State.of_table({"law": {"samples_per_feature": 0.5}, "method": method, "run": {"num_steps": 2}})
    disabled = {field["name"] for field in fields_of(state, TEXTS["en"]) if field["is_disabled"]}
    assert disabled == {"width", "depth", "activation", "optimizer", "learning_rate", "momentum"}
    listed = State.of_table(small()).edited("width", "[3, 2]")
    assert [field["name"] for field in fields_of(listed, TEXTS["en"]) if field["is_disabled"]] == ["depth"]

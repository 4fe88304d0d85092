"""Imports run one way: by the rows of CONTRIBUTING.md between rooms, without a circle inside each."""

import graphlib
import importlib
import types

import pytest

from tests import ROOT
from tests.laws_of_the_house.imports import PACKAGE, between_children, graph, imports, modules, rows_of_the_house

EDGES = graph()
FOLDERS = sorted(name for name, path in modules().items() if path.name == "__init__.py")
MOST_ROWS = 14


def test_every_room_has_a_row() -> None:
    rows, shown = rows_of_the_house(), between_children("dyntheory", EDGES)
    assert len(rows) <= MOST_ROWS
    assert sorted(room for row in rows for room in row) == sorted(shown)


def test_a_folder_imports_only_folders_above_it_in_the_list() -> None:
    place = {room: index for index, row in enumerate(rows_of_the_house()) for room in row}
    upward = [
        f"{room} imports {target}"
        for room, targets in between_children("dyntheory", EDGES).items()
        for target in targets
        if place[target] >= place[room]
    ]
    assert not upward


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_folder_holds_a_circle(folder: str) -> None:
    tuple(graphlib.TopologicalSorter(between_children(folder, EDGES)).static_order())


def test_verbs_stand_beside_each_other_and_studies_on_them() -> None:
    verbs = between_children("dyntheory.verbs", EDGES)
    assert {verb for verb, targets in verbs.items() if targets} == {"studies"}


def test_a_circle_and_an_import_upwards_are_seen() -> None:
    """Negative controls: what the rules above are for, made on purpose."""
    known = {"dyntheory.ground.files", "dyntheory.verbs.prediction.predict", "dyntheory.verbs"}
    assert imports("def f():\n    from dyntheory.verbs.prediction import predict", known) == {
        "dyntheory.verbs.prediction.predict"
    }
    assert not imports("if TYPE_CHECKING:\n    from dyntheory.ground.files import check", known)
    circle = {"dyntheory.a.one": {"dyntheory.a.two"}, "dyntheory.a.two": {"dyntheory.a.one"}}
    with pytest.raises(graphlib.CycleError):
        tuple(graphlib.TopologicalSorter(between_children("dyntheory.a", circle)).static_order())


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_public_name_hides_a_module(folder: str) -> None:
    """`import dyntheory.x.y as m` gives the module y, whatever functions there are."""
    package = importlib.import_module(folder)
    prefix = f"{folder}."
    inside = {name for name in modules() if name.startswith(prefix) and "." not in name.removeprefix(prefix)}
    for name in inside:
        importlib.import_module(name)
    hidden = [name for name in inside if not isinstance(getattr(package, name.removeprefix(prefix)), types.ModuleType)]
    assert not hidden


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_folder_says_what_it_is_for(folder: str) -> None:
    assert (importlib.import_module(folder).__doc__ or "").strip()


def test_tests_mirror_the_rooms() -> None:
    """Folders of tests are folders of the package, but for what has no room: laws, oracles, programs, claims."""
    folders = {path.parent.relative_to(ROOT / "tests") for path in (ROOT / "tests").rglob("test_*.py")}
    beside = {"laws_of_the_house", "oracles", "validation"}
    strange = [folder for folder in folders if folder.parts[0] not in beside and not (PACKAGE / folder).is_dir()]
    assert not strange

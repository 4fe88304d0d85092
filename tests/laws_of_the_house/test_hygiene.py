"""The house rules: importing is light, public names exist, citations exist, files stay small, doctests hold."""

import ast
import doctest
import importlib
import re
import subprocess
import sys

import pytest

from tests import ROOT
from tests.laws_of_the_house.imports import modules

FILES = modules()
SMALL_FILE, SMALL_FUNCTION = 300, 40
WITH_EXAMPLES = [name for name, path in FILES.items() if ">>> " in path.read_text()]
DOORS = ("plot", "kernels", "closed_forms", "priors", "spectra", "estimators", "gallery")


def test_importing_touches_no_device_and_loads_nothing_heavy() -> None:
    code = (
        "import sys, dyntheory; from jax._src import xla_bridge; "
        "heavy = [m for m in ('matplotlib', 'flax', 'xarray', 'rich', 'tyro', 'sklearn') if m in sys.modules]; "
        "assert not heavy, heavy; assert not xla_bridge._backends, 'a device was touched'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_public_names_exist() -> None:
    import dyntheory

    assert len(dyntheory.__all__) == len(set(dyntheory.__all__))
    for name in dyntheory.__all__:
        assert getattr(dyntheory, name) is not None
    assert dir(dyntheory) == sorted(dyntheory.__all__)
    assert callable(dyntheory.predict) and callable(dyntheory.simulate) and callable(dyntheory.compare)


def test_doors_open() -> None:
    """`import dyntheory.door` works in a process that has imported nothing else."""
    opened = "".join(f"import dyntheory.{door} as d; assert d is dyntheory.{door} and d.__all__; " for door in DOORS)
    subprocess.run([sys.executable, "-c", f"import dyntheory; {opened}"], check=True, cwd=ROOT)


def test_cited_keys_exist() -> None:
    known = set(re.findall(r"@\w+\{([^,]+),", (ROOT / "references.bib").read_text()))
    for path in FILES.values():
        cited = set(re.findall(r"`([a-z]+\d{4}[a-z]+)`", path.read_text()))
        assert cited <= known, f"{path.name} cites {sorted(cited - known)}, which references.bib does not have"


def test_names_of_the_notation_exist() -> None:
    """Every name in the tables of NOTATION.md is somewhere in the code; optax's own is the exception."""
    code = "\n".join(path.read_text(encoding="utf-8") for path in FILES.values())
    known = set(re.findall(r"\w+", code)) | {"add_decayed_weights"}
    rows = [line for line in (ROOT / "NOTATION.md").read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    named = {
        word for row in rows for name in re.findall(r"`([^`]+)`", row) for word in re.findall(r"[A-Za-z_]\w+", name)
    }
    assert len(named) > 100 and named <= known, sorted(named - known)


def test_public_functions_are_documented_and_annotated() -> None:
    for path in FILES.values():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                assert node.returns is not None, f"{path.name}: {node.name} has no return annotation"


@pytest.mark.parametrize("name", FILES)
def test_no_type_is_asked_for_that_may_not_be_in_force(name: str) -> None:
    """`float` is float64 in a `ShapeDtypeStruct`, also where JAX has none: `abstract_array` asks for what there is."""
    for call in ast.walk(ast.parse(FILES[name].read_text())):
        if isinstance(call, ast.Call) and ast.unparse(call.func).endswith("ShapeDtypeStruct"):
            (dtype,) = [*call.args[1:], *(word.value for word in call.keywords if word.arg == "dtype")]
            assert ast.unparse(dtype).endswith(".dtype") or "result_type" in ast.unparse(dtype), ast.unparse(call)


@pytest.mark.parametrize("name", FILES)
def test_files_and_functions_stay_small(name: str) -> None:
    source = FILES[name].read_text()
    assert source.count("\n") <= SMALL_FILE, "which idea should move out?"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and node.end_lineno is not None:
            first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
            assert node.end_lineno - first.lineno < SMALL_FUNCTION, f"{node.name} is long: which idea should move out?"


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_in_docstrings_run(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.attempted > 0
    assert result.failed == 0

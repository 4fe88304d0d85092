"""What is not asked for is not loaded: neither `import dyntheory` nor `dyntheory --help` waits for JAX."""

import ast
import subprocess
import sys

import pytest

import dyntheory as dt
from tests import ROOT

HEAVY = ("jax", "scipy", "flax", "optax", "matplotlib", "rich", "xarray", "numpy")
LOADED = f"import sys; print(*(name for name in {HEAVY} if name in sys.modules))"


def loaded(code: str, *arguments: str) -> set[str]:
    """Return which of the heavy packages a fresh process holds after some code."""
    command = [sys.executable, "-c", f"{code}; {LOADED}", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_importing_loads_no_other_package() -> None:
    assert loaded("import dyntheory as dt; dir(dt); dt.__version__; dt.Status") == set()


COMMANDS = ("", "predict", "estimate", "closed-form", "charges", "explore", "doctor", "new", "sweep", "design")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_loads_nothing_that_computes(command: str) -> None:
    code = "import sys; from dyntheory.shell.main import main; main([*sys.argv[1:], '--help'])"
    assert not loaded(code, *command.split()) & {"jax", "scipy", "flax", "optax", "matplotlib", "xarray", "numpy"}


def test_a_name_loads_what_it_needs() -> None:
    """Negative control: what computes does load JAX, and only then."""
    assert "jax" in loaded("import dyntheory as dt; dt.predict")


def test_all_public_names_are_where_the_stub_says() -> None:
    """The stub is what checkers read; each of its imports is a public name, and the other way round."""
    tree = ast.parse((ROOT / "dyntheory" / "__init__.pyi").read_text())
    named = {alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    (listed,) = (ast.literal_eval(node.value) for node in tree.body if isinstance(node, ast.Assign))
    assert named == set(listed) == set(dt.__all__)
    assert not [name for name in listed if getattr(dt, name, None) is None]

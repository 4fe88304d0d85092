"""The house rules: imports run one way, importing is light, citations exist, doctests hold."""

import ast
import doctest
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "dyntheory"

ROOMS = (
    ("_version", "_typing", "status", "files"),
    ("_precision", "_checks", "smoothness", "progress", "fingerprint", "claimed_folder"),
    ("activations", "losses", "links", "linalg", "randomness", "optimizers"),
    ("gaussian.sobol",),
    ("gaussian.nodes",),
    ("gaussian.__init__",),
    ("kernels.kernels", "kernels.moments", "kernels.blocks", "kernels.filters", "kernels.solvers", "kernels.jaxpr_run"),
    ("kernels.duals", "kernels.layer", "kernels.stream", "kernels.jaxpr_rows", "kernels.empirical_products"),
    ("kernels.quadrature", "kernels.linear", "kernels.windows", "kernels.empirical_dense"),
    ("kernels.activations", "kernels.combinators", "kernels.convolution", "kernels.pooling", "kernels.empirical"),
    ("kernels.regularization", "kernels.attention", "kernels.tiling"),
    ("kernels.discrete", "kernels.minibatch", "kernels.evolution", "kernels.learning_curves", "kernels.other_losses"),
    ("kernels.trained",),
    ("kernels.training", "kernels.posterior"),
    ("kernels.__init__",),
    ("priors",),
    ("closed_forms.evaluation",),
    ("closed_forms.least_squares", "closed_forms.marchenko_pastur"),
    ("closed_forms.spectral", "closed_forms.power_law", "closed_forms.gradient_descent"),
    ("closed_forms.projected",),
    ("closed_forms.rational", "closed_forms.spiked_wigner", "closed_forms.edge_of_chaos"),
    ("closed_forms.soft_threshold", "closed_forms.panels", "closed_forms.label_laws"),
    ("closed_forms.margin_losses", "closed_forms.max_margin"),
    ("closed_forms.convex_erm",),
    ("closed_forms.random_features", "closed_forms.mei_montanari", "closed_forms.lasso"),
    ("closed_forms.compressed_sensing", "closed_forms.bayes"),
    ("closed_forms.__init__",),
    ("network",),
    ("spectra",),
    ("law", "first_layer", "inputs", "datasets"),
    ("mixture", "class_means"),
    ("kernels.bridge", "fit_law"),
    ("method",),
    ("method_check",),
    ("methods.row_wise",),
    ("methods.hyperparameters",),
    ("methods.gradient_descent", "methods.flax_dictionary", "methods.randomised", "methods.amp"),
    ("methods.generalized_amp", "methods.proximal"),
    ("methods.__init__",),
    ("trajectory",),
    ("storage",),
    ("matrix.orthonormal",),
    ("matrix.dense", "matrix.sides"),
    ("matrix.frame", "matrix.spectral_frame", "matrix.nodes_side"),
    ("matrix.revealed",),
    ("matrix.scaled",),
    ("matrix.limit", "matrix.finite", "matrix.__init__"),
    ("dynamics", "population", "differentiation", "two_time"),
    ("state_evolution", "finite_run"),
    ("matrix_choice", "response_form", "node_count"),
    ("problem", "error_bars", "assumptions", "outcome", "running_moments"),
    ("devices",),
    ("limit_nets",),
    ("limit_run", "run_batch"),
    ("limit_jobs",),
    ("limit_groups",),
    ("limit_solver", "ensemble", "cost"),
    ("checkpoint",),
    ("ensemble_loop",),
    ("estimation.rows", "estimation.training_run", "estimation.feature_side"),
    ("estimation.covariance", "estimation.sample_side", "estimation.assumption_report"),
    ("estimation.debias", "estimation.plan"),
    ("estimation.head_influence", "estimation.response_noise"),
    ("estimation.fresh_rows", "estimation.__init__"),
    ("predict", "simulate", "sensitivity", "responses", "estimate", "applicability"),
    ("tune", "teacher_direction"),
    ("estimators",),
    ("agreement",),
    ("compare", "size_fits"),
    ("finite_size",),
    ("_figures",),
    ("_size_figure", "_live_figure"),
    ("plot",),
    ("gallery.data",),
    ("gallery.figures",),
    ("gallery.__init__",),
    ("__init__",),
    ("kinds",),
    ("law_table",),
    ("method_table", "overrides"),
    ("config",),
    ("report", "doctor", "compilation_cache"),
    ("cli_sizes", "data_files", "cli_tasks"),
    ("estimate_report",),
    ("cli_estimate",),
    ("cli",),
)
FLOOR = {room: floor for floor, rooms in enumerate(ROOMS) for room in rooms}
KERNELS = (
    "kernels.quadrature",
    "kernels.linear",
    "kernels.activations",
    "kernels.combinators",
    "kernels.convolution",
    "kernels.tiling",
    "kernels.empirical",
    "kernels.empirical_products",
    "kernels.evolution",
    "kernels.learning_curves",
    "kernels.solvers",
    "kernels.training",
    "kernels.posterior",
)
CLOSED_FORMS = (
    "closed_forms.least_squares",
    "closed_forms.spectral",
    "closed_forms.power_law",
    "closed_forms.projected",
    "closed_forms.marchenko_pastur",
    "closed_forms.gradient_descent",
    "closed_forms.rational",
    "closed_forms.spiked_wigner",
    "closed_forms.edge_of_chaos",
    "closed_forms.bayes",
    "closed_forms.convex_erm",
    "closed_forms.lasso",
    "closed_forms.margin_losses",
    "closed_forms.max_margin",
    "closed_forms.compressed_sensing",
    "closed_forms.random_features",
    "priors",
)
EXCEPTIONS = {("trajectory", "storage")}


def _rooms() -> list[str]:
    return sorted(".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in PACKAGE.rglob("*.py"))


def _imports(room: str) -> set[str]:
    """Return the rooms a file imports, wherever in the file; type-checking blocks do not count."""
    tree = ast.parse((PACKAGE / (room.replace(".", "/") + ".py")).read_text())
    guarded = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node not in guarded and (node.module or "").startswith("dyntheory"):
            base = (node.module or "").removeprefix("dyntheory").strip(".")
            for name in node.names:
                inner = f"{base}.{name.name}".strip(".")
                room_or_name = inner if f"{inner}.__init__" not in FLOOR else f"{inner}.__init__"
                target = room_or_name if room_or_name in FLOOR else base or "__init__"
                found.add(target if target in FLOOR else f"{target}.__init__")
    return found - {room}


def test_every_room_has_a_floor() -> None:
    assert set(_rooms()) == set(FLOOR)


@pytest.mark.parametrize("room", _rooms())
def test_imports_run_one_way(room: str) -> None:
    upward = {other for other in _imports(room) if FLOOR[other] >= FLOOR[room] and (room, other) not in EXCEPTIONS}
    assert not upward, f"{room} imports {sorted(upward)}, which do not stand below it"


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
    assert callable(dyntheory.predict) and callable(dyntheory.simulate) and callable(dyntheory.compare)


def test_cited_keys_exist() -> None:
    known = set(re.findall(r"@\w+\{([^,]+),", (ROOT / "references.bib").read_text()))
    for path in PACKAGE.rglob("*.py"):
        cited = set(re.findall(r"`([a-z]+\d{4}[a-z]+)`", path.read_text()))
        assert cited <= known, f"{path.name} cites {sorted(cited - known)}, which references.bib does not have"


def test_public_functions_are_documented_and_annotated() -> None:
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                assert node.returns is not None, f"{path.name}: {node.name} has no return annotation"


@pytest.mark.parametrize("room", _rooms())
def test_files_and_functions_stay_small(room: str) -> None:
    source = (PACKAGE / (room.replace(".", "/") + ".py")).read_text()
    assert source.count("\n") <= 300, "which idea should move out?"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and node.end_lineno is not None:
            first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
            assert node.end_lineno - first.lineno < 45, f"{node.name} is long: which idea should move out?"


@pytest.mark.parametrize(
    "room",
    [
        "network",
        "law",
        "spectra",
        "fit_law",
        "applicability",
        "methods.gradient_descent",
        "predict",
        "sensitivity",
        "responses",
        "cost",
        *KERNELS,
        *CLOSED_FORMS,
    ],
)
def test_examples_in_docstrings_run(room: str) -> None:
    module = importlib.import_module(f"dyntheory.{room}")
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert result.attempted > 0
    assert result.failed == 0

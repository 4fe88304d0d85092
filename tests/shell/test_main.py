"""The command line, in process: what it prints, writes and refuses, and its exit status."""

from __future__ import annotations

import dataclasses
import importlib
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from dyntheory.ground.progress import progress_bar
from dyntheory.ground.status import DyntheoryWarning, Status
from dyntheory.results.agreement import Agreement
from dyntheory.results.netcdf import load
from dyntheory.results.trajectory import Trajectory
from dyntheory.shell.doctor import linear_test_errors
from dyntheory.shell.main import main
from dyntheory.shell.report import results_table, shown_steps, with_error

TINY = ["--set", "num_steps=2", "hidden=[2]", "num_nodes=512", "num_features=40", "num_runs=4"]


@pytest.fixture
def problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    path = tmp_path / "problem.toml"
    assert main(["new", str(path)]) == 0
    capsys.readouterr()
    return str(path)


def fake_trajectory(value: float = 1.0, error: float = 0.01, status: Status | None = None) -> Trajectory:
    steps = np.arange(3)
    curve, errors = np.full(3, value), np.full(3, error)
    return Trajectory(
        steps,
        train_error=curve,
        test_error=curve,
        standard_error=Trajectory(steps, train_error=errors, test_error=errors),
        status=status or Status(),
        provenance={"num_features": 1000, "num_runs": 20},
    )


def replace_verb(monkeypatch: pytest.MonkeyPatch, name: str, verb: Callable[..., Any]) -> None:
    monkeypatch.setattr(importlib.import_module(f"dyntheory.{name}"), name, verb)


def give(trajectory: Trajectory) -> Callable[..., Trajectory]:
    return lambda *args, **kwargs: trajectory


def refuse(*args: Any, **kwargs: Any) -> Trajectory:
    raise AssertionError("computed before the files were checked")


def test_new_then_compare_writes_table_figure_and_files(
    problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figure, numbers = tmp_path / "curves.png", tmp_path / "curves.nc"
    status = main(["compare", problem, *TINY, "--plot", str(figure), "--out", str(numbers)])
    printed = capsys.readouterr()
    assert status in (0, 3)
    assert printed.err == ""
    assert "theory: ok; theorem (" in printed.out
    assert f"Wrote {figure}" in printed.out
    assert figure.read_bytes().startswith(b"\x89PNG")
    theory, simulation = (load(tmp_path / f"curves.{side}.nc") for side in ("theory", "simulation"))
    assert (theory.num_steps, simulation.num_steps) == (2, 2)
    assert theory.provenance["configuration"]["network"]["hidden"] == [2]
    assert simulation.provenance["inputs"] == "gaussian"


def test_predict_and_simulate_write_one_file_each(
    problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command, words in (("predict", "theory: ok"), ("simulate", "simulation: ok")):
        out = tmp_path / f"{command}.nc"
        assert main([command, problem, *TINY, "--out", str(out)]) == 0
        assert words in capsys.readouterr().out
        assert load(out).num_steps == 2


@pytest.mark.parametrize(
    ("simulated", "status", "verdict"),
    [
        (fake_trajectory(1.005), 0, "agree"),
        (fake_trajectory(2.0), 1, "disagree"),
        (fake_trajectory(error=0.5), 3, "unresolved"),
    ],
    ids=["agree", "disagree", "unresolved"],
)
def test_exit_status_is_the_verdict(
    simulated: Trajectory,
    status: int,
    verdict: str,
    problem: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    replace_verb(monkeypatch, "predict", give(fake_trajectory()))
    replace_verb(monkeypatch, "simulate", give(simulated))
    assert main(["compare", problem]) == status
    assert f"\n{verdict}: " in capsys.readouterr().out


@pytest.mark.parametrize(("code", "status"), [("ok", 0), ("heavy_tail", 0), ("diverged", 3), ("unresolved", 3)])
def test_exit_status_of_one_side_is_its_outcome(
    code: str, status: int, problem: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    message = "" if code == "ok" else "the reason"
    replace_verb(monkeypatch, "predict", give(fake_trajectory(status=Status(code, message))))
    assert main(["predict", problem]) == status
    assert f"theory: {code}" in capsys.readouterr().out


def test_existing_files_are_refused_before_anything_is_computed(
    problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for verb in ("predict", "simulate"):
        replace_verb(monkeypatch, verb, refuse)
    for name, option in (("curves.png", "--plot"), ("curves.simulation.nc", "--out")):
        (tmp_path / name).write_text("precious", encoding="utf-8")
        given = tmp_path / name.replace(".simulation", "")
        assert main(["compare", problem, option, str(given)]) == 2
        message = capsys.readouterr().err
        assert message.count("\n") == 1
        assert name in message
        assert "--force" in message
        assert (tmp_path / name).read_text(encoding="utf-8") == "precious"
    assert main(["new", problem]) == 2


def test_force_replaces_files(
    problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    replace_verb(monkeypatch, "predict", give(fake_trajectory()))
    figure = tmp_path / "curves.svg"
    figure.write_text("old", encoding="utf-8")
    assert main(["predict", problem, "--plot", str(figure), "--force"]) == 0
    assert "<svg" in figure.read_text(encoding="utf-8")
    Path(problem).write_text("old", encoding="utf-8")
    assert main(["new", problem, "--force"]) == 0
    assert "[law]" in Path(problem).read_text(encoding="utf-8")
    assert capsys.readouterr().err == ""


BAD = {
    "unknown key": (["--set", "hiden=[3]"], "Did you mean 'hidden'?"),
    "unknown name": (["--set", "activation=rleu"], "Did you mean 'relu'?"),
    "wrong kind": (["--set", "network.hidden=3"], "`network.hidden` must be a list of integers"),
    "no value": (["--set", "num_steps"], "--set takes key=value"),
    "figure format": (["--plot", "curves.gif"], "ends in .png, .svg or .pdf"),
    "numbers format": (["--out", "curves.txt"], "ends in .nc"),
    "no directory": (["--plot", "nowhere/curves.png"], "does not exist"),
    "one run": (["--set", "num_runs=1"], "`simulate.num_runs` of at least two"),
    "heads and runs": (["--set", "num_heads=3"], "must be a multiple of `run.num_heads` = 3"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line_on_the_error_stream(
    name: str, problem: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    replace_verb(monkeypatch, "simulate", refuse)
    arguments, words = BAD[name]
    assert main(["compare", problem, *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("dyntheory: ")
    assert printed.err.count("\n") == 1
    assert words in printed.err


def test_data_of_another_width_is_refused_before_predicting(
    problem: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("sklearn", reason="the extra `data` is not installed")
    replace_verb(monkeypatch, "predict", refuse)
    assert main(["compare", problem, "--set", "inputs=digits"]) == 2
    assert "`simulate.num_features` must be 48" in capsys.readouterr().err


def test_a_missing_file_says_how_to_make_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / "problem.toml")
    assert main(["predict", path]) == 2
    assert f"`dyntheory new {path}` writes a template there." in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["frobnicate"], ["predict"], ["predict", "a.toml", "--colour"]])
def test_malformed_command_lines_have_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "dyntheory" in printed.err


def test_interruption_has_status_130(
    problem: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*args: Any, **kwargs: Any) -> Trajectory:
        raise KeyboardInterrupt

    replace_verb(monkeypatch, "predict", interrupt)
    assert main(["predict", problem]) == 130
    assert capsys.readouterr().err == "dyntheory: interrupted.\n"


def test_warnings_of_the_library_are_lines_and_not_said_twice(
    problem: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import warnings

    status = Status("heavy_tail", "in the status")

    def warn(*args: Any, **kwargs: Any) -> Trajectory:
        warnings.warn(str(status), DyntheoryWarning, stacklevel=2)
        warnings.warn("not in the status", DyntheoryWarning, stacklevel=2)
        return fake_trajectory(status=status)

    replace_verb(monkeypatch, "predict", warn)
    assert main(["predict", problem]) == 0
    printed = capsys.readouterr()
    assert printed.err == "dyntheory: warning: not in the status\n"
    assert printed.out.count("in the status") == 1


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    printed = capsys.readouterr().out
    for words in ("without training it", "dyntheory new problem.toml", "Exit status: 0", "--set num_steps=50"):
        assert words in printed
    assert main([]) == 0
    assert capsys.readouterr().out == printed
    for command in ("new", "predict", "simulate", "compare", "doctor"):
        assert command in printed
        assert main([command, "--help"]) == 0
        assert f"usage: dyntheory {command}" in capsys.readouterr().out


def test_help_and_version_import_nothing_heavy() -> None:
    code = (
        "import sys; from dyntheory.shell.main import main; main(['--help']); main(['--version']); "
        "sys.exit(any(name in sys.modules for name in ('matplotlib', 'xarray', 'flax', 'sklearn')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0


def test_finite_size_prints_a_table_and_draws(problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ["kind=linear", "sizes=[6,8,12]", "finite_size.num_runs=20", "num_test_nodes=8", "matrix=dense"]
    path = Path(problem)
    path.write_text(path.read_text().replace("hidden = ", "# hidden = ").replace("activation = ", "# activation = "))
    arguments = ["finite-size", problem, "--set", "num_steps=1", "num_nodes=512", *sizes]
    assert main([*arguments, "--plot", str(tmp_path / "sizes.png")]) in (0, 3)
    printed = capsys.readouterr().out
    assert "extrapolated" in printed and "bias exponent" in printed and "sizes.png" in printed
    assert (tmp_path / "sizes.png").stat().st_size > 10_000
    assert main([*arguments, "--out", str(tmp_path / "sizes.nc")]) == 2
    assert main([*arguments, "inputs=digits"]) == 2
    assert "which has one size" in capsys.readouterr().err


def test_a_simulation_resumes_from_its_checkpoint(
    problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["simulate", problem, *TINY, "--checkpoint", str(tmp_path / "kept")]
    assert main(arguments) == 0
    first = capsys.readouterr().out
    assert main(arguments) == 2 and "--resume" in capsys.readouterr().err
    assert main([*arguments, "--resume"]) == 0
    assert capsys.readouterr().out == first


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    from dyntheory import __version__

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"dyntheory {__version__}\n"


def test_doctor_checks_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out
    for words in ("dyntheory ", "jax ", "devices: ", "float64", "self-check: passed"):
        assert words in printed


def test_doctor_reports_a_wrong_prediction(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = dataclasses.replace(fake_trajectory(), test_error=1.001 * linear_test_errors(1.5, 0.5, 0.4))
    monkeypatch.setattr("dyntheory.shell.doctor.predict", give(wrong))
    assert main(["doctor"]) == 1
    assert "self-check: FAILED" in capsys.readouterr().out


def test_the_formula_of_the_self_check_is_that_of_a_large_matrix() -> None:
    random = np.random.default_rng(0)
    num_features, ratio, noise, eta = 1500, 1.5, 0.5, 0.4
    inputs = random.standard_normal((int(ratio * num_features), num_features))
    covariance = inputs.T @ inputs / len(inputs)
    drift = np.sqrt(num_features) * inputs.T @ (noise * random.standard_normal(len(inputs))) / len(inputs)
    error = random.standard_normal(num_features) - random.standard_normal(num_features)
    errors = []
    for _ in range(3):
        errors.append(error @ error / num_features + noise**2)
        error = error - eta * (covariance @ error - drift)
    np.testing.assert_allclose(errors, linear_test_errors(ratio, noise, eta), rtol=0.06)


def test_no_progress_unless_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("theory", patience=0.0) as report:
        report(0.5, "half way")
    printed = capsys.readouterr()
    assert printed.out == printed.err == ""


@pytest.mark.parametrize(
    ("last", "steps"),
    [
        (0, [0]),
        (3, [0, 1, 2, 3]),
        (30, [0, 5, 10, 15, 20, 25, 30]),
        (57, [0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 57]),
        (100, list(range(0, 101, 10))),
    ],
)
def test_long_runs_are_thinned_to_round_steps(last: int, steps: list[int]) -> None:
    assert shown_steps(np.arange(last + 1)) == steps


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.183274, 0.00412, "0.1833(41)"),
        (0.183274, 0.0412, "0.183(41)"),
        (12.34, 2.5, "12.3(2.5)"),
        (1234.0, 25.0, "1234(25)"),
        (1.5, 1e-9, "1.5"),
        (0.0, 0.0, "0"),
        (2e20, 3e19, "2e+20 ± 3e+19"),
        (0.183274, None, "0.18327"),
        (float("nan"), 0.1, "nan"),
        (1.0, float("nan"), "1"),
    ],
)
def test_numbers_carry_their_error(value: float, error: float | None, text: str) -> None:
    assert with_error(value, error) == text


def test_the_table_of_both_sides_fits_a_narrow_terminal() -> None:
    from dyntheory.results.compare import compare

    theory, simulation = fake_trajectory(1.4868334, 1.6e-4), fake_trajectory(1.4823123, 1.6e-4)
    agreement: Agreement = compare(theory, simulation)
    stream = io.StringIO()
    Console(width=80, file=stream).print(results_table({"theory": theory, "simulation": simulation}, agreement))
    printed = stream.getvalue()
    assert "…" not in printed
    assert printed.count("1.48683(16)") == printed.count("1.48231(16)") == 6
    assert printed.count("-20.0") == 6

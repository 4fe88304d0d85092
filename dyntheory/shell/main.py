"""The command line: a shell over the verbs. Heavy imports wait until a command needs them."""

from __future__ import annotations

import dataclasses
import itertools
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from dyntheory.shell.arguments import (
    AGREES,
    BAD_INPUT,
    DISAGREES,
    INTERRUPTED,
    UNRESOLVED,
    Arguments,
    Flag,
    Task,
    check_figure,
    planned_files,
    saving_of,
)
from dyntheory.shell.estimate_arguments import estimate

if TYPE_CHECKING:
    from dyntheory.results.trajectory import Trajectory
    from dyntheory.shell.tables.problem_file import Problem

DESCRIPTION = """\
Predict a neural network's learning curves without training it, and put the prediction beside a simulation.

A problem is a TOML file: what the data are, which network, which optimizer, how many steps.

  dyntheory new problem.toml                          write a commented problem to start from
  dyntheory predict problem.toml                      training and test error after every step
  dyntheory predict problem.toml --set num_steps=50 --set method.learning_rate=0.1
  dyntheory compare problem.toml --plot curves.png    theory and simulation on one figure, and a verdict
  dyntheory compare problem.toml --out curves.nc      the numbers, as NetCDF
  dyntheory closed-form double-descent --plot out.png a picture of the field: formulas beside least squares
  dyntheory finite-size problem.toml                  simulate at several sizes, extrapolate, compare
  dyntheory estimate method.toml --data data.csv --target price
                                                      train on a file; the error on fresh rows, none held out
  dyntheory doctor                                    is the installation sound?

Exit status: 0 done (compare: agreement), 1 disagreement or a failed self-check, 2 bad input,
3 unresolved (the errors are too large to say, or training diverged), 130 interrupted.
`dyntheory --version` prints the version, `dyntheory COMMAND --help` explains a command."""


def new(path: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="PATH")], *, force: Flag = False) -> int:
    """Write a commented problem that runs in a few seconds.

    Args:
        path: the file to write, problem.toml say.
        force: replace the file if it exists.
    """
    from dyntheory.ground.files import replacing
    from dyntheory.shell.tables.problem_file import template

    with replacing(path, force=force) as beside:
        beside.write_text(template(), encoding="utf-8")
    print(f"Wrote {path}. Next: dyntheory compare {path} --plot curves.png")
    return AGREES


def predict(task: Arguments) -> int:
    """Predict the curves in the limit of many samples and features; nothing is trained."""
    return _perform(task, ("theory",))


def simulate(task: Arguments) -> int:
    """Train the network on random data, several times, and report means and standard errors."""
    return _perform(task, ("simulation",))


def compare(task: Arguments) -> int:
    """Predict and simulate, and say whether the two agree: exit status 1 when they do not."""
    return _perform(task, ("theory", "simulation"))


def closed_form(
    picture: tyro.conf.Positional[Literal["double-descent", "benign-overfitting", "early-stopping", "random-features"]],
    *,
    plot: Annotated[Path | None, tyro.conf.arg(metavar="FIGURE")] = None,
    force: Flag = False,
) -> int:
    """Compute one of the pictures of the field from closed forms, with least squares on random data beside them.

    Args:
        picture: which one.
        plot: draw it into this file: .png, .svg or .pdf.
        force: replace the file if it exists.
    """
    check_figure(plot, force=force)
    from dyntheory.plot import save_figure
    from dyntheory.plot.gallery import PICTURES, draw, summary

    data = PICTURES[picture].compute()
    print(f"{picture}: {summary(data)}.")
    if plot is not None:
        save_figure(draw(data), plot, force=force)
        print(f"Wrote {plot}")
    return AGREES


def finite_size(task: Arguments) -> int:
    """Simulate at several sizes, extrapolate to infinite size and compare with the prediction."""
    from dyntheory.shell.finite_size_command import perform

    if task.out is not None:
        raise ValueError("finite-size has no NetCDF file: leave --out away; simulate writes the curves of one size.")
    planned_files(task, ())
    result = perform(task.problem, overrides=task.set, saving=saving_of(task))
    if task.plot is not None:
        from dyntheory.plot import finite_size as draw
        from dyntheory.plot import save_figure

        print(f"Wrote {save_figure(draw(result), task.plot, force=task.force)}")
    return {"agree": AGREES, "disagree": DISAGREES}.get(result.agreement.verdict, UNRESOLVED)


def doctor() -> int:
    """Print versions, devices and precision, and check a prediction against a formula."""
    from dyntheory.shell.doctor import examine

    return AGREES if examine() else DISAGREES


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Args:
        argv: the arguments after the program's name; default those of the process.

    Returns:
        0 done, 1 disagreement, 2 bad input, 3 unresolved, 130 interrupted.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments in (["--version"], ["-V"]):
        from dyntheory.ground.version import __version__

        print(f"dyntheory {__version__}")
        return AGREES
    commands = {"new": new, "predict": predict, "simulate": simulate, "compare": compare}
    commands |= {"finite-size": finite_size, "closed-form": closed_form, "estimate": estimate}
    commands["doctor"] = doctor
    try:
        return tyro.extras.subcommand_cli_from_dict(
            commands, prog="dyntheory", description=DESCRIPTION, args=_repeat_set(arguments or ["--help"])
        )
    except SystemExit as exit:
        return exit.code if isinstance(exit.code, int) else AGREES
    except KeyboardInterrupt:
        return _complain("interrupted.", INTERRUPTED)
    except (ValueError, TypeError, OSError, ModuleNotFoundError) as error:
        return _complain(" ".join(str(error).split()), BAD_INPUT)


def _complain(text: str, status: int) -> int:
    print(f"dyntheory: {text}", file=sys.stderr)
    return status


def _repeat_set(arguments: Sequence[str]) -> list[str]:
    """Let one --set take several assignments: write it again before each of them."""
    repeated: list[str] = []
    inside = False
    for previous, argument in itertools.pairwise(["", *arguments]):
        is_value = previous == "--set"
        inside = is_value or (inside and re.match(r"[A-Za-z_][\w.]*=", argument) is not None)
        repeated += ["--set", argument] if inside and not is_value else [argument]
    return repeated


def _perform(task: Task, sides: tuple[str, ...]) -> int:
    """Compute the sides asked for, print, draw, write."""
    from rich.console import Console

    from dyntheory.shell.compilation_cache import use_compilation_cache
    from dyntheory.shell.report import print_report
    from dyntheory.shell.tables.problem_file import load_problem

    use_compilation_cache()
    files = planned_files(task, sides)
    problem = load_problem(task.problem, overrides=task.set)
    saving = saving_of(task)
    theory = {**problem.predict, **saving}
    if task.checkpoint is not None:
        saving = {**saving, "checkpoint": task.checkpoint / "simulation"}
    arguments = {side: theory if side == "theory" else problem.simulate_arguments() | saving for side in sides}
    if len(sides) == 2 and problem.simulate["num_runs"] < 2 * problem.simulate.get("num_heads", 1):
        raise ValueError("compare needs `simulate.num_runs` of at least two for every head: one run has no error bar.")
    console = Console()
    results = {side: _compute(problem, side, keywords) for side, keywords in arguments.items()}
    agreement = None
    if len(results) == 2:
        from dyntheory.results.compare import compare as judge

        agreement = judge(*results.values())
    print_report(console, results, agreement)
    _draw(task, results)
    for side, path in files.items():
        results[side].save(path, force=task.force)
    for path in (task.plot, *files.values()):
        if path is not None:
            console.print(f"Wrote {path}", highlight=False, soft_wrap=True, markup=False)
    if agreement is not None:
        return {"agree": AGREES, "disagree": DISAGREES}.get(agreement.verdict, UNRESOLVED)
    return UNRESOLVED if any(r.status.code in ("diverged", "unresolved") for r in results.values()) else AGREES


def _compute(problem: Problem, side: str, arguments: dict[str, Any]) -> Trajectory:
    """Run the verb of one side with a progress bar; the problem's table joins the provenance."""
    from dyntheory.ground.progress import progress_bar, warnings_as_lines
    from dyntheory.verbs.prediction.predict import predict as predict_verb
    from dyntheory.verbs.simulation.simulate import simulate as simulate_verb

    verb = predict_verb if side == "theory" else simulate_verb
    with warnings_as_lines() as shown, progress_bar(side) as report:
        result = verb(problem.law, problem.method, **arguments, progress=report)
        shown.append(str(result.status))
    named = {"inputs": problem.simulate["inputs"]} if side == "simulation" else {}
    provenance = {**result.provenance, **named, "configuration": problem.table}
    return dataclasses.replace(result, provenance=provenance)


def _draw(task: Task, results: dict[str, Trajectory]) -> None:
    if task.plot is None:
        return
    from dyntheory.plot import curves, save_figure

    save_figure(curves(*results.values()), task.plot, force=task.force)


if __name__ == "__main__":
    sys.exit(main())

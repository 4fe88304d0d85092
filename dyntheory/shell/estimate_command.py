"""What the command `estimate` does: a method read from TOML, a file of data, and the table that is printed."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table as RichTable

from dyntheory.ground.progress import progress_bar, warnings_as_lines
from dyntheory.results.trajectory import Trajectory
from dyntheory.shell.compilation_cache import use_compilation_cache
from dyntheory.shell.report import NOTATION, print_line, shown_steps, with_error
from dyntheory.shell.tables.data_table import Table, read_table
from dyntheory.shell.tables.problem_file import Problem, ProblemError, parse_problem
from dyntheory.verbs.estimation.estimate import estimate

CLASSIFIES = ("logistic", "squared_hinge", "cross_entropy")
UNUSED_LAW = {"samples_per_feature": 1.0}
USED = ("head", "key", "num_steps")


class Task(NamedTuple):
    """Labels in the units of the training, and how to say errors in those of the file."""

    labels: np.ndarray
    unit: str


def load_algorithm(path: Path, *, overrides: Sequence[str]) -> Problem:
    """Read the tables [network], [method] and [run] of a problem; a table [law] may be missing.

    Raises:
        ProblemError: see `dyntheory.shell.tables.problem_file.load_problem`.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ProblemError(f"There is no file {path}. `dyntheory new {path}` writes a template there.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProblemError(f"{path} is not TOML: {error}") from error
    try:
        return parse_problem({"law": UNUSED_LAW, **table}, overrides=overrides)
    except ProblemError as error:
        raise ProblemError(f"{path}: {error}") from error


def perform(problem: Problem, data: Path, target: str, *, covariance: str | None) -> Trajectory:
    """Print the table of an estimate and return it.

    Args:
        problem: the algorithm and the number of steps.
        data: the file.
        target: its column of labels.
        covariance: "sample", "isotropic" or "shrinkage".

    Raises:
        ValueError: data that cannot be used.
    """
    use_compilation_cache()
    table = read_table(data, target)
    task = prepared(table, target, str(problem.table["method"]["loss"]))
    arguments: dict[str, Any] = {name: problem.predict[name] for name in USED if name in problem.predict}
    console = Console()
    with warnings_as_lines() as shown, progress_bar("estimate") as report:
        result = estimate(
            table.inputs, task.labels, problem.method, covariance=covariance, progress=report, **arguments
        )
        shown.append(str(result.status))
    provenance = {**result.provenance, "configuration": problem.table, "columns": list(table.columns)}
    result = dataclasses.replace(result, provenance=provenance)
    report_estimate(console, result, task, table.notes)
    return result


def prepared(table: Table, target: str, loss: str) -> Task:
    """Return labels as the loss wants them: ±1, indicators of classes, or numbers of mean zero and variance one.

    Raises:
        ValueError: labels that do not fit the loss.
    """
    labels = table.labels
    if loss in CLASSIFIES:
        classes, index = np.unique(labels, return_inverse=True)
        if loss == "cross_entropy":
            return Task(np.eye(len(classes))[index], f"rate of wrong classes of {target}, {len(classes)} classes")
        if len(classes) != 2:
            raise ValueError(
                f"method.loss = {loss!r} takes two classes and {target!r} has {len(classes)} values: take "
                'loss = "cross_entropy" with network.num_outputs equal to that, or a loss for numbers.'
            )
        return Task(2.0 * index - 1.0, f"rate of wrong signs, {classes[1]} against {classes[0]}")
    if labels.dtype.kind not in "fiub":
        raise ValueError(f'{target!r} holds words: take method.loss = "logistic" (two classes) or "cross_entropy".')
    numbers = labels.astype(float)
    spread = numbers.std()
    if not spread > 0:
        raise ValueError(f"{target!r} is constant: there is nothing to learn.")
    unit = f"squared error over the variance of {target}, {spread**2:.4g}"
    return Task((numbers - numbers.mean()) / spread, unit)


def report_estimate(console: Console, result: Trajectory, task: Task, notes: Sequence[str]) -> None:
    """Print train error and estimate at about a dozen steps, the best of all, and what speaks against them."""
    table = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("step", "train error", "error on fresh rows"):
        table.add_column(heading, justify="right", no_wrap=True)
    for step in sorted({*shown_steps(result.steps), result.best_step}):
        row = result.at(step)
        mark = " ← best" if step == result.best_step else ""
        estimated = with_error(row["test_error"], row.get("test_error_standard_error"))
        table.add_row(str(step), f"{row['train_error']:.5g}", estimated + mark)
    console.print(table)
    record = result.provenance
    print_line(console, NOTATION)
    print_line(console, f"error: {task.unit}")
    sizes = f"{record['num_samples']} rows, {record['num_features']} columns, covariance {record['covariance']}"
    print_line(
        console, f"{sizes}; columns centred and scaled; the estimate cost {record['cost']['ratio']:.2g} trainings"
    )
    for line in (*notes, *record["assumption_report"]):
        print_line(console, f"note: {line}")
    print_line(console, f"stop after {result.best_step} steps; status {result.status}")

"""`dyntheory estimate`: the error on fresh rows after every step of training on a file of data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

import dyntheory as dt
from dyntheory.shell.arguments import Assignments, FigurePath, Flag, NumbersPath
from dyntheory.shell.exit_status import of_status
from dyntheory.shell.outputs import planned_outputs
from dyntheory.shell.report import NOTATION, print_lines, print_table, shown_steps, with_error
from dyntheory.shell.run import open_problem, run
from dyntheory.shell.tables.problem import Problem
from dyntheory.shell.tables.reading import Reading

if TYPE_CHECKING:
    import numpy as np

    from dyntheory.shell.tables.data_table import Table

HowToRead = Annotated[Reading, tyro.conf.arg(name="")]
DEFAULT = Reading()
USED = ("head", "key", "num_steps")


def command(
    method: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="METHOD.toml")],
    *,
    data: Annotated[Path, tyro.conf.arg(metavar="DATA.csv")],
    target: Annotated[str, tyro.conf.arg(metavar="COLUMN")],
    reading: HowToRead = DEFAULT,
    covariance: Literal["sample", "isotropic", "shrinkage"] = "sample",
    set: Assignments = (),
    plot: FigurePath = None,
    out: NumbersPath = None,
    force: Flag = False,
) -> int:
    """Train on a file of data and say after every step what the error on fresh rows is, with none held out.

    Args:
        method: tables [network], [method] and [run] of a problem; [law] is not used. The optimizer is sgd, with
            momentum, decay or a schedule: those that are not linear in the gradients, such as adam, have no estimate.
        data: CSV or TSV with a header, NPZ or NPY. Columns are standardised, words become indicators.
        target: the column of the labels, a name (CSV, NPZ) or a number (NPY). Numbers are standardised; classes need
            the loss "logistic", "squared_hinge" or "cross_entropy".
        reading: how the file is read.
        covariance: what is taken for the covariance of the columns; "sample" needs to know nothing.
        set: replace entries of the file, --set method.learning_rate=0.1 run.num_steps=50.
        plot: draw train error and estimate into this file: .png, .svg or .pdf.
        out: write the numbers into this NetCDF file.
        force: replace files that exist.
    """
    from dyntheory.shell.tables.data_table import read_table
    from dyntheory.shell.tables.labels import read_labels

    outputs = planned_outputs("estimate", plot=plot, out=out, force=force)
    problem = open_problem(method, overrides=set, law_optional=True)
    table = read_table(data, target, reading=reading)
    loss, num_outputs = problem.table["method"].get("loss", "squared"), problem.table["network"].get("num_outputs", 1)
    labels = read_labels(table.labels, target, loss=str(loss), num_outputs=num_outputs)
    result = perform(problem, table, labels.values, covariance=covariance)
    show(result, labels.error, table.notes)
    outputs.write(lambda: dt.plot.live(result), {"estimate": result})
    return of_status(result.status)


def perform(problem: Problem, table: Table, labels: np.ndarray, *, covariance: str) -> dt.Trajectory:
    """Return the estimate from the rows of a table, with the algorithm of a problem."""
    asked = {"configuration": problem.table, "columns": list(table.columns)}
    keywords = {name: problem.predict[name] for name in USED if name in problem.predict} | {"covariance": covariance}
    return run("estimate", dt.estimate, table.inputs, labels, problem.method, provenance=asked, **keywords)


def show(result: dt.Trajectory, error: str, notes: Sequence[str]) -> None:
    """Print train error and estimate at about a dozen steps, the best of all, and what speaks against them."""
    from dyntheory.verbs.estimation.plan import cost_in_words

    rows: list[tuple[str, str, str]] = []
    for step in sorted({*shown_steps(result.steps), result.best_step}):
        row = result.at(step)
        estimated = with_error(row["test_error"], row.get("test_error_standard_error"))
        rows.append((str(step), f"{row['train_error']:.5g}", estimated + " ← best" * (step == result.best_step)))
    print_table(("step", "train error", "error on fresh rows"), rows)
    record, cost = result.provenance, result.provenance["cost"]
    print_lines(
        NOTATION,
        f"error: {error}",
        f"{record['num_samples']} rows, {record['num_features']} columns, covariance {record['covariance']}; "
        f"columns centred and scaled; {cost_in_words(cost['work'], cost['ratio'])}",
        *(f"note: {line}" for line in (*notes, *record["assumption_report"])),
        f"{advice(result)}; status {result.status}",
    )


def advice(result: dt.Trajectory) -> str:
    """Return after how many steps to stop, or that the last one was too early."""
    last = int(result.steps[-1])
    if result.best_step < last or not result.status.ok:
        return f"stop after {result.best_step} steps"
    return f"the error is still falling at the last step, {last}: raise run.num_steps to see where to stop"

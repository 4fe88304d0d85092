"""`dyntheory predict`: the curves in the limit."""

from __future__ import annotations

from typing import Any

import dyntheory as dt
from dyntheory.shell.arguments import Arguments
from dyntheory.shell.exit_status import of_status
from dyntheory.shell.report import print_report
from dyntheory.shell.run import open_problem, run
from dyntheory.shell.tables.problem import Problem


def command(task: Arguments) -> int:
    """Predict the curves in the limit of many samples and features; nothing is trained."""
    outputs, saving = task.outputs("theory"), task.saving()
    problem = open_problem(task.problem, overrides=task.set)
    theory = perform(problem, problem.predict | saving)
    print_report({"theory": theory})
    outputs.write(lambda: dt.plot.curves(theory), {"theory": theory})
    return of_status(theory.status)


def perform(problem: Problem, keywords: dict[str, Any]) -> dt.Trajectory:
    """Return the prediction for a problem, given the keywords of `dyntheory.predict`."""
    asked = {"configuration": problem.table}
    return run("theory", dt.predict, problem.law, problem.method, provenance=asked, **keywords)

"""`dyntheory finite-size`: simulations at several sizes, and the limit that they point to."""

from __future__ import annotations

from typing import Any

import dyntheory as dt
from dyntheory.shell.arguments import Arguments
from dyntheory.shell.exit_status import of_verdict
from dyntheory.shell.run import open_problem
from dyntheory.shell.tables.problem import Problem


def command(task: Arguments) -> int:
    """Simulate at several sizes, extrapolate to infinite size and compare with the prediction."""
    if task.out is not None:
        raise ValueError("finite-size has no NetCDF file: leave --out away; simulate writes the curves of one size.")
    outputs, saving = task.outputs(), task.saving()
    problem = open_problem(task.problem, overrides=task.set)
    study = perform(problem, problem.finite_size_arguments() | saving)
    print(study.table())
    outputs.write(lambda: dt.plot.finite_size(study), {})
    return of_verdict(study.agreement.verdict)


def perform(problem: Problem, keywords: dict[str, Any]) -> dt.FiniteSize:
    """Return the study of a problem, given the keywords of `dyntheory.finite_size`."""
    from dyntheory.ground.progress import progress_bar, warnings_as_lines

    with warnings_as_lines(), progress_bar("finite size") as progress:
        return dt.finite_size(problem.law, problem.method, **keywords, progress=progress)

"""`dyntheory simulate`: the network trained on random data, several times."""

from __future__ import annotations

from typing import Any

import dyntheory as dt
from dyntheory.shell.arguments import Arguments
from dyntheory.shell.exit_status import of_status
from dyntheory.shell.report import print_report
from dyntheory.shell.run import open_problem, run
from dyntheory.shell.tables.problem import Problem


def command(task: Arguments) -> int:
    """Train the network on random data, several times, and report means and standard errors."""
    outputs, saving = task.outputs("simulation"), task.saving("simulation")
    problem = open_problem(task.problem, overrides=task.set)
    simulation = perform(problem, problem.simulate_arguments() | saving)
    print_report({"simulation": simulation})
    outputs.write(lambda: dt.plot.curves(simulation), {"simulation": simulation})
    return of_status(simulation.status)


def perform(problem: Problem, keywords: dict[str, Any]) -> dt.Trajectory:
    """Return the simulation of a problem, given the keywords of `dyntheory.simulate`."""
    asked = {"inputs": problem.simulate["inputs"], "configuration": problem.table}
    return run("simulation", dt.simulate, problem.law, problem.method, provenance=asked, **keywords)

"""`dyntheory compare`: prediction beside simulation, and a verdict."""

from __future__ import annotations

import dyntheory as dt
from dyntheory.shell.arguments import Arguments
from dyntheory.shell.commands import predict, simulate
from dyntheory.shell.exit_status import of_verdict
from dyntheory.shell.report import print_report
from dyntheory.shell.run import open_problem


def command(task: Arguments) -> int:
    """Predict and simulate, and say whether the two agree: exit status 1 when they do not."""
    outputs, saving = task.outputs("theory", "simulation"), task.saving()
    problem = open_problem(task.problem, overrides=task.set)
    simulated = problem.simulate_arguments() | task.saving("simulation")
    if simulated["num_runs"] < 2 * simulated.get("num_heads", 1):
        raise ValueError("compare needs `simulate.num_runs` of at least two for every head: one run has no error bar.")
    theory = predict.perform(problem, problem.predict | saving)
    simulation = simulate.perform(problem, simulated)
    agreement = dt.compare(theory, simulation)
    results = {"theory": theory, "simulation": simulation}
    print_report(results, agreement)
    outputs.write(lambda: dt.plot.curves(theory, simulation), results)
    return of_verdict(agreement.verdict)

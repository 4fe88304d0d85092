"""`dyntheory design`: numbers of a training run chosen by the theory, as the table [design] of a problem asks."""

from __future__ import annotations

from typing import Any

import dyntheory as dt
from dyntheory.shell.arguments import Arguments
from dyntheory.shell.exit_status import DISAGREES, of_status
from dyntheory.shell.report import print_lines
from dyntheory.shell.run import open_problem
from dyntheory.shell.tables.problem import Problem

OPTIONS = ("search", "early_stopping", "population", "max_sweeps")
UNUSED = ("num_heads", "keep_preactivations", "num_steps", "key", "first_layer")
SURE = 3.0  # standard errors by which trained networks must be worse to contradict a gain


def command(task: Arguments) -> int:
    """Choose numbers before any training, by predicted test error: [design] over = { learning_rate = [0.0, 2.0] }.

    With learning_rate = { schedule = "piecewise_linear", num_steps = 20, rates = [0.5, 0.5, 0.5] } in [method],
    over = { rates = [0.0, 2.0] } designs the whole schedule and compares it with the best constant rate. confirm = true
    trains both choices.
    """
    from dyntheory.shell.tables.study import settings_of

    if task.checkpoint is not None:
        raise ValueError("design has no checkpoint: leave --checkpoint away.")
    outputs = task.outputs("design")
    problem = open_problem(task.problem, overrides=task.set)
    found = perform(problem)
    print_lines(*str(found).splitlines(), *settings_of(problem, found.best.values))
    outputs.write(lambda: dt.plot.design(found), {"design": found})
    gain = None if found.constant is None else found.confirmed_gain
    if gain is not None and gain[0] < -SURE * gain[1]:
        return DISAGREES
    return of_status(found.best.status)


def perform(problem: Problem) -> dt.Design:
    """Return the design of a problem."""
    from dyntheory.ground.progress import progress_bar, warnings_as_lines
    from dyntheory.shell.tables.study import design_of

    (study, tied), table = design_of(problem), problem.table["design"]
    options: dict[str, Any] = {name: table[name] for name in OPTIONS if name in table}
    if table.get("confirm", False):
        simulation = problem.simulate_arguments()
        options["confirm"] = {name: value for name, value in simulation.items() if name not in UNUSED}
    with warnings_as_lines(), progress_bar("design") as progress:
        return dt.design(
            study.law,
            study.method,
            over=study.over,
            first_layer=study.first_layer,
            tied=tuple(tied),
            num_steps=problem.predict["num_steps"],
            num_nodes=problem.predict.get("num_nodes"),
            key=problem.predict["key"],
            progress=progress,
            **options,
        )

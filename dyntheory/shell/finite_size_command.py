"""The command `finite-size`: a problem read from TOML, simulated at several sizes and extrapolated."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dyntheory.ground.progress import progress_bar, warnings_as_lines
from dyntheory.problem.laws.datasets import DATASETS
from dyntheory.shell.compilation_cache import use_compilation_cache
from dyntheory.shell.tables.problem_file import load_problem
from dyntheory.verbs.studies.finite_size import FiniteSize, finite_size


def perform(path: Path, *, overrides: Sequence[str], saving: dict[str, Any]) -> FiniteSize:
    """Print the report of a finite-size study and return it.

    Args:
        path: the problem.
        overrides: assignments that replace its entries.
        saving: keywords of the checkpoint.

    Raises:
        ValueError: a problem whose inputs have one size.
    """
    use_compilation_cache()
    problem = load_problem(path, overrides=overrides)
    arguments = {**problem.finite_size, **saving}
    if arguments["inputs"] in DATASETS:
        raise ValueError(
            f"`simulate.inputs` = {arguments['inputs']!r} is a data set, which has one size: name a law of the inputs."
        )
    with warnings_as_lines(), progress_bar("finite size") as report:
        result = finite_size(problem.law, problem.method, **arguments, progress=report)
    print(result.table())
    return result

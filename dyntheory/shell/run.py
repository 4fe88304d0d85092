"""How a command computes: a problem is opened, and one verb runs on it while the terminal is told how far it is."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import dyntheory as dt
from dyntheory.ground.compilation_cache import enable_compilation_cache
from dyntheory.shell.tables.problem import Problem


def open_problem(path: Path, *, overrides: Sequence[str], law_optional: bool = False) -> Problem:
    """Return the problem of a file; what is compiled for it from now on is kept for the next call."""
    from dyntheory.ground.progress import warnings_as_lines
    from dyntheory.shell.tables.problem_file import load_problem

    with warnings_as_lines():
        enable_compilation_cache()
    return load_problem(path, overrides=overrides, law_optional=law_optional)


def run(
    title: str, verb: Callable[..., dt.Trajectory], *arguments: Any, provenance: Mapping[str, Any], **keywords: Any
) -> dt.Trajectory:
    """Run a verb with a progress bar, its warnings as single lines.

    Args:
        title: of the bar.
        verb: `dyntheory.predict`, say.
        arguments: of the verb.
        provenance: what joins the provenance of the result.
        keywords: of the verb.
    """
    from dyntheory.ground.progress import progress_bar, warnings_as_lines

    with warnings_as_lines() as shown, progress_bar(title) as progress:
        result = verb(*arguments, **keywords, progress=progress)
        shown.append(str(result.status))
    return dataclasses.replace(result, provenance={**result.provenance, **provenance})

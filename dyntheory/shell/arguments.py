"""What the commands share: their common arguments, the files they will write, how they end."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import tyro

AGREES, DISAGREES, BAD_INPUT, UNRESOLVED, INTERRUPTED = 0, 1, 2, 3, 130
Flag = tyro.conf.FlagCreatePairsOff[bool]


@dataclasses.dataclass(frozen=True)
class Task:
    """What predict, simulate, compare and finite-size take."""

    problem: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="PROBLEM.toml")]
    """The problem; `dyntheory new` writes one."""

    set: Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(metavar="KEY=VALUE")] = ()
    """Replace entries of the problem, --set run.num_steps=50 link=relu network.hidden=[3,3]; TOML values, the quotes of
    a word and the table may be left out."""

    plot: Annotated[Path | None, tyro.conf.arg(metavar="FIGURE")] = None
    """Draw the curves into this file: .png, .svg or .pdf."""

    out: Annotated[Path | None, tyro.conf.arg(metavar="FILE.nc")] = None
    """Write the numbers into this NetCDF file; compare writes FILE.theory.nc and FILE.simulation.nc."""

    force: Flag = False
    """Replace files that exist."""

    checkpoint: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Save the state of a long prediction or simulation here every two minutes."""

    resume: Flag = False
    """Go on from the checkpoint, to the same numbers bit by bit."""


Arguments = Annotated[Task, tyro.conf.arg(name="")]


def saving_of(task: Task) -> dict[str, Any]:
    """Return the keywords of a checkpoint; refuse to go on from nowhere."""
    if task.resume and task.checkpoint is None:
        raise ValueError("--resume needs --checkpoint FOLDER: where to go on from.")
    return {} if task.checkpoint is None else {"checkpoint": task.checkpoint, "resume": task.resume}


def planned_files(task: Task, sides: tuple[str, ...]) -> dict[str, Path]:
    """Return where the numbers go; refuse names that cannot be written before anything is computed."""
    from dyntheory.ground.files import check_destination

    check_figure(task.plot, force=task.force)
    if task.out is not None and task.out.suffix != ".nc":
        raise ValueError(f"--out takes a file that ends in .nc, got '{task.out}'.")
    files: dict[str, Path] = {}
    if task.out is not None:
        out = task.out
        files = {side: out if len(sides) == 1 else out.with_suffix(f".{side}.nc") for side in sides}
    for path in files.values():
        check_destination(path, force=task.force)
    return files


def check_figure(path: Path | None, *, force: bool) -> None:
    """Refuse a name that cannot be written, before anything is computed."""
    from dyntheory.ground.files import check_destination

    if path is None:
        return
    if path.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise ValueError(f"--plot takes a file that ends in .png, .svg or .pdf, got '{path}'.")
    check_destination(path, force=force)

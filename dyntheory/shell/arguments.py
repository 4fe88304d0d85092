"""The arguments that commands share, as tyro reads them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import tyro

from dyntheory.shell.outputs import Outputs, planned_outputs

Flag = tyro.conf.FlagCreatePairsOff[bool]
Assignments = Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(metavar="KEY=VALUE")]
FigurePath = Annotated[Path | None, tyro.conf.arg(metavar="FIGURE")]
NumbersPath = Annotated[Path | None, tyro.conf.arg(metavar="FILE.nc")]


@dataclasses.dataclass(frozen=True)
class Task:
    """What predict, simulate, compare, sweep, design and finite-size take."""

    problem: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="PROBLEM.toml")]
    """The problem; `dyntheory new` writes one."""

    set: Assignments = ()
    """Replace entries of the problem, --set run.num_steps=50 link=relu network.hidden=[3,3]; TOML values, the quotes of
    a word and the table may be left out."""

    plot: FigurePath = None
    """Draw the curves into this file: .png, .svg or .pdf."""

    out: NumbersPath = None
    """Write the numbers into this NetCDF file; compare writes FILE.theory.nc and FILE.simulation.nc."""

    force: Flag = False
    """Replace files that exist."""

    checkpoint: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Save the state of a long prediction or simulation here every two minutes."""

    resume: Flag = False
    """Go on from the checkpoint, to the same numbers bit by bit."""

    def outputs(self, *results: str) -> Outputs:
        """Return where the figure and the results with these names will be written."""
        return planned_outputs(*results, plot=self.plot, out=self.out, force=self.force)

    def saving(self, part: str = "") -> dict[str, Any]:
        """Return the keywords of a checkpoint, in a folder of this name inside its own; refuse to resume nothing."""
        if self.resume and self.checkpoint is None:
            raise ValueError("--resume needs --checkpoint FOLDER: where to go on from.")
        return {} if self.checkpoint is None else {"checkpoint": self.checkpoint / part, "resume": self.resume}


Arguments = Annotated[Task, tyro.conf.arg(name="")]

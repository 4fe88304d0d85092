"""`dyntheory charges`: units of a student as electrons among protons in the plane, drawn and as a moving picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import tyro

import dyntheory as dt
from dyntheory.shell.arguments import FigurePath, Flag, NumbersPath
from dyntheory.shell.exit_status import of_status
from dyntheory.shell.outputs import planned_outputs

Animation = Annotated[Path | None, tyro.conf.arg(metavar="FILE.gif")]
STATES = 201


def command(
    potential: tyro.conf.Positional[
        Literal["screened", "erf", "relu", "leaky_relu", "abs", "cos", "sin", "quadratic", "exp"]
    ] = "screened",
    *,
    units: int = 3,
    time: float = 10.0,
    seed: int = 0,
    train_charges: Flag = False,
    plot: FigurePath = None,
    animation: Animation = None,
    frames: int = 100,
    out: NumbersPath = None,
    force: Flag = False,
) -> int:
    """Let electrons find protons in the plane: two-layer learning by gradient flow on the population loss.

    Protons are spread around the circle, electrons start at random.

    Args:
        potential: of the activation; "screened" has no stable equilibrium away from a proton.
        units: of teacher and student.
        time: learning rate times steps.
        seed: of protons and starts.
        train_charges: train output weights too.
        plot: draw field lines and paths into this file: .png, .svg or .pdf.
        animation: write a moving picture: .gif, or .mp4 where ffmpeg is installed.
        frames: of the moving picture.
        out: write the paths into this NetCDF file.
        force: replace files that exist.
    """
    import numpy as np

    from dyntheory.ground.checks import check_count, check_positive
    from dyntheory.plot.charge_figures import writer_of

    outputs = planned_outputs("paths", plot=plot, out=out, force=force)
    if animation is not None:
        writer_of("--animation", animation, force=force)
    count, frames = check_count("--units", units), check_count("--frames", frames, minimum=2)
    check_positive("--time", time)
    rng = np.random.default_rng(check_count("--seed", seed, minimum=0))
    angles = 2 * np.pi * (np.arange(count) + 0.5 * rng.uniform(size=count)) / count
    protons = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    chosen = dt.charges.yukawa(2, 0.5, width=0.15) if potential == "screened" else potential
    times = np.linspace(0.0, time, STATES)
    start = rng.normal(size=(count, 2))
    found = dt.charges.flow(
        chosen, protons, electrons=start, times=times, train_charges=train_charges, rtol=1e-6, tolerance=1e-4
    )
    print(f"{found.endings[0]}: the loss went from {found.loss[0, 0]:.4g} to {found.loss[0, -1]:.4g}")
    for electron, (proton, distance) in enumerate(zip(found.matching[0], found.matched_distance[0], strict=True)):
        print(f"electron {electron}, charge {found.charges[0, -1, electron]:.3f}: {distance:.2e} from proton {proton}")
    outputs.write(lambda: dt.plot.charge_field(found, potential=chosen), {"paths": found})
    if animation is not None:
        drawn = dt.plot.charge_animation(found, animation, potential=chosen, num_frames=frames, force=force)
        print(f"Wrote {drawn}")
    return of_status(found.status)

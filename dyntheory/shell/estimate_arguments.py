"""The command `estimate`, as arguments; what it does waits in `estimate_report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import tyro

from dyntheory.shell.arguments import AGREES, UNRESOLVED, Flag, Task, planned_files


def estimate(
    method: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="METHOD.toml")],
    *,
    data: Annotated[Path, tyro.conf.arg(metavar="DATA.csv")],
    target: Annotated[str, tyro.conf.arg(metavar="COLUMN")],
    covariance: Literal["sample", "isotropic", "shrinkage"] = "sample",
    set: Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(metavar="KEY=VALUE")] = (),
    plot: Annotated[Path | None, tyro.conf.arg(metavar="FIGURE")] = None,
    out: Annotated[Path | None, tyro.conf.arg(metavar="FILE.nc")] = None,
    force: Flag = False,
) -> int:
    """Train on a file of data and say after every step what the error on fresh rows is, with none held out.

    Args:
        method: tables [network], [method] and [run] of a problem; [law] is not used.
        data: CSV with a header, NPZ or NPY. Columns are standardised, words become indicators.
        target: the column of the labels, a name (CSV, NPZ) or a number (NPY). Numbers are standardised; classes need
            the loss "logistic", "squared_hinge" or "cross_entropy".
        covariance: what is taken for the covariance of the columns; "sample" needs to know nothing.
        set: replace entries of the file, --set method.learning_rate=0.1 run.num_steps=50.
        plot: draw train error and estimate into this file: .png, .svg or .pdf.
        out: write the numbers into this NetCDF file.
        force: replace files that exist.
    """
    from dyntheory.shell.estimate_command import load_algorithm, perform

    files = planned_files(Task(method, plot=plot, out=out, force=force), ("estimate",))
    result = perform(load_algorithm(method, overrides=set), data, target, covariance=covariance)
    if plot is not None:
        from dyntheory.plot import live, save_figure

        print(f"Wrote {save_figure(live(result), plot, force=force)}")
    for path in files.values():
        print(f"Wrote {result.save(path, force=force)}")
    return AGREES if result.status.ok else UNRESOLVED

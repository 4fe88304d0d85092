"""`dyntheory closed-form`: a picture of the field."""

from __future__ import annotations

from typing import Literal

import tyro

import dyntheory as dt
from dyntheory.shell.arguments import FigurePath, Flag
from dyntheory.shell.exit_status import DONE
from dyntheory.shell.outputs import planned_outputs


def command(
    picture: tyro.conf.Positional[Literal["double-descent", "benign-overfitting", "early-stopping", "random-features"]],
    *,
    plot: FigurePath = None,
    force: Flag = False,
) -> int:
    """Compute one of the pictures of the field from closed forms, with least squares on random data beside them.

    Args:
        picture: which one.
        plot: draw it into this file: .png, .svg or .pdf.
        force: replace the file if it exists.
    """
    outputs = planned_outputs(plot=plot, force=force)
    data = dt.gallery.PICTURES[picture].compute()
    print(f"{picture}: {dt.gallery.summary(data)}.")
    outputs.write(lambda: dt.gallery.draw(data), {})
    return DONE

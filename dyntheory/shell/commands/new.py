"""`dyntheory new`: a problem to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from dyntheory.ground.files import replacing
from dyntheory.shell.arguments import Flag
from dyntheory.shell.exit_status import DONE


def command(path: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="PATH")], *, force: Flag = False) -> int:
    """Write a commented problem that runs in a few seconds.

    Args:
        path: the file to write, problem.toml say.
        force: replace the file if it exists.
    """
    from dyntheory.shell.tables.problem_file import template

    with replacing(path, force=force) as beside:
        beside.write_text(template(), encoding="utf-8")
    print(f"Wrote {path}. Next: dyntheory compare {path} --plot curves.png")
    return DONE

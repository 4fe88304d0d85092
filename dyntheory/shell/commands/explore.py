"""`dyntheory explore`: a local page where controls move curves."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated

import tyro

from dyntheory.shell.exit_status import DONE


def command(
    problem: Annotated[tyro.conf.Positional[Path | None], tyro.conf.arg(metavar="[PROBLEM.toml]")] = None,
    *,
    browser: bool = True,
) -> int:
    """Open a page in the browser where predicted learning curves follow controls, with simulations beside them.

    The page is served to this machine only, at an address with a secret in it, and takes nothing from the network.
    Ctrl-C ends it. Needs the extra `explore`.

    Args:
        problem: fills the controls; by default the problem that `dyntheory new` writes.
        browser: open the browser; the address is printed either way.
    """
    import webbrowser

    from dyntheory.ground.compilation_cache import enable_compilation_cache
    from dyntheory.ground.progress import warnings_as_lines
    from dyntheory.shell.explorer.serve import check_panel, serve
    from dyntheory.shell.explorer.state import State

    start = State.of_table(starting_table(problem))
    check_panel()
    with warnings_as_lines():
        enable_compilation_cache()

    def announce(address: str) -> None:
        print(f"Explore at {address}\nCtrl-C ends it.", flush=True)
        if browser:
            webbrowser.open(address)

    serve(start, announce=announce)
    print("\ndyntheory: the page is closed.", flush=True)
    return DONE


def starting_table(path: Path | None) -> dict[str, dict[str, object]]:
    """Return the table of a file as it is written, numbers in place of names of files; or that of the template.

    Raises:
        ProblemError: the file is missing or describes no problem.
    """
    from dyntheory.shell.tables.problem_file import load_problem, template

    if path is None:
        return tomllib.loads(template())
    read = load_problem(path).table
    table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    if "features" in read["law"]:
        table["law"]["features"] = read["law"]["features"]
    return table

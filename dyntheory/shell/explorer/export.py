"""What the page saves: figures, the problem, the lines of Python, the numbers."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import dyntheory as dt
from dyntheory.shell.explorer.python_lines import python_lines
from dyntheory.shell.explorer.toml_text import toml_text
from dyntheory.shell.explorer.work import Shown

FIGURES = ("png", "svg", "pdf")
HEADER = "# dyntheory compare THIS_FILE.toml --plot curves.png\n\n"


def figure_bytes(shown: Shown, kind: str, *, logy: bool | None = None) -> bytes:
    """Return the figure of `dyntheory.plot.curves` as a file of this kind."""
    runs = [] if shown.simulation is None else [shown.simulation.trajectory]
    figure = dt.plot.curves(shown.theory.trajectory, *runs, logy=logy)
    return _written(f"curves.{kind}", lambda path: dt.plot.save_figure(figure, path))


def netcdf_bytes(trajectory: dt.Trajectory) -> bytes:
    """Return a result as a file that `dyntheory.load` reads."""
    return _written("curves.nc", trajectory.save)


def toml_bytes(shown: Shown) -> bytes:
    """Return the problem as a file that `dyntheory compare` takes, with every default written out."""
    tables = {name: entries for name, entries in shown.problem.table.items() if entries}
    return (HEADER + toml_text(tables)).encode()


def python_bytes(shown: Shown) -> bytes:
    """Return lines of Python that compute what is shown."""
    return python_lines(shown.problem, shown.level, simulated=shown.simulation is not None).encode()


def _written(name: str, write: Callable[[Path], object]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        write(path)
        return path.read_bytes()

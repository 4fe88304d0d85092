"""The files of a command: names that cannot be written are refused before anything is computed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import dyntheory as dt
from dyntheory.ground.files import check_destination

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Savable(Protocol):
    """A result that writes itself."""

    def save(self, path: Path, *, force: bool) -> Path:
        """Write it and return where it is."""
        ...


@dataclasses.dataclass(frozen=True)
class Outputs:
    """Where a command will write.

    Args:
        figure: the file of the figure, if one is wanted.
        numbers: the NetCDF file of each result that is kept, by the name of the result.
        force: whether files that exist are replaced.
    """

    figure: Path | None
    numbers: Mapping[str, Path]
    force: bool

    def write(self, draw: Callable[[], Figure], results: Mapping[str, Savable]) -> None:
        """Write the files that are wanted, and say so; the figure is drawn only for its file."""
        if self.figure is not None:
            print(f"Wrote {dt.plot.save_figure(draw(), self.figure, force=self.force)}")
        for name, path in self.numbers.items():
            print(f"Wrote {results[name].save(path, force=self.force)}")


def planned_outputs(*results: str, plot: Path | None, out: Path | None = None, force: bool) -> Outputs:
    """Return where a figure and the results with these names will go; FILE.NAME.nc when there are several.

    Raises:
        OSError: a file exists and `force` is False, or its directory does not exist.
        ValueError: a name with another ending than those of figures and of NetCDF files.
    """
    if plot is not None and plot.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise ValueError(f"--plot takes a file that ends in .png, .svg or .pdf, got '{plot}'.")
    if out is not None and out.suffix != ".nc":
        raise ValueError(f"--out takes a file that ends in .nc, got '{out}'.")
    numbers: dict[str, Path] = {}
    if out is not None:
        numbers = {name: out if len(results) == 1 else out.with_suffix(f".{name}.nc") for name in results}
    for path in (plot, *numbers.values()):
        if path is not None:
            check_destination(path, force=force)
    return Outputs(plot, numbers, force)

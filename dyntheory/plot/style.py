"""What every figure shares: the look of each curve, figures without `pyplot`, and saving them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dyntheory.ground.files import replacing
from dyntheory.ground.kinds import check_arguments

STEP = "step $t$"
WIDTH = 2.0  # half-width of bands and bars, in standard errors
MOST_ENTRIES = 6  # a legend with more stands beside the axes
METADATA: dict[str, dict[str, Any]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None},
    ".pdf": {"CreationDate": None},
}  # a figure depends on what it shows, not on when it was drawn
SETTINGS: dict[Any, Any] = {"svg.hashsalt": "dyntheory", "pdf.fonttype": 42}


@dataclasses.dataclass(frozen=True)
class Style:
    """How one curve looks.

    Args:
        color: of line and markers; dark against light, so that grey tells them apart.
        dash: of the theory line.
        markers: of the simulations, one after the other.
        live: marker of an estimate from one real run.
    """

    color: str
    dash: str | tuple[int, tuple[float, ...]]
    markers: str
    live: str


STYLES = {
    "train_error": Style("#0b3c78", "-", "o^v", "x"),
    "test_error": Style("#e8743b", (0, (5.0, 2.0)), "sD<", "+"),
    "train_loss": Style("#3f7f5f", (0, (1.0, 1.5)), "X*>", "1"),
    "test_loss": Style("#b48ac8", (0, (6.0, 1.5, 1.0, 1.5)), "P8H", "2"),
}


def save_figure(fig: Figure, path: str | Path, *, force: bool = False) -> Path:
    """Write a figure as PNG, SVG or PDF, whole or not at all.

    Args:
        fig: the figure.
        path: its suffix chooses the format.
        force: whether an existing file may be replaced.

    Returns:
        The path.

    Raises:
        FileExistsError: the file exists and `force` is False.
        FileNotFoundError: its directory does not exist.
        ValueError: the suffix is none of .png, .svg, .pdf.
    """
    check_arguments(save_figure, locals())
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in METADATA:
        raise ValueError(f"The name of a figure must end in {', '.join(METADATA)}, got '{path}': change the end.")
    with replacing(path, force=force) as beside, matplotlib.rc_context(SETTINGS):
        fig.savefig(beside, format=suffix[1:], dpi=200, metadata=METADATA[suffix])
    return path


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure that `pyplot` knows nothing about; sizes in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def figure_of(axes: Axes) -> Figure:
    """Return the whole figure that holds the axes, subfigures or not."""
    return cast(Figure, axes.figure.figure)


def finish(axes: Axes, xlabel: str, ylabel: str, title: str | None = None) -> None:
    """Label the axes, at whole steps only, and remove the spines that bound nothing."""
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    if xlabel == STEP:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if title is not None:
        axes.set_title(title, fontsize="medium")
    axes.spines[["top", "right"]].set_visible(False)


def add_legend(axes: Axes, *, alone: bool, heading: str | None = None, below: bool = False) -> None:
    """Put the legend inside the axes; when the figure is ours, below it if asked, or beside it when long."""
    handles, labels = axes.get_legend_handles_labels()
    options: dict[str, Any] = {"frameon": False, "fontsize": "small", "title": heading, "title_fontsize": "small"}
    figure = figure_of(axes)
    if alone and below:
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), **options)
    elif alone and len(labels) > MOST_ENTRIES:
        figure.set_figwidth(figure.get_figwidth() * 1.45)
        figure.legend(handles, labels, loc="outside right upper", **options)
    else:
        axes.legend(handles, labels, **options)


def words(metric: str, among: Sequence[str]) -> str:
    """Return "train" where all curves are of one kind and the axis says which, else "train error"."""
    one_kind = len({name.split("_")[1] for name in among}) == 1
    return metric.split("_")[0] if one_kind else metric.replace("_", " ")

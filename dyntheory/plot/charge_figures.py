"""Pictures of charges in the plane: field lines of protons, paths of electrons, and both as a moving picture."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dyntheory.flows.charges.named import resolve_potential
from dyntheory.flows.charges.potentials import Potential
from dyntheory.flows.charges.results import ChargePaths
from dyntheory.ground.checks import check_count
from dyntheory.ground.files import check_destination, write_whole
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.precision import as_double, double_precision
from dyntheory.plot.style import add_legend, figure_of, finish, new_figure

PROTON, ELECTRON, LINES = "#e8743b", "#0b3c78", "0.35"
GRID, LEVELS, MARGIN = 121, 22, 0.35
PER_SECOND, DOTS = 20, 110
WRITERS = {".gif": "pillow", ".mp4": "ffmpeg"}
PLANE = 2


class _Scene:
    """One run in the plane: where it takes place, and the potential there."""

    def __init__(self, found: ChargePaths, potential: Potential, run: int) -> None:
        if found.protons.shape[1] != PLANE:
            raise ValueError(f"`found` must be of two features to be drawn in the plane, got {found.protons.shape[1]}.")
        if run >= found.num_runs:
            raise ValueError(f"`run` must be below {found.num_runs}, the runs of `found`, got {run}.")
        if potential.name != found.provenance["potential"]:
            raise ValueError(f"`potential` must be that of `found`, {found.provenance['potential']}.")
        self.found, self.potential = found, potential
        self.paths, self.charges = found.positions[run], found.charges[run]
        places = np.concatenate([self.paths.reshape(-1, PLANE), found.protons])
        places = places[np.isfinite(places).all(axis=1)]
        low, high = places.min(axis=0), places.max(axis=0)
        half = (0.5 + MARGIN) * max(float((high - low).max()), 0.2)
        middle = 0.5 * (low + high)
        self.lines = [np.linspace(middle[k] - half, middle[k] + half, GRID) for k in range(PLANE)]
        self.points = np.stack(np.meshgrid(*self.lines), axis=-1).reshape(-1, PLANE)

    def field(self) -> tuple[np.ndarray, np.ndarray]:
        """Return Σ_j b_j Φ(·, w_j) and its gradient on the grid."""
        with double_precision():
            numbers = as_double(self.potential.parameters)
            points, sites = as_double(self.points), as_double(self.found.protons)
            values = np.asarray(self.potential.value(numbers, points, sites)) @ self.found.proton_charges
            slopes = np.asarray(self.potential.gradient(numbers, points, sites))
        pull = np.einsum("pqd,q->pd", slopes, self.found.proton_charges)
        return values.reshape(GRID, GRID), pull.reshape(GRID, GRID, PLANE)

    def net(self, time: int) -> np.ndarray:
        """Return what is left of the potential beside the electrons at one time: zero where all is learned."""
        with double_precision():
            numbers, points = as_double(self.potential.parameters), as_double(self.points)
            sites = as_double(np.concatenate([self.found.protons, self.paths[time]]))
            charges = np.concatenate([self.found.proton_charges, -self.charges[time]])
            return (np.asarray(self.potential.value(numbers, points, sites)) @ charges).reshape(GRID, GRID)


def charge_field(
    found: ChargePaths, *, potential: str | Potential, run: int = 0, ax: Axes | None = None, title: str | None = None
) -> Figure:
    """Draw the potential of the protons with its field lines, and the paths of the electrons, in the plane.

    A lone electron of charge one would follow the lines; the others bend its path. Starts are open circles, ends are
    filled, protons are crosses.

    Args:
        found: from `dyntheory.charges`, with two features.
        potential: the one it was computed with.
        run: which start, or run.
        ax: where to draw; default a figure of its own.
        title: of the axes.

    Returns:
        The figure; see `save_figure`.

    Raises:
        ValueError: more features than two, a run that there is not, or another potential.
    """
    check_arguments(charge_field, locals())
    scene = _Scene(found, resolve_potential(potential), check_count("run", run, minimum=0))
    axes = new_figure(4.6, 4.4).add_subplot() if ax is None else ax
    values, pull = scene.field()
    axes.contourf(*scene.lines, values, LEVELS, cmap="Oranges", alpha=0.55)
    look: dict[str, Any] = {"color": LINES, "linewidth": 0.5, "density": 1.1, "arrowsize": 0.6}
    axes.streamplot(scene.lines[0], scene.lines[1], pull[..., 0], pull[..., 1], **look)
    for electron, path in enumerate(np.moveaxis(scene.paths, 1, 0)):
        axes.plot(*path.T, color=ELECTRON, lw=1.4, label="electrons" if electron == 0 else None, zorder=3)
        axes.plot(*path[0], "o", color=ELECTRON, mfc="white", ms=5, zorder=4)
        axes.plot(*path[-1], "o", color=ELECTRON, ms=5, zorder=4)
    axes.plot(*found.protons.T, "P", color=PROTON, mec="black", ms=10, label="protons", zorder=3.5)
    _frame(axes, scene)
    finish(axes, "first weight", "second weight", title)
    add_legend(axes, alone=ax is None, below=True)
    return figure_of(axes)


def _frame(axes: Axes, scene: _Scene) -> None:
    axes.set(xlim=scene.lines[0][[0, -1]], ylim=scene.lines[1][[0, -1]], aspect="equal")


def writer_of(name: str, path: Path, *, force: bool) -> str:
    """Return what writes a moving picture to a path, by its ending; ask before a long computation.

    Args:
        name: of the argument, for messages.
        path: where it goes.
        force: whether an existing file may be replaced.

    Raises:
        FileExistsError: the file exists and `force` is False.
        ValueError: another ending, or .mp4 without ffmpeg.
    """
    from matplotlib import animation

    writer = WRITERS.get(path.suffix.lower())
    if writer is None or not animation.writers.is_available(writer):
        told = "ffmpeg is not installed, so it must end in .gif" if writer else "it must end in .gif or .mp4"
        raise ValueError(f"`{name}` names a moving picture: {told}, got '{path}'.")
    check_destination(path, force=force)
    return writer


def charge_animation(
    found: ChargePaths,
    path: str | Path,
    *,
    potential: str | Potential,
    run: int = 0,
    num_frames: int = 100,
    force: bool = False,
) -> Path:
    """Write a moving picture of the electrons: their trails, the potential that is left, and the loss beside it.

    Args:
        found: from `dyntheory.charges`, with two features; frames are spread evenly over its times.
        path: ends in .gif, or in .mp4 where ffmpeg is installed.
        potential: the one it was computed with.
        run: which start, or run.
        num_frames: how many pictures, at most.
        force: whether an existing file may be replaced.

    Returns:
        The path.

    Raises:
        FileExistsError: the file exists and `force` is False.
        ValueError: another ending, .mp4 without ffmpeg, more features than two, or a run that there is not.
    """
    check_arguments(charge_animation, locals())
    from matplotlib import animation

    path, writer = Path(path), writer_of("path", Path(path), force=force)
    scene = _Scene(found, resolve_potential(potential), check_count("run", run, minimum=0))
    count = min(check_count("num_frames", num_frames, minimum=2), len(found.times))
    frames = np.unique(np.linspace(0, len(found.times) - 1, count).round().astype(int))
    figure = new_figure(8.2, 4.2)
    chosen = animation.writers[writer](fps=PER_SECOND)
    with tempfile.TemporaryDirectory() as folder:
        beside = Path(folder) / f"frames{path.suffix.lower()}"  # writers go by the ending of a name
        with chosen.saving(figure, str(beside), dpi=DOTS):
            stage = _Stage(figure, scene, run)
            for frame in frames:
                stage.show(int(frame))
                if frame == 0:
                    figure.draw_without_rendering()
                    figure.set_layout_engine("none")  # or axes would move from frame to frame
                chosen.grab_frame()
        return write_whole(path, beside.read_bytes(), force=force)


class _Stage:
    """The two panels of a moving picture, drawn anew where something moves."""

    def __init__(self, figure: Figure, scene: _Scene, run: int) -> None:
        self.scene, self.times, self.loss = scene, scene.found.times, np.maximum(scene.found.loss[run], 1e-16)
        self.left, self.right = figure.subplots(1, 2, width_ratios=(1.0, 1.0))
        self.size = float(np.abs(scene.net(0)).max()) or 1.0  # electrons may stand on all protons
        finish(self.right, "time $t$", "population loss", "what is left to learn")
        self.right.semilogy(self.times, self.loss, color="0.75", lw=1.2)
        self.right.set_ylim(max(float(np.nanmin(self.loss)) / 2, 1e-10), max(2 * float(np.nanmax(self.loss)), 1e-9))
        self.moving: list[Any] = []

    def show(self, time: int) -> None:
        """Draw one time."""
        for one in self.moving:
            one.remove()
        levels = np.linspace(-self.size, self.size, LEVELS)
        net = np.clip(self.scene.net(time), -self.size, self.size)
        self.moving = [self.left.contourf(*self.scene.lines, net, levels, cmap="PuOr_r", alpha=0.8)]
        for trail in np.moveaxis(self.scene.paths[: time + 1], 1, 0):
            self.moving += self.left.plot(*trail.T, color=ELECTRON, lw=1.3)
            self.moving += self.left.plot(*trail[-1], "o", color=ELECTRON, mec="white", ms=8, zorder=4)
        self.moving += self.left.plot(*self.scene.found.protons.T, "P", color=PROTON, mec="black", ms=10, zorder=3)
        self.moving += self.right.semilogy(self.times[: time + 1], self.loss[: time + 1], color=ELECTRON, lw=1.6)
        self.moving += self.right.plot(self.times[time], self.loss[time], "o", color=ELECTRON, ms=5)
        _frame(self.left, self.scene)
        finish(self.left, "first weight", "second weight", f"electrons and protons, $t$ = {self.times[time]:.1f}")

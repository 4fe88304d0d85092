"""Pictures of sweeps: a map over two numbers with contours and boundaries, and slices with bars.

Values of points that diverged are left out: they say nothing, and would decide the scale.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from dyntheory.ground.checks import check_count
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.names import check_name
from dyntheory.plot.style import STEP, WIDTH, add_legend, figure_of, finish, new_figure

NUM_CONTOURS = 8
MOST_LINES = 12
LEAST_RATIOS = 3  # values that a logarithmic axis needs
LOG_RANGE = 30.0
ERROR = "_standard_error"
STEP_NAME = "step"
NOT_OK = {"status": {"diverged": "x", "unresolved": ".", "heavy_tail": "+"}, "verdict": {"disagree": "v"}}
GEOMETRIC = 1e-6  # deviation of ratios below which values get a logarithmic axis
DASHES: tuple[Any, ...] = ("-", (0, (5.0, 2.0)), (0, (1.0, 1.5)), (0, (6.0, 1.5, 1.0, 1.5)))


def phase_diagram(
    sweep: Any,
    *,
    x: str | None = None,
    y: str | None = None,
    metric: str = "test_error",
    step: int | None = None,
    boundary: Any = None,
    ax: Axes | None = None,
    title: str | None = None,
) -> Figure:
    """Draw one metric over two swept numbers: colours, contours, and marks where a point did not end well.

    Of a sweep with trained networks choose one source, `sweep.sel(source="theory")`; where both disagree is marked.

    Args:
        sweep: from `dyntheory.sweep` over a grid; what is swept beside x and y must be chosen, `sweep.sel(…)`.
        x: name of the horizontal number; default the first one swept.
        y: name of the vertical number; default the second one.
        metric: a curve, or an order parameter that is one number a step.
        step: t; default the last.
        boundary: from `dyntheory.boundary` over one of both along the other, drawn as a line with bars.
        ax: where to draw; default a figure of its own.
        title: of the axes.

    Returns:
        The figure; see `save_figure`.

    Raises:
        ValueError: other dimensions than two, or an unknown name.
    """
    check_arguments(phase_diagram, locals())
    values = _at_step(sweep, metric, step)
    names = [str(name) for name in values.dims]
    if len(names) != 2 or "point" in names or "source" in names:
        raise ValueError(
            f"A phase diagram needs a grid over two numbers, the sweep has {', '.join(names) or 'one point'}: choose "
            'with .sel(…), sweep.sel(source="theory") say, or sweep over a grid.'
        )
    x = check_name("dimension `x`", names[0] if x is None and names else x, names)
    rest = [name for name in names if name != x]
    y = check_name("dimension `y`", rest[0] if y is None and rest else y, rest)
    axes = new_figure(5.2, 4.0).add_subplot() if ax is None else ax
    values = values.transpose(y, x)
    shown = np.ma.masked_invalid(values.values)
    mesh = axes.pcolormesh(values[x], values[y], shown, shading="nearest", cmap="cividis", rasterized=True)
    if min(values.shape) > 1:
        lines = axes.contour(values[x], values[y], shown, NUM_CONTOURS, colors="white", linewidths=0.8)
        axes.clabel(lines, fontsize="x-small")
    _mark(axes, sweep, x, y)
    if boundary is not None:
        _draw_boundary(axes, boundary, x, y)
    figure_of(axes).colorbar(mesh, ax=axes, label=f"{_words(metric)} at step {_chosen(sweep, step)}")
    finish(axes, _words(x), _words(y), title)
    _scale(axes, "x", values[x].values)
    _scale(axes, "y", values[y].values)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(fontsize="small", loc="best")
    return figure_of(axes)


def slices(
    sweep: Any,
    *,
    along: str | None = None,
    metric: str = "test_error",
    step: int | None = None,
    ax: Axes | None = None,
    title: str | None = None,
) -> Figure:
    """Draw one metric along one swept number, a line with a band of two standard errors for each value of the others.

    Args:
        sweep: from `dyntheory.sweep`.
        along: a swept number, or "step"; default the first one swept.
        metric: a curve, or an order parameter that is one number a step.
        step: t; default the last; not with along="step".
        ax: where to draw; default a figure of its own.
        title: of the axes.

    Returns:
        The figure; see `save_figure`.

    Raises:
        ValueError: an unknown name, or more than twelve lines.
    """
    check_arguments(slices, locals())
    values, errors = (_read(sweep, name, step, whole=along == STEP_NAME) for name in (metric, metric + ERROR))
    names = [str(name) for name in values.dims]
    along = check_name("dimension `along`", names[0] if along is None and names else along, names)
    others = [name for name in names if name != along]
    lines = list(itertools.product(*(range(values.sizes[name]) for name in others)))
    if len(lines) > MOST_LINES:
        raise ValueError(f"These would be {len(lines)} lines, more than {MOST_LINES}: choose with .sel(…) or .isel(…).")
    axes = new_figure(5.4, 3.7).add_subplot() if ax is None else ax
    for number, places in enumerate(lines):
        chosen = dict(zip(others, places, strict=True))
        label = ", ".join(f"{_words(name)} {_label(sweep[name].values[place])}" for name, place in chosen.items())
        _draw_slice(axes, values.isel(chosen), errors.isel(chosen), along, (number, len(lines)), label)
    finite = np.abs(values.values[np.isfinite(values.values)])
    if finite.size and finite.min() > 0 and finite.max() > LOG_RANGE * finite.min():
        axes.set_yscale("log")
    where = "" if along == STEP_NAME else f" at step {_chosen(sweep, step)}"
    _scale(axes, "x", values[along].values)
    finish(axes, STEP if along == STEP_NAME else _words(along), _words(metric) + where, title)
    if others:
        add_legend(axes, alone=ax is None)
    return figure_of(axes)


def _mark(axes: Axes, sweep: Any, x: str, y: str) -> None:
    """Mark points that did not end well, and those whose theory and simulation disagree."""
    for name, markers in NOT_OK.items():
        said = sweep[name].transpose(y, x) if name in sweep else None
        for code, marker in markers.items():
            rows, columns = np.nonzero(said.values == code) if said is not None else ((), ())
            if len(rows):
                style: dict[str, Any] = {"color": "black", "markersize": 4, "label": code}
                axes.plot(sweep[x].values[columns], sweep[y].values[rows], marker, **style)


def _read(sweep: Any, name: str, step: int | None, *, whole: bool) -> Any:
    if whole and step is not None:
        raise ValueError('`step` is one of the points along "step": leave it out.')
    return _checked(sweep, name) if whole else _at_step(sweep, name, step)


def _checked(sweep: Any, metric: str) -> Any:
    known = [str(name) for name, one in sweep.data_vars.items() if str(one.dims[-1:]) == "('step',)"]
    values = sweep[check_name("metric", metric, known)]
    return values.where(sweep.status != "diverged") if "status" in sweep else values


def _at_step(sweep: Any, metric: str, step: int | None) -> Any:
    return _checked(sweep, metric).isel(step=_chosen(sweep, step))


def _scale(axes: Axes, direction: str, values: np.ndarray) -> None:
    """Make an axis logarithmic whose values were chosen in equal ratios."""
    if values.dtype.kind == "U" or len(values) < LEAST_RATIOS or values.min() <= 0:
        return
    ratios = values[1:] / values[:-1]
    if np.ptp(ratios) < GEOMETRIC * ratios[0]:
        axes.set(**{f"{direction}scale": "log"})
        axis: Axis = getattr(axes, f"{direction}axis")
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_formatter(NullFormatter())


def _chosen(sweep: Any, step: int | None) -> int:
    last = int(sweep.sizes["step"]) - 1
    if step is None:
        return last
    if check_count("step", step, minimum=0) > last:
        raise ValueError(f"`step` must be at most {last}, the last one that was swept, got {step}.")
    return step


def _draw_slice(axes: Axes, values: Any, errors: Any, along: str, place: tuple[int, int], label: str) -> None:
    number, count = place
    shade = str(0.75 * number / max(count - 1, 1)) if count > 1 else "0.0"
    x = values[along].values
    style: dict[str, Any] = {"color": shade, "linestyle": DASHES[number % len(DASHES)], "label": label}
    if x.dtype.kind == "U":
        axes.errorbar(x, values, WIDTH * errors, marker="o", capsize=2, **{**style, "linestyle": "none"})
        return
    axes.plot(x, values, **style)
    axes.fill_between(x, values - WIDTH * errors, values + WIDTH * errors, color=shade, alpha=0.25, linewidth=0)


def _draw_boundary(axes: Axes, boundary: Any, x: str, y: str) -> None:
    names = [str(name) for name in boundary.dims]
    along = y if names == [x] else x
    if names not in ([x], [y]) or along not in boundary:
        raise ValueError(f"`boundary` must lie over {x} along {y}, or over {y} along {x}; it lies over {names}.")
    over, roots, errors = boundary[names[0]].values, boundary[along].values, WIDTH * boundary[along + ERROR].values
    style: dict[str, Any] = {"color": "#e8743b", "marker": "o", "markersize": 3, "capsize": 2, "label": "boundary"}
    if along == y:
        axes.errorbar(over, roots, yerr=errors, **style)
    else:
        axes.errorbar(roots, over, xerr=errors, **style)


def _words(name: str) -> str:
    return "$n/d$" if name == "samples_per_feature" else name.replace("_", " ")


def _label(value: Any) -> str:
    return str(value) if isinstance(value, str) else f"{value:.4g}"

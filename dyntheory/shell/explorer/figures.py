"""The two figures of the page: curves with bands and points with bars, and the z-scores below them.

A figure is made once for a language and a scale; what changes afterwards is the data in its sources.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dyntheory.plot.style import STYLES, WIDTH

if TYPE_CHECKING:
    import dyntheory as dt

METRICS = ("train_error", "test_error")
DASHES = {"train_error": "solid", "test_error": "dashed"}
MARKERS = {"train_error": "circle", "test_error": "square"}
LOG_RANGE = 30.0  # curves that span more than this factor get a logarithmic axis
FLOOR = 1e-3  # a band that reaches zero ends at this part of its curve on a logarithmic axis
EDGE = 1.3  # of the z-scores' axis, in units of the largest of them
THEORY, SIMULATION = "theory", "simulation"
Data = dict[str, Any]


class CurvesFigure:
    """Curves of one language and one scale.

    Args:
        texts: of the language.
        is_log: whether errors are on a logarithmic axis.
    """

    def __init__(self, texts: Mapping[str, str], *, is_log: bool) -> None:
        from bokeh.models import ColumnDataSource

        self.is_log = is_log
        self.figure = _new_figure(texts, 360, texts["error"], "log" if is_log else "linear")
        self.sources = {
            (side, metric): ColumnDataSource(_empty("step", "value", "low", "high"), name=f"{side} {metric}")
            for side in (THEORY, SIMULATION)
            for metric in METRICS
        }
        drawn = [self._draw(metric, texts) for metric in METRICS]
        self._lines = [line for line, _ in drawn]
        self.figure.y_range.renderers = [
            one for pair in drawn for one in pair
        ]  # bands of few nodes would shrink the curves to lines
        _finish_legend(self.figure)

    def show(self, theory: dt.Trajectory | None, simulation: dt.Trajectory | None) -> None:
        """Put curves in place of those shown."""
        for item in self.figure.legend[0].items:
            item.visible = simulation is not None or item.renderers[0] in self._lines
        for (side, metric), source in self.sources.items():
            source.data = _curve(theory if side == THEORY else simulation, metric, is_log=self.is_log)

    def _draw(self, metric: str, texts: Mapping[str, str]) -> tuple[Any, Any]:
        """Draw theory and simulation of one curve, and return the line and the points."""
        from bokeh.models import Whisker

        color, name = STYLES[metric].color, texts[metric.split("_")[0]]
        theory, simulation = (self.sources[side, metric] for side in (THEORY, SIMULATION))
        self.figure.varea("step", "low", "high", source=theory, color=color, alpha=0.22)
        label = f"{name}, {texts['theory']}"
        line = self.figure.line(
            *("step", "value"), source=theory, color=color, line_width=2, line_dash=DASHES[metric], legend_label=label
        )
        bars: Any = Whisker(base="step", lower="low", upper="high", source=simulation, line_color=color)
        for head in (bars.upper_head, bars.lower_head):
            head.size, head.line_color = 6, color
        self.figure.add_layout(bars)
        label = f"{name}, {texts['simulation']}"
        points = self.figure.scatter(
            *("step", "value"),
            source=simulation,
            size=6,
            marker=MARKERS[metric],
            line_color=color,
            fill_color="white",
            legend_label=label,
        )
        return line, points


class ScoresFigure:
    """z-scores of one language.

    Args:
        texts: of the language.
    """

    def __init__(self, texts: Mapping[str, str]) -> None:
        from bokeh.models import ColumnDataSource, Range1d, Span

        self.figure = _new_figure(texts, 240, "z", "linear")
        self.figure.y_range = Range1d(start=-1, end=1)
        self.sources = {
            metric: ColumnDataSource(_empty("step", "value", "low", "high"), name=f"z {metric}") for metric in METRICS
        }
        self._spans = [Span(location=at, dimension="width", line_dash="dotted") for at in (-1, 1)]
        for span in (Span(location=0, dimension="width", line_color="#999999"), *self._spans):
            self.figure.add_layout(span)
        for metric in METRICS:
            _draw_scores(self.figure, metric, self.sources[metric], texts[metric.split("_")[0]])
        _finish_legend(self.figure)

    def show(self, agreement: dt.Agreement) -> None:
        """Put the scores of a report in place of those shown; infinite ones stand at the edge."""
        finite = [abs(z[np.isfinite(z)]).max(initial=0.0) for z in agreement.z.values()]
        edge = EDGE * max(agreement.threshold, *finite)
        self.figure.y_range.start, self.figure.y_range.end = -edge, edge
        for span, sign in zip(self._spans, (-1, 1), strict=True):
            span.location = sign * agreement.threshold
        for metric, source in self.sources.items():
            with np.errstate(divide="ignore", invalid="ignore"):
                bound = agreement.tolerance[metric] / agreement.standard_error[metric]
            bound = np.where(np.isfinite(bound), bound, np.nan)
            z = np.clip(agreement.z[metric], -edge, edge)
            source.data = {"step": agreement.steps, "value": z, "low": -bound, "high": bound}


def spans_decades(trajectories: Sequence[dt.Trajectory]) -> bool:
    """Return whether errors are positive and reach over more than a factor 30."""
    found = [np.asarray(getattr(one, metric)) for one in trajectories for metric in METRICS]
    values = np.concatenate(found) if found else np.empty(0)
    values = values[np.isfinite(values)]
    return bool(values.size and values.min() > 0 and values.max() > LOG_RANGE * values.min())


def _new_figure(texts: Mapping[str, str], height: int, label: str, scale: Literal["linear", "log"]) -> Any:
    from bokeh.plotting import figure

    made: Any = figure(
        height=height,
        sizing_mode="stretch_width",
        y_axis_type=scale,
        x_axis_label=texts["step"],
        y_axis_label=label,
        tools="pan,box_zoom,wheel_zoom,reset,hover",
        tooltips=[(texts["step"], "@step"), (label, "@value{0.00000}")],
        active_scroll=None,
        min_border_right=12,
        output_backend="canvas",
    )
    made.toolbar.logo = None
    made.toolbar.autohide = True
    made.xaxis.ticker.min_interval = 1
    made.axis.minor_tick_line_color = None
    made.outline_line_color = None
    return made


def _finish_legend(made: Any) -> None:
    made.add_layout(made.legend[0], "above")
    legend = made.legend[0]
    legend.orientation, legend.ncols, legend.border_line_alpha = "horizontal", 2, 0.0
    legend.padding, legend.margin, legend.spacing = 0, 0, 2


def _draw_scores(made: Any, metric: str, source: Any, name: str) -> None:
    color = STYLES[metric].color
    for bound in ("low", "high"):
        made.line("step", bound, source=source, color=color, line_width=1, alpha=0.6, line_dash=DASHES[metric])
    made.line("step", "value", source=source, color=color, line_width=1, line_dash=DASHES[metric], legend_label=name)
    made.scatter(
        *("step", "value"),
        source=source,
        size=6,
        marker=MARKERS[metric],
        line_color=color,
        fill_color="white",
        legend_label=name,
    )


def _empty(*columns: str) -> Data:
    return {column: [] for column in columns}


def _curve(trajectory: dt.Trajectory | None, metric: str, *, is_log: bool) -> Data:
    """Return a curve and ± two standard errors; what is not finite is a gap, as a browser draws no infinity."""
    if trajectory is None:
        return _empty("step", "value", "low", "high")
    value = np.asarray(getattr(trajectory, metric), dtype=float)
    errors = trajectory.standard_error
    error = np.zeros_like(value) if errors is None else np.asarray(getattr(errors, metric), dtype=float)
    with np.errstate(invalid="ignore"):
        low, high = value - WIDTH * error, value + WIDTH * error
        low = np.maximum(low, FLOOR * value) if is_log else low
    curves = {"value": value, "low": low, "high": high}
    finite = {name: np.where(np.isfinite(one), one, np.nan) for name, one in curves.items()}
    return {"step": trajectory.steps, **finite}

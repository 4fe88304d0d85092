"""Figures show what they claim, are legible in greyscale, and touch no global state."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib import _pylab_helpers, colors, image
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure

from dyntheory import plot
from dyntheory.ground.status import Status
from dyntheory.plot.style import STYLES
from dyntheory.results.compare import Agreement, compare
from dyntheory.results.trajectory import CURVES, Trajectory


def _trajectory(kind: str, num_steps: int = 100, error: float = 0.002, **provenance: Any) -> Trajectory:
    steps = np.arange(num_steps + 1)
    train, test = 0.1 + 0.9 * np.exp(-steps / 15), 0.35 + 0.65 * np.exp(-steps / 12)
    values: dict[str, Any] = {"train_error": train, "test_error": test, "train_loss": train / 2, "test_loss": test / 2}
    errors: dict[str, Any] = dict.fromkeys(CURVES, np.full(num_steps + 1, error))
    rng = np.random.default_rng(6)
    rows = rng.normal(size=(num_steps + 1, 500, 2))
    return Trajectory(
        steps,
        **values,
        standard_error=Trajectory(steps, **errors),
        provenance={"kind": kind, **provenance},
        recorded_preactivations=rows,
        labels=rows[0, :, 0],
        sample_weights=np.full(500, 1 / 500),
    )


THEORY = _trajectory("prediction", error=0.0005)
RUNS = _trajectory("simulation", num_features=1000, num_runs=20)


def _axes(figure: Figure) -> Axes:
    return figure.axes[0]


def _points(figure: Figure) -> dict[str, ErrorbarContainer]:
    found = [c for c in _axes(figure).containers if isinstance(c, ErrorbarContainer)]
    return {str(container.get_label()): container for container in found}


def _lines(figure: Figure) -> dict[str, Any]:
    return {str(line.get_label()): line for line in _axes(figure).lines if not str(line.get_label()).startswith("_")}


def _data(line: Any) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(line.get_xdata()), np.asarray(line.get_ydata())


def _legend(figure: Figure) -> list[str]:
    legends = [legend for legend in (*figure.legends, _axes(figure).get_legend()) if legend is not None]
    return [text.get_text() for legend in legends for text in legend.get_texts()]


def test_theory_is_a_line_with_a_band_and_simulation_points_with_bars() -> None:
    figure = plot.curves(THEORY, RUNS, title="three layers")
    lines, points = _lines(figure), _points(figure)
    assert list(lines) == ["train, theory", "test, theory"]
    assert list(points) == ["train, simulation $d = 1000$", "test, simulation $d = 1000$"]
    np.testing.assert_array_equal(lines["test, theory"].get_ydata(), THEORY.test_error)
    assert lines["train, theory"].get_marker() == "None"
    data, _, bars = points["train, simulation $d = 1000$"].lines
    assert data is not None and data.get_linestyle() == "None"
    segments = np.asarray(bars[0].get_segments())
    np.testing.assert_allclose(segments[:, 1, 1] - segments[:, 0, 1], 4 * 0.002)
    assert RUNS.train_error is not None
    np.testing.assert_allclose(segments[:, :, 1].mean(axis=1), RUNS.train_error[np.asarray(data.get_xdata(), int)])
    outlines = [np.asarray(one.get_paths()[0].vertices) for one in _axes(figure).collections]
    bands = [vertices for vertices in outlines if len(vertices) > 100]
    assert len(bands) == 2
    np.testing.assert_allclose([np.ptp(band[band[:, 0] == 50, 1]) for band in bands], 4 * 0.0005)
    assert (_axes(figure).get_xlabel(), _axes(figure).get_ylabel()) == ("step $t$", "error")
    assert _axes(figure).get_title() == "three layers"
    assert _legend(figure) == [*lines, *points]


@pytest.mark.parametrize(("num_steps", "expected"), [(0, 1), (10, 11), (25, 26), (100, 26), (1000, 26)])
def test_long_curves_keep_the_line_and_thin_out_the_markers(num_steps: int, expected: int) -> None:
    theory, runs = _trajectory("prediction", num_steps), _trajectory("simulation", num_steps)
    figure = plot.curves(theory, runs)
    at = _data(_points(figure)["train, simulation"].lines[0])[0]
    assert len(at) == expected
    assert at[0] == 0 and at[-1] == num_steps
    assert len(_lines(figure)["train, theory"].get_xdata()) == num_steps + 1


@pytest.mark.parametrize(
    ("scale", "logy", "expected"),
    [(1.0, None, "linear"), (1e-3, None, "log"), (1.0, True, "log"), (1e-3, False, "linear"), (-1e-3, None, "linear")],
)
def test_the_error_axis_is_logarithmic_where_the_curves_span_decades(
    scale: float, logy: bool | None, expected: str
) -> None:
    theory = dataclasses.replace(THEORY, train_error=np.geomspace(1.0, abs(scale), 101) * np.sign(scale))
    figure = plot.curves(theory, logy=logy)
    assert _axes(figure).get_yscale() == expected


def _grey(color: str) -> float:
    return float(np.dot(colors.to_rgb(color), [0.299, 0.587, 0.114]))


def test_curves_differ_without_colour() -> None:
    assert _grey(STYLES["test_error"].color) - _grey(STYLES["train_error"].color) > 0.3
    assert _grey(STYLES["test_loss"].color) - _grey(STYLES["train_loss"].color) > 0.15
    assert len({style.dash for style in STYLES.values()}) == len(STYLES)
    markers = [marker for style in STYLES.values() for marker in (*style.markers, style.live)]
    assert len(set(markers)) == len(markers)
    assert max(_grey(style.color) for style in STYLES.values()) < 0.7  # against white paper


def test_lines_differ_in_a_greyscale_rendering(tmp_path: Path) -> None:
    """The two theory lines, drawn apart: the inked shares of their pixels and their greys differ."""
    flat = dataclasses.replace(THEORY, train_error=np.full(101, 0.2), test_error=np.full(101, 0.8), standard_error=None)
    figure = plot.curves(flat)
    _axes(figure).get_legend().remove()  # pyright: ignore[reportOptionalMemberAccess]
    plot.save_figure(figure, tmp_path / "a.png")
    grey = image.imread(tmp_path / "a.png")[..., :3] @ np.array([0.299, 0.587, 0.114])
    ink = []
    for level in (0.2, 0.8):
        x0, y = _axes(figure).transData.transform((5, level)) * 2
        x1, _ = _axes(figure).transData.transform((95, level)) * 2
        ink.append(grey[len(grey) - round(y) - 1, round(x0) : round(x1)])
    train, test = ink
    assert train.max() < 0.35, "a full dark line"
    assert 0.15 < np.mean(test > 0.9) < 0.5, "a dashed line"
    assert test.min() - train.min() > 0.25, "a lighter one"


def test_two_sizes_and_an_estimate_are_told_apart() -> None:
    small = _trajectory("simulation", num_features=500)
    figure = plot.curves(THEORY, small, RUNS, estimate=_trajectory("estimate"))
    shown = {label: container.lines[0] for label, container in _points(figure).items()}
    train = [line for label, line in shown.items() if line is not None and label.startswith("train")]
    assert len(train) == 3
    assert len({str(line.get_marker()) for line in train}) == 3
    assert colors.to_hex(train[0].get_markerfacecolor()) == "#ffffff" != colors.to_hex(train[1].get_markerfacecolor())
    assert "test, estimate" in shown
    assert len(_legend(figure)) == 8 and figure.legends, "a long legend stands beside the axes"


def test_steps_are_whole_numbers() -> None:
    figure = plot.curves(_trajectory("prediction", 3))
    assert all(float(tick).is_integer() for tick in _axes(figure).get_xticks())


def test_losses_and_errors_are_named_when_both_are_drawn() -> None:
    figure = plot.curves(THEORY, metrics=CURVES)
    assert _axes(figure).get_ylabel() == "loss and error"
    assert set(_lines(figure)) == {f"{name.replace('_', ' ')}, theory" for name in CURVES}
    assert _axes(plot.curves(THEORY, metrics=("test_loss",))).get_ylabel() == "loss"


def test_what_is_missing_is_left_out_and_what_nobody_has_is_an_error() -> None:
    blind = dataclasses.replace(RUNS, test_error=None)
    assert list(_points(plot.curves(THEORY, blind))) == ["train, simulation $d = 1000$"]
    with pytest.raises(ValueError, match=r"None of the trajectories has test_error: leave it out of metrics="):
        plot.curves(dataclasses.replace(THEORY, test_error=None), blind)
    with pytest.raises(ValueError, match=r"Unknown metric 'test_eror'\. Did you mean 'test_error'"):
        plot.curves(THEORY, metrics=("test_eror",))


def test_without_standard_errors_there_are_no_bars() -> None:
    figure = plot.curves(*(dataclasses.replace(one, standard_error=None) for one in (THEORY, RUNS)))
    assert not any(bars for container in _points(figure).values() for bars in container.lines[2])
    assert not _axes(figure).collections


def test_divergence_is_marked() -> None:
    cut = np.where(np.arange(101) < 40, 1.0, np.nan)
    theory = dataclasses.replace(THEORY, train_error=cut, test_error=cut, status=Status("diverged", "too fast", 40))
    figure = plot.curves(theory, dataclasses.replace(RUNS, num_diverged=3))
    assert _lines(figure)["theory diverged"].get_xdata() == [40, 40]
    assert "train, simulation $d = 1000$ (3 runs diverged)" in _points(figure)


def test_given_axes_are_used() -> None:
    figure = Figure()
    left, right = figure.subplots(1, 2)
    assert plot.curves(THEORY, RUNS, ax=right) is figure
    assert plot.agreement(compare(THEORY, RUNS), ax=left) is figure
    assert left.lines and right.lines and len(figure.axes) == 2
    nested = figure.add_subfigure(figure.add_gridspec(1, 1)[0]).add_subplot()
    assert plot.curves(THEORY, ax=nested) is figure


def test_scores_are_drawn_against_their_threshold() -> None:
    assert RUNS.test_error is not None
    off = RUNS.test_error.copy()
    off[30] += 0.05
    report = compare(THEORY, dataclasses.replace(RUNS, test_error=off))
    figure = plot.agreement(report)
    lines = _lines(figure)
    np.testing.assert_array_equal(lines["test error"].get_ydata(), report.z["test_error"])
    threshold = lines[f"threshold {report.threshold:.2f}, level 0.01"]
    assert threshold.get_ydata() == [report.threshold] * 2
    assert _axes(figure).get_title().startswith("disagree (worst point: test error at step 30, z = +")
    low, high = _axes(figure).get_ylim()
    assert low < -report.worst.z and report.worst.z < high


def test_an_infinite_score_stays_in_the_picture() -> None:
    steps = np.arange(3)
    exact = Trajectory(steps, train_error=np.zeros(3))
    theory = Trajectory(steps, train_error=np.ones(3), standard_error=exact)
    other = dataclasses.replace(theory, train_error=np.array([1.0, 2.0, 0.5]))
    report: Agreement = compare(theory, other, allowance=0.0, metrics=("train_error",))
    figure = plot.agreement(report)
    (edges,) = (line for line in _axes(figure).lines if line.get_marker() == "^")
    np.testing.assert_array_equal(edges.get_xdata(), [1, 2])
    low, high = _axes(figure).get_ylim()
    np.testing.assert_allclose(_data(edges)[1], [high, low])


def test_quantiles_of_a_law_against_itself_lie_on_the_diagonal() -> None:
    figure = plot.preactivations(THEORY, THEORY, step=4, unit=1)
    assert len(figure.axes) == 2
    points = _lines(figure)["rows of finite runs"]
    np.testing.assert_allclose(points.get_xdata(), points.get_ydata())
    assert "unit 1 after 4 updates" in figure.get_suptitle()


def test_quantiles_of_another_law_leave_the_band() -> None:
    assert RUNS.recorded_preactivations is not None
    wider = dataclasses.replace(RUNS, recorded_preactivations=2 * RUNS.recorded_preactivations)
    left = _axes(plot.preactivations(THEORY, wider, step=0))
    (points,) = (line for line in left.lines if line.get_label() == "rows of finite runs")
    expected, found = _data(points)
    np.testing.assert_allclose(found, 2 * expected)
    band = np.asarray(left.collections[0].get_paths()[0].vertices)
    assert np.abs(found).max() > np.abs(band[:, 1]).max()


def test_weights_of_the_nodes_count() -> None:
    """Nodes of a wider law, weighted back to the standard normal, give standard normal quantiles."""
    nodes = np.linspace(-6, 6, 500)
    weights = np.exp(-(nodes**2) / 2)
    rows = np.broadcast_to(nodes[:, None], (101, 500, 1))
    theory = dataclasses.replace(THEORY, recorded_preactivations=rows, sample_weights=weights / weights.sum())
    points = _lines(plot.preactivations(theory, RUNS, step=0))["rows of finite runs"]
    assert np.max(np.abs(points.get_xdata())) == pytest.approx(3.09, abs=0.02)


def test_preactivations_that_are_not_there() -> None:
    with pytest.raises(ValueError, match="`unit` must be below the number of units 2, got 2"):
        plot.preactivations(THEORY, RUNS, step=0, unit=2)
    with pytest.raises(ValueError, match="`unit` must be at least 0"):
        plot.preactivations(THEORY, RUNS, step=0, unit=-1)
    with pytest.raises(ValueError, match="`step` must be one of"):
        plot.preactivations(THEORY, RUNS, step=101)
    with pytest.raises(ValueError, match="keep_preactivations=True"):
        plot.preactivations(THEORY, dataclasses.replace(RUNS, recorded_preactivations=None), step=0)


@pytest.mark.parametrize(("name", "magic"), [("a.png", b"\x89PNG"), ("a.SVG", b"<?xml"), ("a.pdf", b"%PDF")])
def test_figures_are_saved_by_suffix_and_reproducibly(tmp_path: Path, name: str, magic: bytes) -> None:
    path = plot.save_figure(plot.curves(THEORY, RUNS), tmp_path / name)
    content = path.read_bytes()
    assert content.startswith(magic)
    with pytest.raises(FileExistsError, match="exists and was left as it is"):
        plot.save_figure(Figure(), path)
    assert path.read_bytes() == content
    plot.save_figure(plot.curves(THEORY, RUNS), path, force=True)
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["a.jpg", "a", "a.png.txt"])
def test_other_formats_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"must end in \.png, \.svg, \.pdf, got '.*': change the end"):
        plot.save_figure(Figure(), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_figures_are_unknown_to_pyplot() -> None:
    plot.curves(THEORY, RUNS)
    plot.agreement(compare(THEORY, RUNS))
    plot.preactivations(THEORY, RUNS, step=1)
    assert not _pylab_helpers.Gcf.get_all_fig_managers()

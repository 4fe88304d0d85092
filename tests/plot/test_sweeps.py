"""Maps and slices of sweeps show the numbers they were given, and what did not end well."""

from typing import Any

import numpy as np
import pytest
import xarray
from matplotlib.collections import QuadMesh

from dyntheory import plot

ALPHA, RATE, STEPS = np.array([1.0, 2.0, 3.0]), np.array([0.1, 0.4]), np.arange(5)


def _sweep(**changes: Any) -> xarray.Dataset:
    values = 1.0 + ALPHA[:, None, None] + 10.0 * RATE[None, :, None] + 0.1 * STEPS
    status = np.full((3, 2), "ok", "<U10")
    for place, code in changes.get("status", {}).items():
        status[place] = code
    dimensions = ("samples_per_feature", "learning_rate", "step")
    return xarray.Dataset(
        {
            "test_error": (dimensions, values),
            "test_error_standard_error": (dimensions, 0.01 * values),
            "status": (dimensions[:2], status),
        },
        {"samples_per_feature": ALPHA, "learning_rate": RATE, "step": STEPS},
    )


def _mesh(figure: Any) -> Any:
    return next(one for one in figure.axes[0].collections if isinstance(one, QuadMesh))


def test_a_phase_diagram_shows_the_values_at_a_step() -> None:
    figure = plot.phase_diagram(_sweep(), step=2)
    np.testing.assert_allclose(_mesh(figure).get_array(), _sweep().test_error.values[:, :, 2].T)
    assert figure.axes[0].get_xlabel() == "$n/d$"
    assert figure.axes[0].get_ylabel() == "learning rate"
    assert figure.axes[1].get_ylabel() == "test error at step 2"
    turned = plot.phase_diagram(_sweep(), x="learning_rate")
    np.testing.assert_allclose(_mesh(turned).get_array(), _sweep().test_error.values[:, :, -1])


def test_points_that_did_not_end_well_are_marked() -> None:
    axes: Any = plot.phase_diagram(_sweep(status={(2, 1): "diverged"})).axes[0]
    (line,) = [line for line in axes.lines if line.get_label() == "diverged"]
    np.testing.assert_allclose([line.get_xdata(), line.get_ydata()], [[3.0], [0.4]])
    mesh: Any = next(one for one in axes.collections if isinstance(one, QuadMesh))
    assert np.ma.getmaskarray(mesh.get_array()).tolist() == [[False] * 3, [False, False, True]]
    slices: Any = plot.slices(_sweep(status={(2, 1): "diverged"}), along="samples_per_feature").axes[0]
    assert [np.isnan(line.get_ydata()).sum() for line in slices.lines] == [0, 1]


def test_values_in_equal_ratios_get_a_logarithmic_axis() -> None:
    geometric = _sweep().assign_coords(samples_per_feature=[0.5, 1.0, 2.0])
    for sweep, scale in ((_sweep(), "linear"), (geometric, "log")):
        assert plot.slices(sweep, along="samples_per_feature").axes[0].get_xscale() == scale
        assert plot.phase_diagram(sweep).axes[0].get_xscale() == scale


@pytest.mark.parametrize("over", ["samples_per_feature", "learning_rate"])
def test_a_boundary_is_a_line_with_bars(over: str) -> None:
    along = "learning_rate" if over == "samples_per_feature" else "samples_per_feature"
    points, roots = ([1.0, 3.0], [0.2, 0.3]) if along == "learning_rate" else ([0.1, 0.4], [1.5, 2.5])
    found = xarray.Dataset({along: (over, roots), f"{along}_standard_error": (over, [0.01, 0.02])}, {over: points})
    axes: Any = plot.phase_diagram(_sweep(), boundary=found).axes[0]
    drawn = np.asarray(axes.containers[0][0].get_xydata())
    wanted = (points, roots) if over == "samples_per_feature" else (roots, points)
    np.testing.assert_allclose(drawn.T, wanted)
    with pytest.raises(ValueError, match="`boundary` must lie over"):
        plot.phase_diagram(_sweep(), boundary=found.rename({over: "depth"}))


def test_slices_have_bands_of_two_standard_errors() -> None:
    axes: Any = plot.slices(_sweep(), along="samples_per_feature").axes[0]
    values = _sweep().test_error.values[:, :, -1]
    for place, line in enumerate(axes.lines):
        np.testing.assert_allclose(line.get_ydata(), values[:, place])
        band = axes.collections[place].get_paths()[0].vertices
        assert band[:, 1].max() == pytest.approx(1.02 * values[:, place].max())
    assert [line.get_label() for line in axes.lines] == ["learning rate 0.1", "learning rate 0.4"]
    over_time: Any = plot.slices(_sweep().isel(learning_rate=0), along="step").axes[0]
    np.testing.assert_allclose(over_time.lines[1].get_ydata(), _sweep().test_error.values[1, 0])


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match="a grid over two numbers"):
        plot.phase_diagram(_sweep().expand_dims(noise_std=[0.1, 0.2]))
    with pytest.raises(ValueError, match="Unknown metric"):
        plot.phase_diagram(_sweep(), metric="test_eror")
    with pytest.raises(ValueError, match="at most 4"):
        plot.slices(_sweep(), step=5)
    with pytest.raises(ValueError, match="leave it out"):
        plot.slices(_sweep(), along="step", step=1)
    many = xarray.concat([_sweep()] * 7, xarray.DataArray(np.arange(7), dims="noise_std", name="noise_std"))
    with pytest.raises(ValueError, match="14 lines"):
        plot.slices(many, along="samples_per_feature")

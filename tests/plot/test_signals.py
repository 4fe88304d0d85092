"""The map of depth scales shows the numbers it was given, and marks nothing where there is no scale."""

from typing import Any

import numpy as np
import pytest
from matplotlib.collections import QuadMesh

from dyntheory import closed_forms, plot


def _found(depth: np.ndarray) -> closed_forms.SignalLimit:
    growth = np.where(np.arange(depth.size).reshape(depth.shape) > 2, 1.2, 0.8)
    return closed_forms.SignalLimit(depth, depth, growth, depth, depth, depth, depth)


def test_depths_are_colours_and_infinite_ones_are_left_out() -> None:
    depth = np.array([[2.0, 3.0, np.inf], [5.0, 1e9, 0.1]])
    figure = plot.signal_map(_found(depth), [1.0, 2.0], [0.1, 0.2, 0.3], title="tanh")
    axes: Any = figure.axes[0]
    mesh = next(one for one in axes.collections if isinstance(one, QuadMesh))
    shown: Any = mesh.get_array()
    np.testing.assert_allclose(shown.filled(-1.0).reshape(3, 2).T, [[2.0, 3.0, -1.0], [5.0, 100.0, 1.0]])
    assert axes.get_title() == "tanh" and len(axes.collections) == 2  # the edge of chaos


def test_sizes_that_do_not_fit_are_named() -> None:
    found = _found(np.ones((2, 3)))
    for arguments, name in (
        (([1.0, 2.0], [0.1, 0.2]), "found"),
        (([2.0, 1.0], [0.1, 0.2, 0.3]), "weight_std"),
        (([1.0, 2.0], [0.1]), "bias_std"),
    ):
        with pytest.raises(ValueError, match=f"`{name}` must"):
            plot.signal_map(found, *arguments)

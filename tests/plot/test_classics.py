"""Pictures of memories and perceptrons show theory and runs."""

import dataclasses

import numpy as np
import pytest

import dyntheory as dt
from dyntheory import plot


@pytest.mark.full
def test_phases_of_the_hopfield_network() -> None:
    figure = plot.hopfield_phases(num_points=8)
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]  # pyright: ignore
    assert len(labels) == 4 and "$T_M$" in labels[0]
    line = figure.axes[0].lines[0]
    np.testing.assert_allclose(np.asarray(line.get_xdata())[0], 0.1379, atol=1e-4)
    with pytest.raises(ValueError, match="num_points"):
        plot.hopfield_phases(num_points=1)


def test_recall_and_learning_online() -> None:
    steps, curve, single = np.arange(3), np.array([0.5, 0.2, 0.1]), np.full((4, 3), 0.5)
    path = dt.memory.RecallPath(steps, 1 - curve, curve, curve, curve)
    runs = dt.memory.RecallRuns(steps, 1 - curve, curve / 9, single, curve, curve / 9, None, None, 1.0, 60)
    figure = plot.recall(path, runs)
    assert "60 spins, 4 runs" in [text.get_text() for text in figure.axes[0].get_legend().get_texts()]  # pyright: ignore
    theory = dt.perceptron.OnlineCurve(np.arange(3.0), curve, 1 - curve, curve)
    axes = plot.learned_online(theory, label="Hebb").axes[0]
    again = dataclasses.replace(theory, standard_error=theory)
    assert plot.learned_online(theory, again, label="runs", color="black", ax=axes) is axes.figure
    assert len(axes.lines) >= 3


def test_implicit_bias_shows_the_offset_where_it_is_known() -> None:
    bias = dt.perceptron.implicit_bias([[1.0, 0.0], [0.0, 2.0]], [1, 1])
    curve, weights = np.array([0.2, 0.1]), np.ones((2, 2))
    known = dt.perceptron.LogisticFlow(np.array([1.0, 10.0]), weights, weights, curve, curve, curve, bias)
    part = dataclasses.replace(known, bias=dataclasses.replace(bias, is_complete=False, rate=None))
    assert [len(plot.implicit_bias(flow).axes[0].lines) for flow in (known, part)] == [3, 1]

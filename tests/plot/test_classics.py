"""Pictures of memories and perceptrons show theory and runs."""

import jax
import numpy as np
import pytest

import dyntheory as dt
from dyntheory import plot


def test_phases_of_the_hopfield_network() -> None:
    figure = plot.hopfield_phases(num_points=8)
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]  # pyright: ignore
    assert len(labels) == 4 and "$T_M$" in labels[0]
    line = figure.axes[0].lines[0]
    np.testing.assert_allclose(np.asarray(line.get_xdata())[0], 0.1379, atol=1e-4)
    with pytest.raises(ValueError, match="num_points"):
        plot.hopfield_phases(num_points=1)


def test_recall_and_learning_online() -> None:
    memory = dt.memory.multi_user(0.5, 0.3)
    runs = memory.simulate(60, num_runs=3, num_steps=4, key=jax.random.key(0), algorithm="message passing")
    figure = plot.recall(memory.iterate(4), runs)
    assert "60 spins, 3 runs" in [text.get_text() for text in figure.axes[0].get_legend().get_texts()]  # pyright: ignore
    theory = dt.perceptron.predict("hebb", [0.0, 1.0])
    axes = plot.learned_online(theory, label="Hebb").axes[0]
    again = dt.perceptron.simulate("hebb", [0.0, 1.0], num_features=20, num_runs=2, key=jax.random.key(0))
    assert plot.learned_online(theory, again, label="runs", color="black", ax=axes) is axes.figure
    assert len(axes.lines) >= 3


def test_implicit_bias_shows_the_offset_where_it_is_known() -> None:
    log_times = [1.0, 10.0]
    known = dt.perceptron.logistic_flow([[1.0, 0.0], [0.0, 2.0]], [1, 1], log_times=log_times)
    part = dt.perceptron.logistic_flow([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0]], [1, 1], log_times=log_times)
    assert [len(plot.implicit_bias(flow).axes[0].lines) for flow in (known, part)] == [3, 1]

"""Labels become what the loss takes, or are refused by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dyntheory.shell.tables.labels import read_labels


def test_numbers_are_standardised() -> None:
    labels = read_labels(np.array([1, 3, 5, 7]), "price", loss="squared")
    np.testing.assert_allclose(labels.values, np.array([-3, -1, 1, 3]) / 5**0.5)
    assert labels.error == "squared error over the variance of price, 5"


def test_classes_become_signs_or_indicators() -> None:
    words = np.array(["red", "blue", "red"])
    assert read_labels(words, "colour", loss="logistic").values.tolist() == [1.0, -1.0, 1.0]
    assert read_labels(words, "colour", loss="cross_entropy").values.tolist() == [[0, 1], [1, 0], [0, 1]]


def test_classes_fit_the_outputs_of_the_network() -> None:
    words = np.array(["red", "blue", "green"], dtype=object)
    assert read_labels(words, "colour", loss="cross_entropy", num_outputs=3).values.shape == (3, 3)
    with pytest.raises(ValueError, match="3 classes \\(blue, green, red\\) and the network 1 outputs"):
        read_labels(words, "colour", loss="cross_entropy", num_outputs=1)


@pytest.mark.parametrize(
    ("labels", "loss", "message"),
    [
        (["red", "blue"], "squared", "'y' holds words: take --set method.loss=logistic"),
        ([2.0, 2.0], "squared", "'y' is constant"),
        ([1.0, np.nan, 2.0], "squared", "'y' has 1 missing or infinite labels"),
        ([1.0, np.inf, 2.0], "logistic", "'y' has 1 missing or infinite labels"),
        ([1e200, -1e200], "squared", "divide it by a constant"),
        ([1.0, 1j], "squared", "entries of complex128"),
        (np.arange(30).astype("datetime64[D]"), "cross_entropy", "'y' holds dates, which are no labels"),
        (np.arange(30.0), "cross_entropy", "30 different values in 30 rows, too many for classes"),
        ([f"name {index}" for index in range(30)], "squared", "too many for classes"),
        (
            [0, 1, 2],
            "squared_hinge",
            "takes two classes, 'y' has 3: take --set method.loss=cross_entropy network.num_outputs=3",
        ),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels: Any, loss: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_labels(np.array(labels), "y", loss=loss)

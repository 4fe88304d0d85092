"""Labels become what the loss takes, or are refused by name."""

from __future__ import annotations

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


@pytest.mark.parametrize(
    ("labels", "loss", "message"),
    [
        (["red", "blue"], "squared", "'y' holds words: take method.loss"),
        ([2.0, 2.0], "squared", "'y' is constant"),
        ([0, 1, 2], "squared_hinge", "takes two classes and 'y' has 3 values"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels: list[object], loss: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_labels(np.array(labels), "y", loss=loss)

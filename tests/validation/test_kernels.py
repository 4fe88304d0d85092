"""The validation of kernels can pass, can fail, and says when it cannot tell."""

import numpy as np
import pytest

from validation import kernels
from validation.record import Outcome

WIDTHS = (16, 32, 64, 128)


def draws(bias: float, exponent: float, num_draws: int = 2000) -> list[np.ndarray]:
    noise = np.random.default_rng(1).standard_normal((len(WIDTHS), num_draws, 2, 2))
    return [np.eye(2) + bias + noise[i] * width**exponent for i, width in enumerate(WIDTHS)]


@pytest.mark.parametrize(
    ("bias", "exponent", "num_draws", "outcome"),
    [
        (0.0, -0.5, 2000, Outcome.PASSED),
        (0.05, -0.5, 2000, Outcome.FAILED),
        (0.0, -0.3, 8000, Outcome.FAILED),
        (0.0, -0.5, 10, Outcome.UNRESOLVED),
    ],
)
def test_the_rule(bias: float, exponent: float, num_draws: int, outcome: Outcome) -> None:
    assert kernels.compare(draws(bias, exponent, num_draws), WIDTHS, np.eye(2)).outcome is outcome

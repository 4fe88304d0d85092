"""Two-time solutions against brute-force simulation, as z-scores after a gate."""

import numpy as np
import pytest

from . import deep_linear, dense_loop, two_time
from .cases import (
    DEEP,
    DEEP_HEAD,
    NETWORK,
    SLOPE,
    TWO_LAYERS,
    bent_link,
    linear_head,
    linear_link,
    scores,
    simulated,
    solved,
    tanh_head,
)


@pytest.mark.parametrize(
    ("kink", "use_dirac"),
    [
        (False, False),
        pytest.param(False, True, marks=pytest.mark.full),
        pytest.param(True, True, marks=pytest.mark.full),
    ],
)
def test_two_time_matches_simulation(kink: bool, use_dirac: bool) -> None:
    """tanh and ReLU against dense runs, n = 1200, 32 runs; measured max |z| 1.6."""
    runs = simulated(kink=kink)
    assert np.all(runs.test_standard_error < 0.01 * runs.test_error)
    assert np.abs(scores(solved(kink=kink, use_dirac=use_dirac), runs)).max() < 3.5


@pytest.mark.full
def test_autodiff_responses_fail_on_relu() -> None:
    """Negative control, Trap 1: dropped Dirac masses are 19 standard errors off."""
    z = scores(solved(kink=True, use_dirac=False), simulated(kink=True))
    assert np.abs(z).max() > 10


def test_autodiff_and_parts_agree_when_smooth() -> None:
    """Both ways of taking responses share a limit on tanh; measured 8e-4 at 2¹³ nodes."""
    by_autodiff, by_parts = (solved(kink=False, use_dirac=choice) for choice in (False, True))
    np.testing.assert_allclose(by_parts.test_error, by_autodiff.test_error, rtol=4e-3)


def test_simulation_sees_missing_memory() -> None:
    """Negative control: without the memory term tanh is 240 standard errors off."""
    solution = two_time.solve(tanh_head, TWO_LAYERS, bent_link, alpha=2.0, num_nodes=2048, memory=False, **NETWORK)
    assert np.abs(scores(solution, simulated(kink=False))).max() > 10


def test_dense_momentum_matches_deep_linear() -> None:
    """Heavy ball on all layers of a linear network; measured max |z| 1.4."""
    arguments = {"num_steps": 8, "momentum": 0.6, **DEEP}
    exact = deep_linear.solve(DEEP_HEAD, SLOPE, alpha=2.0, **arguments)
    runs = dense_loop.average_runs(
        linear_head,
        DEEP_HEAD,
        linear_link,
        num_samples=800,
        num_features=400,
        num_runs=24,
        seed=7,
        **arguments,
    )
    assert np.all(runs.train_standard_error < 0.02 * runs.train_error)
    z = (exact.train_error - runs.train_error) / runs.train_standard_error
    assert np.abs(z).max() < 3.5
    z = (exact.test_error - runs.test_error)[1:] / runs.test_standard_error[1:]
    assert np.abs(z).max() < 3.5

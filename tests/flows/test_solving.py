"""Tolerances of flows are those of the solution: honest, honoured, and said when they are not."""

import jax.numpy as jnp
import numpy as np
import pytest

from dyntheory.flows import solving
from dyntheory.flows.solving import solve_flow
from dyntheory.ground.arrays import Array, PyTree

TIMES = np.linspace(0.0, 10.0, 21)
RATE, START = np.array(1.3), 1e-4
EXACT = RATE / (1 + (RATE / START - 1) * np.exp(-2 * RATE * TIMES))


def logistic(_: Array, state: PyTree, rate: PyTree) -> PyTree:
    return {"u": 2 * state["u"] * (rate - state["u"])}


def explosion(_: Array, state: PyTree, __: PyTree) -> PyTree:
    return state**2


def oscillator(_: Array, state: PyTree, frequency: PyTree) -> PyTree:
    return jnp.stack([frequency * state[1], -frequency * state[0]])


@pytest.mark.parametrize("rtol", [1e-3, 1e-6, 1e-10])
@pytest.mark.parametrize("stiff", [False, True])
def test_the_tolerance_is_that_of_the_solution(rtol: float, stiff: bool) -> None:
    flow = solve_flow(logistic, {"u": START}, TIMES, RATE, rtol=rtol, stiff=stiff)
    off = np.abs(flow.states["u"] - EXACT)
    assert flow.status.ok
    assert np.all(off <= 1.01 * (1e-3 * rtol + rtol * EXACT))
    assert off.max() <= max(3 * flow.error["u"].max(), 1e-12), "the reported error bounds the true one"


def test_errors_that_add_up_over_many_periods_are_seen() -> None:
    """A local tolerance alone would miss: over a thousand radians its errors add up."""
    times = np.linspace(0.0, 1000.0, 11)
    flow = solve_flow(oscillator, np.array([0.0, 1.0]), times, np.array(1.0), rtol=1e-6, atol=1e-6)
    assert flow.status.ok
    assert np.max(np.abs(flow.states[:, 0] - np.sin(times))) <= 2e-6
    start, local = jnp.array([0.0, 1.0]), 1e-6
    loose, _ = solving._program(oscillator, False, 100_000, start, jnp.asarray(times), 1.0, (None, local, local))
    assert np.max(np.abs(np.asarray(loose[:, 0]) - np.sin(times))) > 2e-6


def test_what_explodes_is_said_with_the_last_time() -> None:
    flow = solve_flow(explosion, np.array(1.0), np.array([0.5, 0.9, 1.5]))
    assert flow.status.code == "diverged"
    assert "t = 0.9" in flow.status.message
    assert np.isnan(flow.states[2])
    np.testing.assert_allclose(flow.states[:2], [2.0, 10.0], rtol=1e-6)


def test_a_tolerance_out_of_reach_is_unresolved() -> None:
    flow = solve_flow(logistic, {"u": START}, TIMES, RATE, rtol=1e-12)
    assert flow.status.code == "unresolved"
    assert np.max(np.abs(flow.states["u"] / EXACT - 1)) < 1e-9


@pytest.mark.parametrize("times", [[1.0, 1.0], [-1.0, 2.0], [[1.0]], [], [np.nan]])
def test_times_that_do_not_increase_are_named(times: list[float]) -> None:
    with pytest.raises(ValueError, match="`times` must"):
        solve_flow(logistic, {"u": START}, times, RATE)


@pytest.mark.parametrize("rtol", [0.0, 1.0, 1e-15, np.nan])
def test_tolerances_out_of_range_are_named(rtol: float) -> None:
    with pytest.raises(ValueError, match="`rtol`"):
        solve_flow(logistic, {"u": START}, TIMES, RATE, rtol=rtol)

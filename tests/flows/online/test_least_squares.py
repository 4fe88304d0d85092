"""One-pass least squares by modes: brute-force means, runs, the limit, power laws, what is refused."""

from typing import Any

import numpy as np
import pytest

import dyntheory as dt
from tests.flows.online.cases import KEY

TIMES = np.array([0.0, 0.5, 1.0, 3.0])
SPECTRUM = dt.spectra.Spectrum([3.0, 1.0, 0.2], alignment=[0.5, 1.0, 2.0], shares=[0.2, 0.3, 0.5])
LAW = dt.TeacherStudent(1.0, noise_std=0.5, teacher_second_moment=[[1.5]], features=SPECTRUM)
START = dt.FirstLayer([[0.8]], [[0.3]])


def falling(time: Any) -> Any:
    """A schedule."""
    return 0.6 / (1.0 + time)


def _by_matrix(d: int, rate: float, steps: int, batch: int) -> float:
    """The exact mean by the full second moment of w − w*, one step after the other, written for any covariance."""
    values = np.repeat([3.0, 1.0, 0.2], [d // 5, 3 * d // 10, d // 2])
    powers = 1.5 * np.repeat([0.5, 1.0, 2.0], [d // 5, 3 * d // 10, d // 2])
    slope = 0.3 / 1.5
    moment, cov = np.diag((slope - 1) ** 2 * powers + 0.8 - slope * 0.3), np.diag(values) / d
    for _ in range(steps):
        fourth = np.trace(cov @ moment) * cov + 2 * cov @ moment @ cov  # E x xᵀ M x xᵀ of a Gaussian
        noise = rate**2 / batch * (fourth + 0.25 * cov) + rate**2 * (1 - 1 / batch) * cov @ moment @ cov
        moment = moment - rate * (cov @ moment + moment @ cov) + noise
    return float(np.trace(cov @ moment))


@pytest.mark.parametrize("batch", [1, 3])
def test_means_at_finite_d_are_exact(batch: int) -> None:
    d, rate = 20, 0.4
    found = dt.online.least_squares(
        LAW, learning_rate=rate, time=TIMES, num_features=d, batch_size=batch, first_layer=START
    )
    exact = [_by_matrix(d, rate, round(time * d), batch) for time in TIMES]
    np.testing.assert_allclose(found.excess_error, exact, rtol=1e-10)
    np.testing.assert_allclose(found.test_error, np.array(exact) + 0.25, rtol=1e-10)


@pytest.mark.parametrize(
    "changes",
    [
        {"learning_rate": 0.3, "momentum": 0.4},
        pytest.param({"learning_rate": 0.4}, marks=pytest.mark.full),
        pytest.param({"learning_rate": falling, "batch_size": 2}, marks=pytest.mark.full),
    ],
)
def test_runs_have_these_means(changes: dict[str, Any]) -> None:
    given: dict[str, Any] = {"time": TIMES, "num_features": 20, "first_layer": START} | changes
    theory = dt.online.least_squares(LAW, **given)
    runs: Any = dt.online.simulate_least_squares(LAW, num_runs=2000, key=KEY, **given)
    assert np.all(runs.standard_error.excess_error < 0.03 * runs.excess_error)
    for name in ("excess_error", "weight_overlap", "teacher_overlap"):
        off = (getattr(runs, name) - getattr(theory, name)) / getattr(runs.standard_error, name)
        assert np.abs(off).max() < 4, name
    given["batch_size"] = 10**9
    flow = dt.online.least_squares(LAW, **given)
    off = (runs.excess_error - flow.excess_error) / runs.standard_error.excess_error
    assert np.abs(off).max() > 10, "negative control: SGD is not gradient flow"


@pytest.mark.parametrize(
    "changes", [{}, {"momentum": 0.5}, pytest.param({"learning_rate": falling}, marks=pytest.mark.full)]
)
def test_means_approach_the_limit(changes: dict[str, Any]) -> None:
    given: dict[str, Any] = {"learning_rate": 0.3, "time": TIMES, "first_layer": START} | changes
    limit = dt.online.least_squares(LAW, **given)
    off = [
        np.abs(dt.online.least_squares(LAW, num_features=d, **given).excess_error / limit.excess_error - 1).max()
        for d in (100, 400)
    ]
    assert off[1] < 3e-3 and 3.0 < off[0] / off[1] < 5.0, "as 1/d"
    mean, power = 0.6 + 0.3 + 0.1, 0.3 + 0.3 + 0.2  # E λ and E λ a
    own = (0.8 - 0.3**2 / 1.5) * mean + (0.3 / 1.5) ** 2 * 1.5 * power
    np.testing.assert_allclose(limit.weight_overlap[0], own, rtol=1e-12)
    np.testing.assert_allclose(limit.teacher_overlap[0], 0.3 * power, rtol=1e-12)


def test_with_equal_features_it_is_the_linear_unit_of_predict() -> None:
    law = dt.TeacherStudent(1.0, noise_std=0.5)
    given: dict[str, Any] = {"learning_rate": 0.4, "time": TIMES}
    one = dt.online.least_squares(law, **given)
    head = {"layer_2": {"weights": np.ones((1, 1))}}
    two = dt.online.predict(law, dt.MLP((1,), "linear"), key=KEY, head=head, head_rate=0.0, **given)
    for name in ("excess_error", "weight_overlap", "teacher_overlap", "teacher_moment"):
        np.testing.assert_allclose(getattr(one, name), getattr(two, name), rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize(("a", "b", "exponent"), [(1.5, 2.0, 2 / 3), (1.5, 4.0, 4 / 3)])
def test_power_laws(a: float, b: float, exponent: float) -> None:
    """What is not learned decides the first, SGD's own noise the second."""
    p = 600
    samples = np.array([60.0, 200.0]) if b < 3 else np.array([600.0, 2000.0])
    law = dt.TeacherStudent(1.0, features=dt.spectra.power_law(a, num_modes=p, target_exponent=b))
    start = dt.FirstLayer(np.zeros((1, 1)))
    error = dt.online.least_squares(
        law, learning_rate=0.3, time=samples / p, num_features=p, first_layer=start
    ).excess_error
    np.testing.assert_allclose(-np.diff(np.log(error)) / np.diff(np.log(samples)), exponent, rtol=0.15)


def test_rates_beyond_the_stable_ones_are_said() -> None:
    with pytest.warns(dt.DyntheoryWarning, match="lower `learning_rate`"):
        found = dt.online.least_squares(dt.TeacherStudent(1.0), learning_rate=2.2, time=100.0)
    assert found.status.code == "diverged"
    assert dt.online.least_squares(dt.TeacherStudent(1.0), learning_rate=1.9, time=100.0).status.ok


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"law": dt.TeacherStudent(1.0, "sin")}, "`law` must have a linear link"),
        ({"law": dt.TeacherStudent(1.0, teacher_second_moment=np.eye(2))}, "one teacher direction"),
        ({"first_layer": dt.FirstLayer.from_weights(np.ones((3, 1)), np.ones((3, 1)))}, "`first_layer` must be given"),
        ({"rtol": 0.5}, "`rtol` must be from"),
        ({"time": -1.0}, "`time` must"),
    ],
)
def test_other_problems_are_refused(changes: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"law": LAW, "learning_rate": 0.1, "time": 1.0} | changes
    with pytest.raises(ValueError, match=message):
        dt.online.least_squares(**given)

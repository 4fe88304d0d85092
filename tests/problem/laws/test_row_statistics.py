"""What rows look like beside Gaussian ones: exact in the mean, and the same for every report that asks."""

from typing import Any

import numpy as np
import optax
import pytest

import dyntheory as dt
from dyntheory.problem.laws.row_statistics import NORM_SPREAD, row_statistics, spectral_moments


def _mean_and_error(values: list[float]) -> tuple[float, float]:
    return float(np.mean(values)), float(np.std(values, ddof=1) / len(values) ** 0.5)


def test_spectral_moments_have_their_exact_mean() -> None:
    """E of the second is m_2 (n − 1)(n + 2)/n² for Gaussian rows of known mean."""
    random, n, p = np.random.default_rng(2), 25, 40
    values = np.linspace(0.2, 3.0, p)
    moments = [spectral_moments(random.normal(size=(n, p)) * values**0.5) for _ in range(2000)]
    for column, exact in ((0, values.mean()), (1, (values**2).mean() * (n - 1) * (n + 2) / n**2)):
        mean, error = _mean_and_error([one[column] for one in moments])
        assert error < 0.01 * exact and abs(mean - exact) < 4 * error


@pytest.mark.parametrize("most_rows", [None, 300])
def test_gaussian_rows_have_the_directions_of_their_spectrum_and_a_spread_of_one(most_rows: int | None) -> None:
    random, values = np.random.default_rng(3), np.linspace(0.2, 3.0, 60)
    found = [row_statistics(random.normal(size=(600, 60)) * values**0.5, most_rows=most_rows) for _ in range(200)]
    for one, exact in ((0, values.sum() ** 2 / np.sum(values**2)), (1, 1.0)):
        mean, error = _mean_and_error([statistics[one] for statistics in found])
        assert error < 0.01 * exact and abs(mean - exact) < 4 * error + 0.01 * exact


def designs() -> dict[str, np.ndarray]:
    """Return rows whose columns have variance one, from narrow to wide norms."""
    random = np.random.default_rng(0)
    rows = random.normal(size=(400, 200))
    return {
        "signs": np.sign(rows),
        "gaussian": rows,
        "laplace": random.laplace(size=rows.shape),
        "a little mixed": rows * random.choice([0.85, 1.15], size=(400, 1)),
        "mixed": rows * random.choice([0.5, 1.5], size=(400, 1)),
    }


@pytest.mark.parametrize("name", designs())
def test_two_reports_do_not_contradict_each_other(name: str) -> None:
    rows = designs()[name]
    rows = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    report = dt.assumption_report(rows)
    method = dt.gradient_descent(dt.LinearModel(), optax.sgd, learning_rate=0.1)
    sizes: dict[str, Any] = {"num_steps": 2, "num_samples": 400, "num_features": 200}
    checks = dt.applicability(dt.TeacherStudent(2.0), method, inputs=rows, **sizes).checks
    (dependence,) = [check for check in checks if check.name == "dependence"]
    is_wide = report.norm_spread > NORM_SPREAD[0]
    assert is_wide == ("mixed" in name)
    assert is_wide == ("heavy-tailed rows" in [one.name for one in report.findings])
    assert is_wide == (dependence.level != "covered")
    assert f"{report.norm_spread:.3g}" in dependence.text

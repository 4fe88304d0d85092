"""Memories of higher order: the largest load is one, networks make its errors, exponents are as published."""

import math
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import erf, ndtr

from dyntheory import memory


@pytest.mark.parametrize("order", [3, pytest.param(4, marks=pytest.mark.full), 20])
def test_capacity_is_the_largest_load(order: int) -> None:
    other: Any = minimize_scalar(lambda y: -(erf(y) ** (2 * order - 2)) / (2 * y**2), bounds=(0.3, 6), method="bounded")
    found = memory.dense_capacity(order)
    np.testing.assert_allclose(found.load, -other.fun, rtol=1e-9)
    np.testing.assert_allclose(found.patterns * math.prod(range(1, 2 * order - 2, 2)), found.load, rtol=1e-13)
    loads = found.load * np.array([1e-3, 0.3, 0.999, 1.001])
    m = memory.dense_overlap(loads, order=order)
    assert np.isnan(m[3])
    np.testing.assert_allclose(m[:3], erf(m[:3] ** (order - 1) / np.sqrt(2 * loads[:3])), rtol=1e-11)
    assert (np.diff(m[:3]) < 0).all() and m[2] > found.overlap


def _steps(order: int, size: int, count: int, num_steps: int, rng: np.random.Generator) -> list[float]:
    """Return overlaps of all spins turned at once by the sign of their energy difference, from a pattern on."""
    patterns = rng.choice([-1.0, 1.0], (count, size))
    spins, overlaps = patterns[0].copy(), []
    for _ in range(num_steps):
        others = (patterns @ spins)[:, None] - patterns * spins
        up, down = others + patterns, others - patterns
        spins = np.sign(np.sum(math.prod([up] * order) - math.prod([down] * order), axis=0))
        overlaps.append(float(np.mean(spins * patterns[0])))
    return overlaps


@pytest.mark.parametrize(
    ("order", "size", "count", "runs"), [pytest.param(3, 120, 1500, 100, marks=pytest.mark.full), (4, 40, 1600, 250)]
)
def test_one_step_from_a_pattern_makes_the_errors_of_the_formula(order: int, size: int, count: int, runs: int) -> None:
    """Φ(−1/√λ) bits, as z-scores with an allowance of 5/N of it; λ = P/N^{n−1} without (2n − 3)!! is off."""
    rng = np.random.default_rng(order)
    wrong = np.array([(1 - _steps(order, size, count, 1, rng)[0]) / 2 for _ in range(runs)])
    error = wrong.std(ddof=1) / np.sqrt(runs)
    plain = count / size ** (order - 1)
    theory = ndtr(-1 / math.sqrt(plain * math.prod(range(1, 2 * order - 2, 2))))
    assert error < 0.1 * theory
    assert abs(wrong.mean() - theory) < 3.5 * error + 5 / size * theory
    assert abs(wrong.mean() - ndtr(-1 / math.sqrt(plain))) > 8 * error


@pytest.mark.full
def test_networks_of_third_order_end_at_the_overlap_or_lose_the_pattern() -> None:
    rng, size = np.random.default_rng(1), 150
    kept = [_steps(3, size, round(0.2 * size**2 / 3), 10, rng)[-1] for _ in range(14)]
    lost = [_steps(3, size, round(0.6 * size**2 / 3), 10, rng)[-1] for _ in range(3)]
    error = np.std(kept, ddof=1) / np.sqrt(14)
    assert error < 0.01 and abs(np.mean(kept) - memory.dense_overlap(0.2, order=3)) < 3.5 * error + 1 / size
    assert np.mean(lost) < 0.6


def test_exponents() -> None:
    found = memory.exponential_capacity([0.0, 0.1, 0.499999, 0.25])
    np.testing.assert_allclose(found[0], math.log(2) / 2, rtol=1e-14)
    np.testing.assert_allclose(found[1], (1.8 * math.log(1.8) + 0.2 * math.log(0.2)) / 4, rtol=1e-13)
    np.testing.assert_allclose(found[2], 1e-12, rtol=1e-9)  # x²/4
    np.testing.assert_allclose(found[3], (1.5 * math.log(1.5) + 0.5 * math.log(0.5)) / 4, rtol=1e-13)
    for wrong in (0.5, -0.1):
        with pytest.raises(ValueError, match="flipped"):
            memory.exponential_capacity(wrong)
    for order in (2, 151):
        with pytest.raises(ValueError, match="order"):
            memory.dense_capacity(order)

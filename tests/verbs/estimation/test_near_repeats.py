"""Independent rows do not repeat each other in any number of dimensions; rows that do are found."""

import numpy as np
import pytest

import dyntheory as dt
from dyntheory.verbs.estimation import near_repeats as module

KINDS = {
    "normal": lambda random, shape: random.standard_normal(shape),
    "skewed": lambda random, shape: np.exp(random.standard_normal(shape)),
    "correlated": lambda random, shape: random.standard_normal((shape[0], 1)) + 0.3 * random.standard_normal(shape),
    "clusters": lambda random, shape: random.integers(0, 3, (shape[0], 1)) + 0.1 * random.standard_normal(shape),
    "rounded": lambda random, shape: np.round(random.standard_normal(shape), 1),
    "mixed": lambda random, shape: np.hstack(
        [random.standard_normal((shape[0], 1)), random.integers(0, 2, (shape[0], shape[1])).astype(float)]
    ),
}


def says_clustered(rows):
    return "clustered rows" in [one.name for one in dt.assumption_report(rows).findings]


@pytest.mark.parametrize("columns", [1, 2, 3, 5, 50])
def test_independent_rows_do_not_repeat(columns):
    random = np.random.default_rng(columns)
    alarms = [
        name
        for name, draw in KINDS.items()
        for count, times in ((40, 6), (300, 3), (2000, 1))
        for _ in range(times)
        if says_clustered(draw(random, (count, columns)))
    ]
    assert not alarms


def test_without_the_dimension_they_do(monkeypatch):
    monkeypatch.setattr(module, "MANY_DIRECTIONS", 0.0)
    assert says_clustered(np.random.default_rng(0).standard_normal((300, 1)))


@pytest.mark.parametrize(("columns", "noise"), [(1, 1e-6), (2, 1e-4), (3, 1e-3), (5, 1e-2), (50, 0.03)])
@pytest.mark.parametrize("times", [2, 5])
def test_rows_that_repeat_are_found(columns, noise, times):
    random = np.random.default_rng(columns)
    rows = np.repeat(random.standard_normal((300 // times, columns)), times, axis=0)
    exact = dt.assumption_report(rows)
    assert says_clustered(rows) and exact.num_twins >= 300 / times / 2
    assert says_clustered(rows + noise * random.standard_normal(rows.shape))


def test_repeats_are_told_from_equal_rows_of_few_values():
    random = np.random.default_rng(0)
    values = random.integers(0, 2, (300, 12)).astype(float)
    assert not says_clustered(values) and says_clustered(np.repeat(values[:100], 3, axis=0))


@pytest.mark.full
@pytest.mark.parametrize("columns", [1, 2, 3, 5, 50])
def test_false_alarms_are_as_rare_as_said(columns):
    """In the mean over data sets the number of repeats is below that for which one in a thousand has too many."""
    random = np.random.default_rng(10 + columns)
    alarms = [says_clustered(random.standard_normal((count, columns))) for count in (30, 100, 300) for _ in range(1000)]
    assert np.sum(alarms) <= 10  # 3 are expected of one in a thousand; 10 or more have a chance of 1e-3

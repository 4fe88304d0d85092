"""What rows say against themselves, and that good rows say nothing."""

import numpy as np
import pytest

import dyntheory as dt


def report_of(name):
    random = np.random.default_rng(1)
    rows = random.standard_normal((200, 40))
    if name == "few rows":
        return rows[:30]
    if name == "few directions":
        return random.standard_normal((200, 2)) @ random.standard_normal((2, 40)) + 0.1 * rows
    if name == "heavy-tailed rows":
        return rows * random.standard_t(3, (200, 1))
    if name == "clustered rows":
        return np.repeat(rows[:100], 2, axis=0) + 1e-3 * rows
    drift = np.cumsum(rows, axis=0)
    return drift - drift.mean(axis=0) if name == "dependent rows" else rows


@pytest.mark.parametrize(
    "name", ["few rows", "few directions", "heavy-tailed rows", "clustered rows", "dependent rows"]
)
def test_doubts_are_seen_in_the_rows(name):
    assert name in [one.name for one in dt.assumption_report(report_of(name)).findings]


def test_good_rows_raise_no_doubt():
    random = np.random.default_rng(0)
    rows, labels = random.standard_normal((200, 40)) @ random.standard_normal((40, 40)), random.standard_normal(200)
    report = dt.assumption_report(rows, labels)
    assert report.ok and "nothing" in str(report)

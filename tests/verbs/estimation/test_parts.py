"""Parts of an estimate by themselves: eigenvalues, costs, what the rows say."""

import numpy as np
import pytest

import dyntheory as dt
from dyntheory.verbs.estimation.covariance import shrunk_eigenvalues
from dyntheory.verbs.estimation.plan import RunSize, plan_estimate
from dyntheory.verbs.estimation.rows import standardised

MEMORY = 2**30


@pytest.mark.parametrize("shape", [(200, 100), (80, 160)])
def test_shrinkage_brings_white_eigenvalues_together(shape):
    rows, _ = standardised(np.random.default_rng(0).standard_normal(shape))
    raw = np.linalg.svd(rows, compute_uv=False) ** 2 / shape[0]
    raw = np.concatenate([raw, np.zeros(shape[1] - len(raw))])
    found = shrunk_eigenvalues(rows)
    assert found.mean() == pytest.approx(1.0) and (found > 0).all()
    assert found.std() < 0.35 * raw.std()


def test_cost_is_kept_below_a_few_trainings_and_the_memory():
    small = plan_estimate(RunSize(200, 100, 3, 20, 12, True), max_memory=MEMORY)
    assert small.num_probes is None and small.num_groups == 200
    large = plan_estimate(RunSize(20_000, 4000, 4, 100, 4, True), max_memory=6 * MEMORY)
    assert large.num_probes is not None and large.memory <= 6 * MEMORY
    assert large.ratio < 3
    slow = plan_estimate(RunSize(20_000, 400, 4, 100, 4, True), max_memory=6 * MEMORY)
    assert slow.num_followed < 20_000
    cheap = plan_estimate(RunSize(2000, 1000, 3, 20, 12, True), max_memory=MEMORY, max_ratio=1.0)
    assert cheap.ratio <= 1.0 and cheap.num_groups == 0
    kinked = plan_estimate(RunSize(200, 100, 3, 20, 12, False), max_memory=MEMORY)
    assert kinked.num_probes is not None
    with pytest.raises(ValueError, match="lower `num_steps`"):
        plan_estimate(RunSize(200, 100, 3, 20, 12, True), max_memory=10_000)


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

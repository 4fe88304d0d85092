"""What an estimate costs, and what is given up to keep it low."""

import pytest

from dyntheory.verbs.estimation.plan import RunSize, plan_estimate

MEMORY = 2**30


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

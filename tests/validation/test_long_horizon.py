"""The rule of long horizons can fail in each of its parts."""

import numpy as np

from validation import long_horizon
from validation.record import Outcome


def test_long_horizons_fail_where_bars_are_too_small_or_the_cost_too_high() -> None:
    curve = {"truth": np.ones(3), "reported": np.full(3, 0.01), "true": np.full(3, 0.01), "doubt": np.zeros(3)}
    good = {name: {**curve, "ratio": np.ones(3)} for name in long_horizon.FIELDS}
    assert long_horizon.outcome_of(good, 1.0, 1) is Outcome.PASSED
    assert long_horizon.outcome_of(good, 1201.0, 1) is Outcome.FAILED
    assert long_horizon.outcome_of(good, 1.0, 5 * 10**9) is Outcome.FAILED
    for changed in ({"ratio": np.full(3, 6.0)}, {"reported": np.full(3, 0.03)}, {"true": np.full(3, 0.03)}):
        bad = {**good, "test_error": {**good["test_error"], **changed}}
        assert long_horizon.outcome_of(bad, 1.0, 1) is Outcome.FAILED

"""Where one pass ends: exact cases, the flow itself at late times, the largest rate, plateaus told from ends."""

from typing import Any

import numpy as np
import pytest

import dyntheory as dt
from tests.flows.online.cases import KEY, PHYSICS, committee_head, law_of


def _given(k: int, **changes: Any) -> dict[str, Any]:
    start = dt.FirstLayer(np.eye(k), 0.9 * np.eye(k))
    return {"key": KEY, "head": committee_head(k), "head_rate": 0.0, "first_layer": start} | changes


@pytest.mark.parametrize("batch", [1, 4])
def test_a_linear_unit_ends_where_it_must(batch: int) -> None:
    rate, noise = 0.6, 0.7
    end = dt.online.find_asymptote(
        dt.TeacherStudent(1.0, noise_std=noise), dt.MLP((1,), "linear"), learning_rate=rate, time=20.0,
        batch_size=batch, **_given(1),
    )  # fmt: skip
    decay = 2 * rate - rate**2 / batch
    np.testing.assert_allclose(end.excess_error, rate**2 / batch * noise**2 / decay, rtol=1e-9)
    np.testing.assert_allclose(end.rate, min(rate, decay), rtol=1e-9)  # of R and of the error
    assert end.status.ok


@pytest.mark.full
def test_the_flow_gets_there() -> None:
    law, network, given = law_of(PHYSICS, 2, 0.3), dt.MLP((2,), PHYSICS), _given(2, learning_rate=0.5)
    end = dt.online.find_asymptote(law, network, time=200.0, **given)
    late = dt.online.predict(law, network, time=[500.0, 800.0], **given)
    off = late.excess_error - end.excess_error
    assert end.status.ok and abs(off[1]) < 1e-3 * end.excess_error
    np.testing.assert_allclose(np.log(off[0] / off[1]) / 300.0, end.rate, rtol=0.02)


@pytest.mark.full
def test_the_largest_rate_of_one_unit() -> None:
    """One student of one teacher learns it for rates below about 4.06, beyond them an error is left."""
    ends = [
        dt.online.find_asymptote(law_of(PHYSICS, 1), dt.MLP((1,), PHYSICS), **_given(1, learning_rate=rate))
        for rate in (4.04, 4.09)
    ]
    assert abs(ends[0].excess_error) < 1e-10 and ends[0].rate > 0
    assert ends[1].excess_error > 1e-3 and ends[1].status.ok


@pytest.mark.full
def test_a_plateau_is_no_end() -> None:
    start = dt.FirstLayer(np.full((2, 2), 0.3), np.full((2, 2), 0.2))
    given = _given(2, learning_rate=0.5, first_layer=start)
    with pytest.warns(dt.DyntheoryWarning, match="it is a plateau"):
        end = dt.online.find_asymptote(law_of(PHYSICS, 2), dt.MLP((2,), PHYSICS), time=60.0, **given)
    assert end.rate < 0 and end.excess_error > 0.02


def test_other_units_are_refused() -> None:
    with pytest.raises(ValueError, match="`network` and `law` must be sums"):
        dt.online.find_asymptote(law_of("tanh", 1), dt.MLP((1,), "tanh"), **_given(1, learning_rate=0.1))

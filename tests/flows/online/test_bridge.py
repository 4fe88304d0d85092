"""The bridge to many passes: with ever more samples full-batch descent follows the one-pass curve of small rates."""

from typing import Any

import numpy as np
import optax
import pytest

import dyntheory as dt
from tests.flows.online.cases import KEY, committee_head

RATE, STEPS = 0.2, 30


def _gap(samples_per_feature: float) -> float:
    """Largest relative distance between both test errors along the run, at equal times rate × steps."""
    law = dt.TeacherStudent(samples_per_feature, "erf", 0.3)
    start, head = dt.FirstLayer([[0.5]], [[0.2]]), committee_head(1)
    network = dt.MLP((1,), "erf")
    method = dt.gradient_descent(network, optax.sgd, learning_rate=RATE)
    many: Any = dt.predict(law, method, num_steps=STEPS, key=KEY, head=head, first_layer=start, num_nodes=2**13)
    tiny = 1e-4
    given: dict[str, Any] = {"learning_rate": tiny, "time": many.steps * RATE / tiny, "key": KEY}
    one = dt.online.predict(law, network, head=head, first_layer=start, **given)
    return float(np.abs(many.test_error / one.test_error - 1).max())


@pytest.mark.full
def test_many_samples_are_one_pass() -> None:
    """What is left at the end is the size of the steps, 0.2 here."""
    gaps = [_gap(samples) for samples in (2.0, 8.0, 32.0, 128.0)]
    assert gaps[0] > 3 * gaps[2] and gaps[2] < 0.06 and gaps[3] < 0.03
    assert np.all(np.diff(gaps) < 0)

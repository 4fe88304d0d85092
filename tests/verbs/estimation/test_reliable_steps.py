"""Where an estimate ends: before its correction is more than first order, or all noise."""

import jax.numpy as jnp
import numpy as np
import pytest

from dyntheory.verbs.estimation.fresh_rows import FreshRows
from dyntheory.verbs.estimation.head_influence import HeadInfluence
from dyntheory.verbs.estimation.reliable_steps import reliability, without_unreliable
from dyntheory.verbs.estimation.response_noise import ResponseNoise

STATES, ROWS = 6, 50
NOTHING = np.zeros(STATES)


def found_with(*, correction=NOTHING, change=NOTHING, scale=1.0):
    """Return fresh rows with squared residuals of mean `scale`, and what their head's part is."""
    rows = np.square(np.random.default_rng(0).standard_normal((1, ROWS))).repeat(STATES, axis=0)
    rows = scale * rows / rows.mean()
    rows, correction, change, nothing = map(jnp.asarray, (rows, correction, change, NOTHING))
    influence = HeadInfluence(correction, correction, change, change)
    return FreshRows(jnp.zeros((STATES, ROWS, 1)), rows, rows, influence, ResponseNoise(nothing, nothing))


def at(step, value):
    return np.where(np.arange(STATES) == step, value, 0.0)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_a_correction_of_second_order_ends_the_estimate(scale):
    calm = found_with(correction=at(2, -0.4 * scale), change=at(3, 0.3 * scale), scale=scale)
    assert reliability(calm, np.ones(STATES), 4).ok
    large = found_with(correction=at(2, -0.6 * scale), scale=scale)
    noisy = found_with(change=at(3, 0.6 * scale), scale=scale)
    for found, step in ((large, 2), (noisy, 3)):
        status = reliability(found, np.ones(STATES), 4)
        assert (status.code, status.step) == ("unresolved", step) and "smaller head" in status.message
        kept = without_unreliable(np.ones(STATES), status)
        assert np.isfinite(kept).sum() == step and np.isfinite(kept[:step]).all()


def test_more_signs_see_a_smaller_correction():
    found = found_with(change=at(1, 0.45))
    assert reliability(found, np.ones(STATES), 1).step == 1
    assert reliability(found, np.ones(STATES), 16).ok


def test_a_divergence_is_named_and_ends_the_estimate_no_later():
    loss = np.where(np.arange(STATES) < 4, 1.0, 1e12)
    status = reliability(found_with(correction=at(2, 1e9)), loss, 4)
    assert (status.code, status.step) == ("diverged", 2) and "from step 4 on" in status.message
    assert reliability(found_with(), loss, 0).step == 4
    calm = found_with()
    broken = calm._replace(errors=calm.errors.at[3].set(np.inf))
    assert reliability(broken, np.ones(STATES), 4).step == 3


def test_labels_without_error_have_an_estimate():
    assert reliability(found_with(scale=0.0), NOTHING, 4).ok

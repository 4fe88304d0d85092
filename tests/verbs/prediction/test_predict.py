"""Predictions of methods whose feature map changes along the run, against plain NumPy loops."""

import jax
import numpy as np

import dyntheory as dt
from dyntheory.ground.precision import double_precision
from dyntheory.priors import bernoulli_gauss
from tests.own_methods import thresholded, thresholded_by_hand, wakes_up_on_data

STEPS, FEATURES, RUNS = 4, 2000, 8


def test_a_threshold_that_the_data_wake_up_is_predicted(key: jax.Array) -> None:
    """It is zero when the run starts, so the map is linear there, and at every number that a probe would guess."""
    prior = bernoulli_gauss(0.1)
    law = dt.TeacherStudent(2.0, noise_std=0.2, teacher_prior=prior)
    theory = dt.predict(law, thresholded(wakes_up_on_data), num_steps=STEPS, key=key, num_nodes=2**12)
    with double_precision():
        teacher = np.asarray(prior.quantile((np.arange(FEATURES) + 0.5) / FEATURES))
    runs = [thresholded_by_hand(wakes_up_on_data, 2.0, 0.2, teacher, STEPS, seed) for seed in range(RUNS)]
    mean, spread = np.mean(runs, axis=0), np.std(runs, axis=0, ddof=1) / np.sqrt(RUNS)
    assert theory.status.ok and theory.standard_error is not None
    error = np.hypot(spread, theory.standard_error.test_error)
    assert np.all(error < 0.02 * mean)
    assert np.all(np.abs(theory.test_error - mean) < 4 * error + 10 / FEATURES * mean)
    assert mean[0] - mean[2] > 10 * error[2], "a frame said that nothing changes"

"""A run with all that its maps saw: the residuals kept are those that moved the weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dyntheory as dt
from dyntheory.verbs.estimation.training_run import train_on
from tests.verbs.estimation.runs import KEY, data, network


@pytest.mark.parametrize("fraction", [None, 0.5])
def test_kept_residuals_are_those_that_moved_the_weights(fraction, double):
    """Plain gradient descent moves W by a multiple of Xᵀg/√d."""
    rows, labels = data(40, 20)
    method = network() if fraction is None else dt.mini_batches(network(), fraction)
    uniforms = jax.random.uniform(KEY, (5, 40, method.sample_noise), float)
    numbers = (jnp.asarray(rows), jnp.asarray(labels), method.init_head(KEY), jax.random.normal(KEY, (20, 3), float))
    run = train_on(method, *numbers, uniforms, num_steps=5)
    moves, received = np.diff(run.weights, axis=0), np.einsum("nd,tnk->tdk", rows, run.residuals)
    ratio = np.vdot(moves, received) / np.vdot(received, received)
    np.testing.assert_allclose(moves, ratio * received, rtol=1e-9, atol=1e-12)
    assert np.abs(moves[1:] - ratio * received[:-1]).max() > 0.1 * np.abs(moves).max()

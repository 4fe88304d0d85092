"""Training in the limit: particles, symmetries, the lazy limit, and what rules, batches and outputs change."""

import jax
import numpy as np
import optax
import pytest

import dyntheory as dt
from dyntheory import kernels
from tests.wide.cases import INPUTS, KEY, LABELS, TESTS, particles, request, solved

TANH = dt.WideNetwork(1, "tanh", 1.0)


@pytest.mark.parametrize("optimizer", [optax.sgd, optax.adam])
def test_one_hidden_layer_is_a_system_of_particles(optimizer: optax.GradientTransformation) -> None:
    """By z-scores over keys on one side and draws of the particles on the other."""
    one = request(TANH, 6, optimizer=optimizer, learning_rate=0.6 if optimizer is optax.sgd else 0.1)
    ours = np.stack([solved(one._replace(key=jax.random.key(key)), 2**10).seen.outputs[..., 0] for key in range(6)])
    theirs = np.stack([particles(one, 2**10, draw) for draw in range(6)])
    (mean, error), (wanted, spread) = ((x.mean(axis=0), x.std(axis=0, ddof=1) / 6**0.5) for x in (ours, theirs))
    both = np.hypot(error, spread)[1:]
    assert both.max() < 0.05
    z = (mean - wanted)[1:] / both
    assert np.sqrt(np.mean(z**2)) < 2.0
    assert np.abs(z).max() < 6.0
    assert np.abs(mean[-1]).max() > 0.3
    assert np.abs((mean[:-1] - wanted[1:]) / both).max() > 6.0


LINEAR = dt.WideNetwork(1, "linear", 1.0)


def test_an_input_given_twice_is_one_of_double_weight() -> None:
    """Linear networks are exact on any nodes."""
    once, twice = (
        request(LINEAR, 4),
        request(LINEAR, 4, inputs=np.repeat(INPUTS, 2, axis=0), labels=np.repeat(LABELS, 2)),
    )
    found, wanted = (solved(one, drop_below=1e-5).seen.outputs for one in (twice, once))
    np.testing.assert_allclose(found[:, ::2], wanted, atol=1e-9)
    np.testing.assert_allclose(found[:, 1::2], wanted, atol=1e-9)


def test_batches_weigh_inputs() -> None:
    """The inputs of a batch move the network as if there were no others."""
    masks = np.zeros((4, 6))
    masks[:, :3] = 1
    of_batch = solved(request(LINEAR, 4, masks=masks), drop_below=1e-5).seen.outputs[..., 0]
    alone = solved(request(LINEAR, 4, inputs=INPUTS[:3], labels=LABELS[:3]), drop_below=1e-5).seen.outputs[..., 0]
    np.testing.assert_allclose(of_batch[:, :3], alone, atol=1e-9)
    assert np.abs(of_batch[-1, 3:]).max() > 1e-3


def test_several_outputs_begin_with_one() -> None:
    """A second output with labels zero stays zero, and does not move the first in a linear network."""
    linear = dt.WideNetwork(1, "linear", 1.0)
    both = solved(request(linear, 4, labels=np.stack([LABELS, 0 * LABELS], axis=1)), drop_below=1e-5)
    single = solved(request(linear, 4, labels=LABELS), drop_below=1e-5)
    np.testing.assert_allclose(both.seen.outputs[..., 0], single.seen.outputs[..., 0], atol=1e-9)
    np.testing.assert_allclose(both.seen.outputs[..., 1], 0.0, atol=1e-9)


def test_small_richness_is_the_tangent_kernel() -> None:
    network, rate = dt.WideNetwork(1, "erf", 1e-4), 0.9
    theory = dt.wide.predict(network, INPUTS, LABELS, TESTS, num_steps=10, key=KEY, learning_rate=rate, num_nodes=2**12)
    layer = kernels.serial(kernels.dense(1), kernels.erf(), kernels.dense(1))
    every, bars = np.concatenate([INPUTS, TESTS]), theory.standard_error
    assert bars is not None
    found = layer.kernel(every)
    train = kernels.Kernels(found.nngp[:6, :6], found.ntk[:6, :6])
    run = kernels.train(train, LABELS, learning_rate=rate)
    cross = kernels.Kernels(found.nngp[6:, :6], found.ntk[6:, :6])
    for outputs, errors, lazy in (
        (theory.train_outputs, bars.train_outputs, run.predict(step=np.arange(11)).mean),
        (theory.test_outputs, bars.test_outputs, run.predict(cross, step=np.arange(11)).mean),
    ):
        assert np.abs(lazy[-1]).max() > 0.3
        assert errors.max() < 0.02
        assert np.all(np.abs(outputs - lazy)[1:] < 5 * errors[1:])
    assert np.all(np.abs(theory.ntk[0] - found.ntk[:6, :6]) < 5 * bars.ntk[0])
    assert bars.ntk[0].max() < 0.05
    assert np.abs(theory.ntk[-1] - theory.ntk[0]).max() < 1e-3


def test_features_move_with_richness() -> None:
    """Kernels stay where they are when γ₀ is small, and align with the labels when it is not."""
    gain = []
    for richness in (0.05, 1.0):
        seen = solved(request(dt.WideNetwork(1, "tanh", richness), 12)).seen
        gain.append(seen.alignment[-1] - seen.alignment[0])
    assert abs(gain[0]) < 0.02
    assert gain[1] > 0.1


def test_the_same_key_gives_the_same_bits() -> None:
    one = request(TANH, 3)
    assert np.array_equal(solved(one).seen.outputs, solved(one).seen.outputs)
    other = one._replace(key=jax.random.key(1))
    assert not np.array_equal(solved(one).seen.outputs, solved(other).seen.outputs)

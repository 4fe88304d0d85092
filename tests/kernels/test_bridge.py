"""The bridge: a scaled network tends to its linearisation, and the linearisation is the kernel prediction."""

import jax
import numpy as np
import pytest

import dyntheory as dt
from dyntheory.kernels.bridge import ScaledNetwork, mirrored_start, tangent_prediction

NETWORK = dt.MLP((4,), "tanh")
LAW = dt.TeacherStudent(1.5, "sin_mixture", 0.3)
STEPS, RATE = 8, 0.5


def _method(network: dt.MLP, scale: float) -> dt.GeneralFirstOrderMethod:
    return dt.gradient_descent(ScaledNetwork(network, scale), learning_rate=RATE / scale**2)


@pytest.mark.full
@pytest.mark.parametrize("hidden", [(4,), (4, 4)])
def test_a_large_scale_is_the_tangent_kernel_and_scale_one_is_not(key: jax.Array, hidden: tuple[int, ...]) -> None:
    network = dt.MLP(hidden, "tanh")
    head, first_layer = mirrored_start(network, key)
    tangent = tangent_prediction(
        LAW,
        network,
        head,
        learning_rate=RATE,
        num_steps=STEPS,
        num_features=120,
        num_runs=8,
        num_test=300,
        key=key,
        first_layer=first_layer,
    )
    error = tangent.test_error.std(axis=0, ddof=1) / np.sqrt(8)
    assert error[-1] < 0.05
    for scale, agrees in ((100.0, True), (0.5, False)):
        theory = dt.predict(LAW, _method(network, scale), num_steps=STEPS, key=key, head=head, first_layer=first_layer)
        gap = np.abs(tangent.test_error.mean(axis=0) - np.asarray(theory.test_error))
        allowed = 4 * error + 2 / 120 * np.asarray(theory.test_error)
        assert bool((gap < allowed).all()) == agrees


@pytest.mark.parametrize("use_bias", [False, True])
@pytest.mark.parametrize(("hidden", "num_outputs"), [((4,), 1), ((4, 4), 1), ((2, 4, 6), 2)])
def test_the_mirrored_start_vanishes(key: jax.Array, hidden: tuple[int, ...], num_outputs: int, use_bias: bool) -> None:
    network = dt.MLP(hidden, "tanh", num_outputs=num_outputs, use_bias=use_bias)
    head, first_layer = mirrored_start(network, key)
    half = np.linspace(0.3, -1.2, hidden[0] // 2)
    np.testing.assert_array_equal(np.asarray(first_layer.second_moment), np.kron(np.ones((2, 2)), np.eye(len(half))))
    row = np.concatenate([half, half])
    assert np.abs(network.apply_head(head, jax.numpy.asarray(row))).max() < 1e-7
    assert np.abs(network.apply_head(network.init_head(key), jax.numpy.asarray(row))).max() > 1e-2


def test_blocks_of_the_mirrored_start_are_of_the_size_of_half_the_width(key: jax.Array) -> None:
    head, _ = mirrored_start(dt.MLP((200, 200), "tanh"), key)
    weights = np.asarray(head["layer_2"]["weights"])
    expected = float(np.std(dt.MLP((100, 100), "tanh").init_head(key)["layer_2"]["weights"]))
    np.testing.assert_allclose(weights[:100, :100].std(), expected, rtol=0.05)
    np.testing.assert_array_equal(weights[:100, 100:], 0.0)


def test_bad_input_says_what_was_wrong(key: jax.Array) -> None:
    with pytest.raises(ValueError, match="even"):
        mirrored_start(dt.MLP((4, 3)), key)
    with pytest.raises(ValueError, match="scale"):
        ScaledNetwork(NETWORK, 0.0)
    with pytest.raises(ValueError, match="num_runs"):
        tangent_prediction(LAW, NETWORK, {}, learning_rate=1.0, num_steps=1, num_features=5, num_runs=0, key=key)

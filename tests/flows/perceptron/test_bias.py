"""Descent on separable data goes to the largest margin, as 1/ln t; on least squares to what is nearest its start."""

import math
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import dyntheory as dt
from dyntheory import perceptron

LATE = math.log(10) * np.array([2.0, 5.0, 10.0, 20.0, 40.0])


def _data(seed: int, n: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs in two clouds whose largest margin is held by as many samples as there are features."""
    rng = np.random.default_rng(seed)
    labels = np.where(np.arange(n) % 2 == 0, 1.0, -1.0)
    return rng.normal(size=(n, d)) + 1.5 * labels[:, None], labels


def _complete() -> tuple[np.ndarray, np.ndarray]:
    for seed in range(200):
        inputs, labels = _data(seed, 12, 2)
        found = perceptron.largest_margin(inputs, labels)
        if found.is_separable and len(found.support) == 2:
            exponent = perceptron.implicit_bias(inputs, labels).decay_exponent
            if exponent is not None and exponent > 0.4:
                return inputs, labels
    raise AssertionError


def _filled(rows: np.ndarray) -> np.ndarray:
    """Return these rows and samples far behind them, twelve in all: one program for all flows here."""
    return np.concatenate([rows, np.tile([[10.0, 0.0]], (12 - len(rows), 1))])


def test_the_flow_is_the_largest_margin_times_the_logarithm_of_time() -> None:
    """w − ŵ ln t → ρ̃ at t = 1e40 to the tolerance; the direction is off by c/ln t."""
    inputs, labels = _complete()
    flow = perceptron.logistic_flow(inputs, labels, log_times=LATE, rtol=1e-9)
    bias = flow.bias
    assert flow.status.ok and bias.is_complete and bias.rate is not None and bias.rate > 0.01
    expected = LATE[:, None] * bias.weights + bias.offset
    np.testing.assert_allclose(flow.weights[-1], expected[-1], rtol=1e-8)
    assert (np.diff(np.abs(flow.weights - expected).max(axis=1)) < 1e-6).all()
    scaled = flow.direction_error * LATE
    assert abs(scaled[-1] / bias.rate - 1) < 0.1
    shifted = expected[-1] / np.linalg.norm(expected[-1]) - bias.weights / np.linalg.norm(bias.weights)
    np.testing.assert_allclose(flow.direction_error[-1], np.linalg.norm(shifted), rtol=1e-7)
    z = labels[:, None] * inputs
    support = bias.largest_margin.support
    np.testing.assert_allclose(np.exp(-z[support] @ bias.offset), bias.largest_margin.duals[support], rtol=1e-9)


@pytest.mark.full
def test_what_is_left_falls_by_its_exponent() -> None:
    """Both causes: a support vector that hardly holds (p = its eigenvalue), and a sample just behind the margin."""
    weak, close = np.array([[1.0, 0.0], [0.5, 1.0]]), np.array([[1.0, 0.0], [0.0, 2.0], [0.6, 1.2]])
    for inputs in (weak, close):
        flow = perceptron.logistic_flow(inputs, [1] * len(inputs), log_times=[20.0, 30.0], rtol=1e-11)
        left = np.linalg.norm(flow.weights - flow.log_times[:, None] * flow.bias.weights - flow.bias.offset, axis=1)
        assert flow.bias.decay_exponent is not None
        np.testing.assert_allclose(np.log(left[0] / left[1]) / 10, flow.bias.decay_exponent, rtol=0.02)


def test_negative_controls_of_the_rate() -> None:
    """Neither the teacher's direction nor a power of time fits: the error falls by two when the logarithm doubles."""
    inputs, labels = _complete()
    flow = perceptron.logistic_flow(inputs, labels, log_times=LATE)
    expected = LATE[:, None] * flow.bias.weights + flow.bias.offset
    target = flow.bias.weights / np.linalg.norm(flow.bias.weights)
    off = np.linalg.norm(expected / np.linalg.norm(expected, axis=1, keepdims=True) - target, axis=1)
    falls = flow.direction_error[3] / flow.direction_error[4]
    np.testing.assert_allclose(falls, off[3] / off[4], rtol=1e-6)  # two but for the next order in 1/ln t
    assert abs(falls - 2) < 0.1
    mean = np.mean(labels[:, None] * inputs, axis=0)
    away = np.linalg.norm(flow.weights[-1] / np.linalg.norm(flow.weights[-1]) - mean / np.linalg.norm(mean))
    assert away > 5 * flow.direction_error[-1]


def test_early_times_against_another_integrator() -> None:
    """In plain time up to t = 100, from a start of its own, and gradient descent of small steps."""
    inputs, labels = _complete()
    z, start = labels[:, None] * inputs, np.array([0.5, -1.0])
    times = np.array([0.1, 1.0, 10.0, 50.0, 100.0])
    other = solve_ivp(
        lambda _, w: (1 / (1 + np.exp(z @ w))) @ z,
        (0, 100),
        start,
        t_eval=times,
        method="LSODA",
        rtol=1e-10,
        atol=1e-12,
    ).y.T
    flow = perceptron.logistic_flow(inputs, labels, log_times=np.log(times), initial=start, rtol=1e-9)
    np.testing.assert_allclose(flow.weights, other, rtol=1e-7, atol=1e-9)
    w = start.copy()
    for _ in range(10_000):
        w = w + 1e-4 * (1 / (1 + np.exp(z @ w))) @ z
    np.testing.assert_allclose(w, flow.weights[1], rtol=1e-3)
    loss = np.log(np.sum(np.log1p(np.exp(-z @ flow.weights[1]))))
    np.testing.assert_allclose(flow.log_loss[1], loss, rtol=1e-10)


def test_units_move_the_offset_as_they_should() -> None:
    """z → cz: ŵ → ŵ/c and cρ̃ moves by 2 ln c ŵ, as Σ e^{−z·ρ̃} z = ŵ wants."""
    inputs, labels = _complete()
    plain = perceptron.implicit_bias(inputs, labels)
    for scale in (1e-12, 1e-8, 1e12):
        bias = perceptron.implicit_bias(scale * inputs, labels)
        np.testing.assert_allclose(scale * bias.offset, plain.offset + 2 * math.log(scale) * plain.weights, rtol=1e-9)
        assert bias.decay_exponent == pytest.approx(plain.decay_exponent, rel=1e-9)


def test_very_early_directions_are_numbers() -> None:
    """At t = e^−600 the weight is t Σ z/2."""
    inputs, labels = _complete()
    flow = perceptron.logistic_flow(inputs, labels, log_times=[-600.0, -500.0, -400.0, -300.0, 0.0])
    pull, target = (labels[:, None] * inputs).sum(axis=0), flow.bias.weights
    off = np.linalg.norm(pull / np.linalg.norm(pull) - target / np.linalg.norm(target))
    np.testing.assert_allclose(flow.direction_error[0], off, rtol=1e-6)


def test_what_the_support_does_not_span_is_left_to_the_start() -> None:
    """Samples on a line in two dimensions: the other direction keeps its start, and is not in the prediction."""
    flow = perceptron.logistic_flow(_filled(np.array([[2.0, 0.0]])), np.ones(12), log_times=LATE, initial=[0.0, 3.0])
    assert not flow.bias.is_complete and flow.bias.rate is None
    np.testing.assert_allclose(flow.weights[:, 1], 3.0, rtol=1e-12)
    expected = LATE[-1] * flow.bias.weights + flow.bias.offset
    np.testing.assert_allclose(flow.weights[-1, 0], expected[0], rtol=1e-7)


def test_supports_that_depend_on_each_other() -> None:
    """Three samples on one margin in two dimensions: e^{−z·ρ̃} is no dual any more, but its sum with z is ŵ."""
    inputs = np.array([[1.0, -1.0], [1.0, 0.0], [1.0, 2.0]])
    rows = _filled(inputs)
    bias = perceptron.implicit_bias(rows, np.ones(12))
    np.testing.assert_allclose(np.exp(-inputs @ bias.offset) @ inputs, bias.weights, atol=1e-9)
    flow = perceptron.logistic_flow(rows, np.ones(12), log_times=LATE)
    np.testing.assert_allclose(flow.weights[-1], LATE[-1] * bias.weights + bias.offset, rtol=1e-6, atol=1e-6)


def test_a_sample_that_does_not_hold_the_margin_it_lies_on_is_said() -> None:
    """ŵ = (1, 0) needs the first sample only; the second one lies on the margin, and its field grows as ln ln t."""
    bias = perceptron.implicit_bias(np.array([[1.0, 0.0], [1.0, 1.0]]), [1, 1])
    assert bias.offset is None and bias.status.code == "unresolved" and "ln ln t" in bias.status.message


def test_least_squares_ends_nearest_to_its_start() -> None:
    """Against 20,000 steps of descent, for a rank below both dimensions and two outputs."""
    rng = np.random.default_rng(4)
    inputs = rng.normal(size=(8, 3)) @ rng.normal(size=(3, 12))
    labels, start = rng.normal(size=(8, 2)), rng.normal(size=(12, 2))
    w = start.copy()
    for _ in range(20_000):
        w -= inputs.T @ (inputs @ w - labels) / np.linalg.norm(inputs, 2) ** 2
    found = perceptron.least_squares_limit(inputs, labels, initial=start)
    np.testing.assert_allclose(found, w, rtol=1e-6, atol=1e-9)
    zero = perceptron.least_squares_limit(inputs, labels[:, 0])
    np.testing.assert_allclose(zero, np.linalg.pinv(inputs) @ labels[:, 0], rtol=1e-9)
    assert np.linalg.norm(zero) < np.linalg.norm(
        perceptron.least_squares_limit(inputs, labels[:, 0], initial=start[:, 0])
    )


def test_results_are_kept(tmp_path: Path) -> None:
    inputs, labels = _complete()
    flow = perceptron.logistic_flow(inputs, labels, log_times=LATE)
    loaded = dt.load(flow.save(tmp_path / "a.nc"))
    np.testing.assert_array_equal(loaded.bias.weights, flow.bias.weights)


def test_bad_input_is_named() -> None:
    inputs, labels = _complete()
    for log_times in ([2.0, 1.0], [], [np.nan], [-800.0]):
        with pytest.raises(ValueError, match="`log_times`"):
            perceptron.logistic_flow(inputs, labels, log_times=log_times)
    with pytest.raises(ValueError, match="separable"):
        perceptron.implicit_bias(np.array([[1.0], [-1.0]]), [1, 1])
    with pytest.raises(ValueError, match="`initial`"):
        perceptron.logistic_flow(inputs, labels, log_times=[1.0], initial=[1.0])
    with pytest.raises(ValueError, match="`labels`"):
        perceptron.least_squares_limit([[1.0, 2.0]], [1.0, 2.0])

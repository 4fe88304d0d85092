"""Drift of Adam under periodic gradients and minima under weight decay, against optax's own optimizers."""

from typing import Any

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import optax
import pytest
from scipy.optimize import brentq

from dyntheory.closed_forms import adam_drift, decayed_minimum
from dyntheory.ground.precision import double_precision


def _drift_of(optimizer: Any, cycle: list[float], num_cycles: int) -> float:
    """Return the mean step over the last cycle of an optimizer at learning rate one."""

    def step(state: Any, gradient: jax.Array) -> tuple[Any, jax.Array]:
        update, state = optimizer.update(gradient, state)
        return state, update

    with double_precision():
        gradients = jnp.tile(jnp.asarray(cycle), num_cycles)
        _, updates = jax.lax.scan(step, optimizer.init(jnp.zeros(())), gradients)
        return float(jnp.mean(updates[-len(cycle) :]))


@pytest.mark.parametrize(
    ("cycle", "first", "second"),
    [
        pytest.param([3.0, -1.0, -1.0], 0.0, 0.1, marks=pytest.mark.full),
        pytest.param([5.0, -1.0, -1.0], 0.5, 0.6, marks=pytest.mark.full),
        ([1.0, 2.0, -0.5, 0.3], 0.9, 0.99),
    ],
)
def test_drifts_are_those_of_optax(cycle: list[float], first: float, second: float) -> None:
    adam = _drift_of(optax.adam(1.0, b1=first, b2=second, eps=0.0), cycle, 900)
    np.testing.assert_allclose(adam_drift(cycle, first_decay=first, second_decay=second), adam, rtol=1e-9)
    plain: dict[str, Any] = {"bias_correction_mu": False, "bias_correction_nu": False}
    amsgrad = _drift_of(optax.amsgrad(1.0, b1=first, b2=second, eps=0.0, **plain), cycle, 900)
    np.testing.assert_allclose(
        adam_drift(cycle, first_decay=first, second_decay=second, amsgrad=True), amsgrad, rtol=1e-9
    )


def test_drifts_have_no_scale_and_infinite_steps_are_said() -> None:
    for size in (1e-200, 1e200):
        cycle = size * np.array([3.0, -1.0, -1.0])
        expected = adam_drift([3.0, -1.0, -1.0], first_decay=0.0, second_decay=0.1)
        np.testing.assert_allclose(adam_drift(cycle, first_decay=0.0, second_decay=0.1), expected, rtol=1e-12)
    assert adam_drift([1.0, 0.0, 2.0], first_decay=0.9, second_decay=0.0) == -np.inf
    assert adam_drift([0.0, 0.0, 0.0]) == 0


def test_long_periods_have_their_averages() -> None:
    """Lagged sums by NumPy, at a period whose sums would not be unrolled."""
    cycle = np.random.default_rng(0).normal(size=2000)
    lags = cycle[(np.arange(2000)[:, None] - np.arange(2000)) % 2000]
    mean, square = ((powers := b ** np.arange(2000)) @ (lags**k).T / powers.sum() for b, k in ((0.9, 1), (0.999, 2)))
    np.testing.assert_allclose(adam_drift(cycle), -np.mean(mean / np.sqrt(square)), rtol=1e-9)


def test_adam_goes_the_wrong_way_for_every_large_gradient() -> None:
    """The example of the paper, C > 2, β₂ = 1/(1 + C²). Negative control: slow averages go the right way."""
    for size in (2.1, 3.0, 10.0, 100.0):
        cycle = [size, -1.0, -1.0]
        assert adam_drift(cycle, first_decay=0.0, second_decay=1 / (1 + size**2)) > 0
        assert adam_drift(cycle, first_decay=0.0, second_decay=1 / (1 + size**2), amsgrad=True) < 0
    assert adam_drift([3.0, -1.0, -1.0], first_decay=0.0, second_decay=0.999) < 0


def test_minima_under_decay_solve_their_equations() -> None:
    for h, w, decay, noise in ((1.0, 1.0, 0.5, 10.0), (2.0, -3.0, 0.1, 0.5), (0.3, 2.0, 4.0, 1e-3)):

        def pull(x: float, h: float = h, w: float = w, decay: float = decay, noise: float = noise) -> float:
            return h * (x - w) / np.hypot(noise, h * (x - w)) + decay * x

        found: Any = brentq(pull, *sorted((0.0, w)), xtol=1e-14)
        np.testing.assert_allclose(decayed_minimum(h, w, decay, noise_std=noise), found, rtol=1e-9)
        np.testing.assert_allclose(
            decayed_minimum(h, w, decay, noise_std=noise, decoupled=False), h * w / (h + decay), rtol=1e-14
        )
    np.testing.assert_allclose(decayed_minimum(1.0, [3.0, -0.5], 0.5, noise_std=0.0), [2.0, -0.5])
    assert decayed_minimum(1.0, 2.0, 0.0) == 2.0


def test_minima_keep_their_digits_for_numbers_of_any_size() -> None:
    """Bisected with 60 digits: noise and penalty that are large or small, or make the pull a step below rounding."""
    ends = [[1, 1, 0.3, 1e30], [1, 0.5, 1, 1e-200], [1, 3, 1, 1e-200], [1, 0.7, 0.9, 1e-17], [2, 1e6, 1e12, 1e3]]
    numbers = np.concatenate([ends, 10.0 ** np.random.default_rng(0).uniform(-6, 6, (40, 4))])
    expected = []
    with mpmath.workdps(60):
        for h, w, decay, noise in (map(mpmath.mpf, map(float, row)) for row in numbers):
            low, high = mpmath.mpf(0), w
            for _ in range(230):
                x = (low + high) / 2
                off = h * (x - w)
                low, high = (low, x) if off / mpmath.sqrt(noise**2 + off**2) + decay * x >= 0 else (x, high)
            expected.append(float(high))
    h, w, decay, noise = numbers.T
    np.testing.assert_allclose(decayed_minimum(h, w, decay, noise_std=noise), expected, rtol=1e-14)
    slope = jax.grad(lambda w: decayed_minimum(1.0, w, 0.5, noise_std=1.0))(0.0)
    np.testing.assert_allclose(slope, 1 / 1.5, rtol=1e-6)  # h/(h + λs), also where the sign changes


def test_optax_ends_where_it_is_said() -> None:
    """Noise ±s on three weights, s = 0.5, 2, 8: AdamW and Adam with L2, means over the last half, 4 standard errors.

    Negative control: each misses the other's minimum where the noise is large.
    """
    noise, size, decay = np.array([0.5, 2.0, 8.0]), 64, 0.2
    signs = np.random.default_rng(3).choice([-1.0, 1.0], (12_000, size, 3))
    ends = {}
    for decoupled in (True, False):
        chain = optax.adamw(2e-3, b2=0.9999, weight_decay=decay) if decoupled else optax.adam(2e-3, b2=0.9999)
        runs = _means(chain, signs * noise, 0.0 if decoupled else decay)
        expected = decayed_minimum(1.0, 1.0, decay, noise_std=noise, decoupled=decoupled)
        other = decayed_minimum(1.0, 1.0, decay, noise_std=noise, decoupled=not decoupled)
        mean, error = runs.mean(axis=0), runs.std(axis=0, ddof=1) / np.sqrt(size)
        assert np.all(error < 0.02)
        assert np.all(np.abs(mean - expected) < 4 * error + 0.01), (decoupled, mean, expected, error)
        assert abs(mean[2] - other[2]) > 10 * error[2]
        ends[decoupled] = mean


def _means(optimizer: Any, noise: np.ndarray, decay: float) -> np.ndarray:
    """Return the mean weights over the second half, (runs, 3)."""

    def step(carry: Any, xi: jax.Array) -> tuple[Any, jax.Array]:
        weights, state = carry
        update, state = optimizer.update(weights - 1.0 + xi + decay * weights, state, weights)
        return (weights + update, state), weights

    with double_precision():
        begin = jnp.full(noise.shape[1:], 0.7)
        _, path = jax.lax.scan(step, (begin, optimizer.init(begin)), jnp.asarray(noise))
        return np.asarray(jnp.mean(path[len(noise) // 2 :], axis=0))


def test_bad_numbers_are_named() -> None:
    with pytest.raises(ValueError, match="`second_decay` must be below 1"):
        adam_drift([1.0, 2.0], second_decay=1.0)
    with pytest.raises(ValueError, match="`gradients` must have an axis"):
        adam_drift(1.0)
    with pytest.raises(ValueError, match="`curvature` must be positive"):
        decayed_minimum(0.0, 1.0, 0.1)

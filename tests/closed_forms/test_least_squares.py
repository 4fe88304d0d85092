"""Ridge and ridgeless least squares against their published forms at 60 digits, over the whole domain."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dyntheory import closed_forms
from dyntheory.closed_forms import Risk
from tests.closed_forms import references

RELATIVE = 1e-10
TINY = 1e-250


def _log_uniform(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high).map(lambda exponent: float(10.0**exponent))


NEAR_ONE = st.tuples(st.sampled_from([-1.0, 1.0]), st.floats(-15.5, -1.0)).map(lambda pair: 1 + pair[0] * 10 ** pair[1])
ALPHAS = st.one_of(_log_uniform(-6, 6), NEAR_ONE, st.sampled_from([0.5, 1.0, 2.0]))
PENALTIES = _log_uniform(-60, 20)
NUMBERS = {"power": _log_uniform(-3, 3), "sigma": _log_uniform(-3, 3)}
sampled = settings(max_examples=150, deadline=None, derandomize=True)


def _agree(risk: Risk, expected: references.Errors, sigma: float) -> None:
    bias, variance, train = expected
    noise = references.mp.mpf(sigma) ** 2
    exact = Risk(bias, variance, bias + variance, bias + variance + noise, train)
    for name, value in exact._asdict().items():
        np.testing.assert_allclose(float(getattr(risk, name)), float(value), rtol=RELATIVE, atol=TINY, err_msg=name)


@sampled
@given(alpha=ALPHAS, **NUMBERS)
def test_ridgeless_is_exact_next_to_its_threshold(alpha: float, power: float, sigma: float) -> None:
    if alpha != 1:
        risk = closed_forms.ridgeless(alpha, signal_power=power, noise_std=sigma)
        _agree(risk, references.ridgeless(alpha, power, sigma), sigma)


@sampled
@given(alpha=ALPHAS, penalty=PENALTIES, **NUMBERS)
@example(alpha=1.0, penalty=1e-60, power=1.0, sigma=1.0)
@example(alpha=1 + 1e-12, penalty=1e-18, power=1.0, sigma=1.0)
@example(alpha=0.5, penalty=1.0, power=1.0, sigma=1.0)
def test_ridge_keeps_its_digits(alpha: float, penalty: float, power: float, sigma: float) -> None:
    risk = closed_forms.ridge(alpha, penalty, signal_power=power, noise_std=sigma)
    _agree(risk, references.ridge(alpha, penalty, power, sigma), sigma)


@sampled
@given(alpha=ALPHAS, visible=st.floats(0, 1), **NUMBERS)
def test_misspecified_adds_what_is_hidden(alpha: float, visible: float, power: float, sigma: float) -> None:
    if alpha == 1:
        return
    mp = references.mp
    with mp.workdps(60):
        hidden = power * (1 - mp.mpf(visible))
        bias, variance, train = references.ridgeless(
            alpha, power * mp.mpf(visible), mp.sqrt(mp.mpf(sigma) ** 2 + hidden)
        )
    risk = closed_forms.misspecified(alpha, visible_fraction=visible, signal_power=power, noise_std=sigma)
    _agree(risk, (bias + hidden, variance, train), sigma)


def test_the_textbook_form_would_lose_its_digits() -> None:
    """Negative control: the same formulas in float64 as published miss the tolerance where the domain says 1e-10."""
    alpha, penalty = 0.9999999, 1e-18
    gamma = 1 / alpha
    center = 1 - gamma + penalty
    m = (-center + np.sqrt(center**2 + 4 * gamma * penalty)) / (2 * gamma * penalty)
    slope = (m + gamma * m**2) / (2 * gamma * penalty * m + center)
    exact = float(references.ridge(alpha, penalty, 1.0, 1.0)[1])
    assert abs(gamma * (m - penalty * slope) / exact - 1) > 1e-9
    assert abs(closed_forms.ridge(alpha, penalty, noise_std=1.0).variance / exact - 1) < RELATIVE


def test_train_error_follows_the_spectrum() -> None:
    """∫_{h>0} (|β|²h + γσ²)(λ/(h + λ))² dMP + σ²(1 − γ)₊, by quadrature in 30 digits."""
    mp = references.mp
    for alpha in (0.4, 1.0, 3.0):
        expected = references.integral(
            lambda h, a=alpha: (2 * h + mp.mpf("0.49") / a) * (0.3 / (h + 0.3)) ** 2, 1 / alpha
        )
        total = float(expected) + 0.49 * max(0.0, 1 - 1 / alpha)
        risk = closed_forms.ridge(alpha, 0.3, signal_power=2.0, noise_std=0.7)
        np.testing.assert_allclose(risk.train_error, total, rtol=1e-12)


def test_signal_weight_of_the_train_error_is_not_scaled() -> None:
    """Negative control of the pitfall: γ|β|²h in place of |β|²h is wrong by far more than the tolerance."""
    wrong = references.integral(lambda h: (2 * h / 3 + 0.49 / 3) * (0.3 / (h + 0.3)) ** 2, 1 / 3) + 0.49 * 2 / 3
    risk = closed_forms.ridge(3.0, 0.3, signal_power=2.0, noise_std=0.7)
    assert abs(float(wrong) / float(risk.train_error) - 1) > 1e-2


def test_no_penalty_is_ridgeless_and_the_threshold_is_infinite() -> None:
    alphas = np.array([0.2, 0.999, 1.0, 1.001, 5.0])
    bare = closed_forms.ridgeless(alphas, signal_power=1.5, noise_std=0.5)
    for name, value in closed_forms.ridge(alphas, 0.0, signal_power=1.5, noise_std=0.5)._asdict().items():
        np.testing.assert_allclose(value, getattr(bare, name), rtol=1e-12)
    assert np.isinf(bare.test_error[2]) and bare.train_error[2] == 0
    assert closed_forms.ridgeless(1.0).test_error == 0


@sampled
@given(alpha=_log_uniform(-3, 3), factor=_log_uniform(-2, 2), **NUMBERS)
def test_no_other_penalty_is_better(alpha: float, factor: float, power: float, sigma: float) -> None:
    best = closed_forms.optimal_penalty(alpha, signal_power=power, noise_std=sigma)
    lowest = closed_forms.optimal_ridge(alpha, signal_power=power, noise_std=sigma)
    other = closed_forms.ridge(alpha, factor * best, signal_power=power, noise_std=sigma)
    assert lowest.excess_error <= other.excess_error * (1 + 1e-12)
    with references.mp.workdps(60):
        m = references.stieltjes(references.mp.mpf(float(best)), 1 / references.mp.mpf(alpha))
    np.testing.assert_allclose(lowest.excess_error, sigma**2 / alpha * float(m), rtol=RELATIVE)


def test_shapes_broadcast_and_float64_comes_back() -> None:
    risk = closed_forms.ridge(np.ones((3, 1), np.float32), [0.1, 0.2], noise_std=0.5)
    assert all(isinstance(x, np.ndarray) and x.shape == (3, 2) and x.dtype == np.float64 for x in risk)


@pytest.mark.parametrize("penalty", [0.0, 0.3])
def test_transformations_agree_with_numbers(penalty: float) -> None:
    alphas = jnp.array([0.5, 2.0])

    def error(alpha: jax.Array) -> jax.Array:
        return closed_forms.ridge(alpha, penalty, noise_std=0.5).test_error

    plain = closed_forms.ridge(alphas, penalty, noise_std=0.5).test_error
    for transformed in (jax.jit(error), jax.vmap(error), jax.jit(jax.vmap(error))):
        np.testing.assert_allclose(transformed(alphas), plain, rtol=1e-6)
    with jax.enable_x64(True):
        slopes = jax.vmap(jax.grad(error))(jnp.array([0.5, 2.0]))
        assert slopes.dtype == np.float64
    step = 1e-6
    above, below = (
        closed_forms.ridge(np.array([0.5, 2.0]) + s, penalty, noise_std=0.5).test_error for s in (step, -step)
    )
    np.testing.assert_allclose(slopes, (above - below) / (2 * step), rtol=1e-6)


def test_inside_a_float32_program_the_digits_are_still_there() -> None:
    """Computed in float64 and rounded once: float32 arithmetic would miss the variance here by a factor."""
    found = jax.jit(lambda penalty: closed_forms.ridge(1.0, penalty, noise_std=1.0).variance)(1e-12)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, closed_forms.ridge(1.0, 1e-12, noise_std=1.0).variance, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "arguments", "word"),
    [
        ("ridgeless", {"samples_per_feature": 0.0}, "n/d"),
        ("ridgeless", {"samples_per_feature": [1.0, -2.0]}, "n/d"),
        ("ridgeless", {"samples_per_feature": 2.0, "noise_std": -1.0}, "noise_std"),
        ("ridge", {"samples_per_feature": 2.0, "penalty": -0.1}, "penalty"),
        ("ridge", {"samples_per_feature": 2.0, "penalty": float("nan")}, "penalty"),
        ("optimal_ridge", {"samples_per_feature": 2.0, "signal_power": 0.0}, "infinite"),
        ("misspecified", {"samples_per_feature": 2.0, "visible_fraction": 1.2}, "between 0 and 1"),
    ],
)
def test_edges_of_the_domain_are_refused(name: str, arguments: dict[str, float], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        getattr(closed_forms, name)(**arguments)

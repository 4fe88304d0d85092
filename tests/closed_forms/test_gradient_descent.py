"""Gradient descent on least squares against rational arithmetic, high precision, `predict`, and its own limits."""

from fractions import Fraction

import jax
import mpmath as mp
import numpy as np
import optax
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import dyntheory as dt
from dyntheory import closed_forms
from dyntheory.ground.precision import double_precision
from tests.closed_forms import references
from tests.oracles import linear_curves

NEAR_ONE = st.tuples(st.sampled_from([-1.0, 1.0]), st.floats(-15.5, -1.0)).map(lambda pair: 1 + pair[0] * 10 ** pair[1])
ALPHAS = st.one_of(st.floats(-3, 4).map(lambda e: float(10.0**e)), NEAR_ONE, st.just(1.0))
sampled = settings(max_examples=60, deadline=None, derandomize=True)


@sampled
@given(
    alpha=ALPHAS,
    rate=st.one_of(st.floats(0.0, 3.0), st.just(1.0), st.floats(-8, 0).map(lambda e: 10**e)),
    step=st.sampled_from([0, 1, 2, 17]),
    sigma=st.sampled_from([0.0, 0.5]),
    initial=st.sampled_from([0.0, 0.7]),
)
@example(alpha=1.0, rate=1.0, step=17, sigma=0.5, initial=0.0)
@example(alpha=1e4, rate=1.0, step=17, sigma=0.0, initial=0.7)
def test_every_step_agrees_with_fractions(alpha: float, rate: float, step: int, sigma: float, initial: float) -> None:
    """Convergent or not, beside α = 1 and beside ηh = 1; floats are fractions too."""
    exact = closed_forms.rational_gd(
        Fraction(alpha),
        Fraction(rate),
        step=step,
        signal_power=Fraction(2),
        initial_power=Fraction(initial),
        noise_variance=Fraction(sigma) ** 2,
    )
    found = closed_forms.least_squares_gd(
        alpha, rate, steps=[0, 1, 2, 17], signal_power=2.0, initial_power=initial, noise_std=sigma
    )
    at = [0, 1, 2, 17].index(step)
    np.testing.assert_allclose(found.test_error[at], float(exact.test_error), rtol=1e-10, atol=1e-280)
    np.testing.assert_allclose(found.train_error[at], float(exact.train_error), rtol=1e-10, atol=1e-280)


@pytest.mark.full
@pytest.mark.parametrize("alpha", [Fraction(1, 8), Fraction(1), Fraction(33, 32), Fraction(6)])
@pytest.mark.parametrize("part", [Fraction(1, 16), Fraction(31, 16), Fraction(9, 4)])
def test_late_steps_agree_with_fractions(alpha: Fraction, part: Fraction) -> None:
    """t = 150 is beyond the exact number of nodes: what the rule leaves out is not seen, training convergent or not."""
    rate = part * Fraction(1 / (1 + float(alpha) ** -0.5) ** 2).limit_denominator(64)
    exact = closed_forms.rational_gd(alpha, rate, step=150, noise_variance=Fraction(1, 4))
    found = closed_forms.least_squares_gd(float(alpha), float(rate), steps=[150], noise_std=0.5)
    slack = 1e-10 if part < 2 else 1e-9  # the condition number in the learning rate is 2t where training diverges
    np.testing.assert_allclose(found.test_error[0], float(exact.test_error), rtol=slack)
    np.testing.assert_allclose(found.train_error[0], float(exact.train_error), rtol=slack)


def test_fractions_agree_with_the_oracle() -> None:
    for alpha in (Fraction(1, 3), Fraction(1), Fraction(5, 2)):
        numbers = {"initial": Fraction(2, 7), "noise": Fraction(3, 10), "rate": Fraction(2, 5)}
        theirs = linear_curves.exact_errors(
            6,
            alpha=alpha,
            learning_rate=numbers["rate"],
            noise_variance=numbers["noise"],
            initial_second_moment=numbers["initial"],
        )
        ours = closed_forms.rational_gd(
            alpha, numbers["rate"], step=6, initial_power=numbers["initial"], noise_variance=numbers["noise"]
        )
        assert (ours.train_error, ours.test_error) == (theirs.train_error, theirs.test_error)


@pytest.mark.parametrize("alpha", [pytest.param(a, marks=pytest.mark.full) for a in (0.3, 1.0, 4.0)] + [1 + 1e-7])
def test_flow_agrees_with_high_precision(alpha: float) -> None:
    times = [0.7, 60.0]
    curve = closed_forms.least_squares_flow(alpha, times=times, signal_power=2.0, noise_std=0.5)
    ratio, noise = 1 / mp.mpf(alpha), mp.mpf("0.25")
    for i, t in enumerate(times):
        left = references.integral(lambda h, t=t: mp.exp(-2 * h * t), ratio)
        loaded = references.integral(lambda h, t=t: h * mp.exp(-2 * h * t), ratio)
        gained = references.integral(lambda h, t=t: mp.expm1(-h * t) ** 2 / h, ratio)
        test = noise + 2 * (left + max(mp.mpf(0), 1 - mp.mpf(alpha))) + noise * ratio * gained
        train = 2 * loaded + noise * ratio * left + noise * max(mp.mpf(0), 1 - ratio)
        np.testing.assert_allclose(curve.test_error[i], float(test), rtol=1e-10)
        np.testing.assert_allclose(curve.train_error[i], float(train), rtol=1e-10)


def test_small_steps_are_the_flow() -> None:
    """The difference falls in proportion to the learning rate."""
    flow = closed_forms.least_squares_flow(1.5, times=3.0, noise_std=0.5).test_error
    gaps = [
        abs(closed_forms.least_squares_gd(1.5, 3.0 / t, steps=t, noise_std=0.5, num_nodes=99).test_error - flow)
        for t in (100, 200, 400)
    ]
    np.testing.assert_allclose(np.log2(np.array(gaps[:-1]) / gaps[1:]), 1.0, atol=0.05)


@pytest.mark.parametrize("alpha", [0.4, 1.1])
def test_late_times_are_ridgeless(alpha: float) -> None:
    rate, bare = 1 / (1 + alpha**-0.5) ** 2, closed_forms.ridgeless(alpha, noise_std=0.5)
    late = closed_forms.least_squares_gd(alpha, rate, steps=200_000, noise_std=0.5)
    flow = closed_forms.least_squares_flow(alpha, times=200_000.0, noise_std=0.5)
    for curve in (late, flow):
        np.testing.assert_allclose(curve.test_error, bare.test_error, rtol=1e-10)
        np.testing.assert_allclose(curve.train_error, bare.train_error, rtol=1e-10, atol=1e-100)


@pytest.mark.full
@pytest.mark.parametrize("alpha", [0.5, 2.0])
def test_predict_of_a_linear_model_is_this_curve(alpha: float, key: jax.Array) -> None:
    law = dt.TeacherStudent(alpha, "linear", 0.3)
    method = dt.gradient_descent(dt.LinearModel(), optax.sgd, learning_rate=0.3)
    theory = dt.predict(law, method, num_steps=6, key=key)
    exact = closed_forms.least_squares_gd(alpha, 0.3, steps=theory.steps, initial_power=1.0, noise_std=0.3)
    np.testing.assert_allclose(theory.test_error, exact.test_error, rtol=1e-9)
    np.testing.assert_allclose(theory.train_error, exact.train_error, rtol=1e-9)
    wrong = closed_forms.least_squares_gd(alpha, 0.3 / alpha, steps=theory.steps, initial_power=1.0, noise_std=0.3)
    assert np.max(np.abs(wrong.test_error / theory.test_error - 1)) > 0.01  # η/α is not η


@pytest.mark.full
@pytest.mark.parametrize("alpha", [0.4, 3.0])
def test_predict_reaches_ridgeless(alpha: float, key: jax.Array) -> None:
    law = dt.TeacherStudent(alpha, "linear", 0.3)
    method = dt.gradient_descent(dt.LinearModel(), optax.sgd, learning_rate=0.6 if alpha > 1 else 0.25)
    start = dt.FirstLayer(second_moment=[[0.0]])
    theory = dt.predict(law, method, num_steps=150, key=key, first_layer=start, num_nodes=2**14)
    bare = closed_forms.ridgeless(alpha, noise_std=0.3)
    np.testing.assert_allclose(theory.test_error[-1], bare.test_error, rtol=1e-3)  # pyright: ignore
    np.testing.assert_allclose(theory.train_error[-1], bare.train_error, atol=1e-3)  # pyright: ignore


def test_predict_with_weight_decay_is_ridge(key: jax.Array) -> None:
    """Decay λ added to the gradient of the loss ½: the penalty is λ, not 2λ and not λ/2."""
    penalty, law = 2.0, dt.TeacherStudent(1.5, "linear", 0.3)

    def decayed(learning_rate: float) -> optax.GradientTransformation:
        return optax.chain(optax.add_decayed_weights(penalty), optax.sgd(learning_rate))

    method = dt.gradient_descent(dt.LinearModel(), decayed, learning_rate=0.27)
    theory = dt.predict(law, method, num_steps=25, key=key, num_nodes=2**11)
    expected = closed_forms.ridge(1.5, penalty, noise_std=0.3)
    np.testing.assert_allclose(theory.test_error[-1], expected.test_error, rtol=1e-8)  # pyright: ignore
    np.testing.assert_allclose(theory.train_error[-1], expected.train_error, rtol=1e-8)  # pyright: ignore
    assert abs(closed_forms.ridge(1.5, 2 * penalty, noise_std=0.3).test_error / expected.test_error - 1) > 0.01


def test_shapes_derivatives_and_traced_steps() -> None:
    curve = closed_forms.least_squares_gd(np.ones((3, 1)), [0.1, 0.2], steps=range(5), noise_std=0.1)
    assert curve.test_error.shape == (3, 2, 5)
    assert closed_forms.least_squares_gd(2.0, 0.1, steps=3).test_error.shape == ()

    def error(alpha: float | jax.Array, rate: float | jax.Array) -> jax.Array:
        return closed_forms.least_squares_gd(alpha, rate, steps=7, noise_std=0.4).test_error

    with double_precision():
        slopes = jax.jit(jax.grad(error, argnums=(0, 1)))(0.8, 0.3)
    step = 1e-5
    np.testing.assert_allclose(slopes[0], (error(0.8 + step, 0.3) - error(0.8 - step, 0.3)) / (2 * step), rtol=1e-7)
    np.testing.assert_allclose(slopes[1], (error(0.8, 0.3 + step) - error(0.8, 0.3 - step)) / (2 * step), rtol=1e-7)
    with pytest.raises(ValueError, match="num_nodes"):
        jax.jit(lambda t: closed_forms.least_squares_gd(2.0, 0.1, steps=t).test_error)(3)
    found = jax.jit(lambda t: closed_forms.least_squares_gd(2.0, 0.1, steps=t, num_nodes=4).test_error)(3)
    np.testing.assert_allclose(found, closed_forms.least_squares_gd(2.0, 0.1, steps=3).test_error, rtol=1e-6)


def test_arguments_that_make_no_sense_are_refused() -> None:
    with pytest.raises(TypeError, match="integers"):
        closed_forms.least_squares_gd(2.0, 0.1, steps=[0.5])
    with pytest.raises(ValueError, match="steps"):
        closed_forms.least_squares_gd(2.0, 0.1, steps=[-1])
    with pytest.raises(ValueError, match="ridgeless"):
        closed_forms.least_squares_flow(2.0, times=1e15)
    with pytest.raises(TypeError, match="Fraction"):
        closed_forms.rational_gd(0.5, Fraction(1), step=1)  # pyright: ignore[reportArgumentType]

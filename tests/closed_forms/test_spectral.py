"""Ridge on any spectrum: against 60 digits, against the isotropic forms, against itself on power laws, on real data."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dyntheory import closed_forms
from dyntheory.ground.precision import double_precision
from tests.closed_forms import references

RELATIVE = 1e-10
sampled = settings(max_examples=25, deadline=None, derandomize=True)
P = 12


@sampled
@given(
    count=st.one_of(st.floats(0.1, 400), st.floats(-14, -1).map(lambda e: P * (1 + 10**e)), st.just(float(P))),
    penalty=st.floats(-40, 6).map(lambda e: 10**e),
    decay=st.floats(0, 4),
    sigma=st.floats(-2, 2).map(lambda e: 10**e),
)
@example(count=P * (1 - 1e-13), penalty=1e-40, decay=2.0, sigma=1.0)
@example(count=float(P), penalty=1e-30, decay=0.0, sigma=1.0)
def test_every_digit_next_to_the_threshold(count: float, penalty: float, decay: float, sigma: float) -> None:
    values, target = np.arange(1.0, P + 1) ** -decay, np.cos(np.arange(P)) + 1.5
    risk = closed_forms.ridge_general(count, penalty, eigenvalues=values, target_coefficients=target, noise_std=sigma)
    bias, variance, train = references.general(count, penalty, values.tolist(), target.tolist(), sigma)
    expected = (bias, variance, train, references.kappa(count, penalty, values.tolist()))
    for name, value in zip(("bias", "variance", "train_error", "kappa"), expected, strict=True):
        np.testing.assert_allclose(float(getattr(risk, name)), float(value), rtol=RELATIVE, err_msg=name)


def test_equal_eigenvalues_are_the_isotropic_case() -> None:
    alphas, p = np.array([0.3, 0.999, 1.0, 1.5, 20.0]), 50
    for penalty in (0.0, 1e-12, 0.2):
        general = closed_forms.ridge_general(
            alphas * p, penalty, eigenvalues=np.ones(p), target_coefficients=np.full(p, 0.2), noise_std=0.5
        )
        isotropic = closed_forms.ridge(alphas, penalty, signal_power=0.04 * p, noise_std=0.5)
        for name, value in isotropic._asdict().items():
            np.testing.assert_allclose(getattr(general, name), value, rtol=1e-9, atol=1e-30, err_msg=name)


def test_degrees_of_freedom_and_cross_validation() -> None:
    values, target = np.arange(1.0, 31) ** -1.2, np.ones(30)
    risk = closed_forms.ridge_general([5.0, 30.0, 90.0], 0.01, eigenvalues=values, target_coefficients=target)
    for i in range(3):
        np.testing.assert_allclose(risk.df1[i], np.sum(values / (values + risk.kappa[i])), rtol=1e-12)
        np.testing.assert_allclose(risk.df2[i], np.sum((values / (values + risk.kappa[i])) ** 2), rtol=1e-12)
    np.testing.assert_allclose(risk.gcv, risk.train_error / (1 - risk.df1 / [5, 30, 90]) ** 2, rtol=1e-10)
    np.testing.assert_allclose(risk.gcv, risk.test_error, rtol=1e-10)
    bare = closed_forms.ridge_general(9.0, 0.0, eigenvalues=values, target_coefficients=target)
    assert bare.train_error == 0 and bare.gcv == bare.test_error


def test_zero_eigenvalues_change_nothing_and_leading_axes_broadcast() -> None:
    values, target = np.array([2.0, 1.0, 0.0]), np.array([1.0, -1.0, 7.0])
    padded = closed_forms.ridge_general(5.0, 0.1, eigenvalues=values, target_coefficients=target)
    short = closed_forms.ridge_general(5.0, 0.1, eigenvalues=values[:2], target_coefficients=target[:2])
    np.testing.assert_allclose(padded.test_error, short.test_error, rtol=1e-14)
    stacked = closed_forms.ridge_general(
        [[4.0], [5.0], [6.0]], 0.1, eigenvalues=np.stack([values, values**2]), target_coefficients=target
    )
    assert stacked.kappa.shape == (3, 2)
    np.testing.assert_allclose(stacked.kappa[1, 0], padded.kappa, rtol=1e-14)


def test_derivatives_are_those_of_the_solution() -> None:
    values, target = np.arange(1.0, 9) ** -1.0, np.ones(8)

    def error(count: float | jax.Array, penalty: float | jax.Array) -> jax.Array:
        return closed_forms.ridge_general(
            count, penalty, eigenvalues=values, target_coefficients=target, noise_std=0.3
        ).test_error

    with double_precision():
        first = jax.jit(jax.grad(error, argnums=(0, 1)))(6.0, 0.2)
    step = 1e-5
    np.testing.assert_allclose(first[0], (error(6 + step, 0.2) - error(6 - step, 0.2)) / (2 * step), rtol=1e-8)
    np.testing.assert_allclose(first[1], (error(6.0, 0.2 + step) - error(6.0, 0.2 - step)) / (2 * step), rtol=1e-8)


@pytest.mark.full
def test_second_derivatives_are_those_of_the_solution() -> None:
    values = np.arange(1.0, 9) ** -1.0

    def error(penalty: float | jax.Array) -> jax.Array:
        return closed_forms.ridge_general(
            6.0, penalty, eigenvalues=values, target_coefficients=np.ones(8), noise_std=0.3
        ).test_error

    with double_precision():
        second = jax.jit(jax.grad(jax.grad(error)))(0.2)
    step = 1e-3
    difference = (error(0.2 + step) - 2 * error(0.2) + error(0.2 - step)) / step**2
    np.testing.assert_allclose(second, difference, rtol=1e-4)
    np.testing.assert_allclose(jax.jit(error)(0.2), error(0.2), rtol=1e-6)


@pytest.mark.parametrize(
    ("source", "rate"),
    [(0.7, 0.6), *(pytest.param(*pair, marks=pytest.mark.full) for pair in ((0.3, 0.9), (1.6, 0.6)))],
)
def test_power_law_is_the_limit_of_its_spectrum(source: float, rate: float) -> None:
    """The difference from the sums over 400 000 modes falls as n grows, at least as n^-rate."""
    capacity, counts = 2.0, np.array([20.0, 80.0, 320.0])
    index = np.arange(1.0, 400_001)
    values = index**-capacity
    target = np.sqrt(index ** -(1 + 2 * capacity * source) / values)
    for relative in (0.0, 0.5):
        penalty = relative * (math.pi / 2 / counts) ** capacity
        law = closed_forms.power_law(counts, penalty, capacity=capacity, source=source, noise_std=0.2)
        sums = closed_forms.ridge_general(
            counts, penalty, eigenvalues=values, target_coefficients=target, noise_std=0.2
        )
        for name in ("bias", "variance", "kappa"):
            gaps = np.abs(getattr(law, name) / getattr(sums, name) - 1)
            slope = np.polyfit(np.log(counts), np.log(gaps), 1)[0]
            assert gaps[-1] < 0.02 and slope < -rate, (name, gaps)


@pytest.mark.parametrize("source", [0.2, 1.4, pytest.param(0.5, marks=pytest.mark.full)])
@pytest.mark.parametrize("noise_std", [0.05, pytest.param(1.0, marks=pytest.mark.full)])
def test_best_penalty_is_best_and_its_exponent_is_known(source: float, noise_std: float) -> None:
    numbers = {"capacity": 1.8, "source": source, "noise_std": noise_std}
    best = closed_forms.power_law(1e5, **numbers)
    factors = np.concatenate([[0.0], np.logspace(-3, 3, 61)])
    others = closed_forms.power_law(1e5, factors * (best.penalty or 1e-9), **numbers)
    assert np.all(best.test_error <= others.test_error * (1 + 1e-13))
    again = closed_forms.power_law(1e5, best.penalty, **numbers)
    np.testing.assert_allclose(again.test_error, best.test_error, rtol=1e-13)
    errors = closed_forms.power_law([1e20, 1e22], **numbers).excess_error
    decay = 2 * 1.8 * min(source, 1.0)
    np.testing.assert_allclose(np.log(errors[1] / errors[0]) / np.log(100), -decay / (1 + decay), rtol=2e-3)


def test_zeta_and_gamma_of_the_amplitude() -> None:
    from dyntheory.closed_forms.scaling_laws import _amplitude  # pyright: ignore[reportPrivateUsage]

    mp = references.mp
    with double_precision():
        for source in (1e-6, 0.2, 0.4999, 0.5, 0.77, 1 - 1e-9, 1 + 1e-7, 1.3, 4.0, 60.0):
            found = float(_amplitude(jnp.asarray(1.7), jnp.asarray(source)))
            with mp.workdps(40):
                r, a = mp.mpf(source), mp.mpf(1.7)
                exact = mp.gamma(2 - 2 * r) * mp.gamma(2 * r) / a if r < 1 else mp.zeta(1 + 2 * a * (r - 1))
            np.testing.assert_allclose(found, float(exact), rtol=1e-11)


def test_from_data_reconstructs_least_squares() -> None:
    rng = np.random.default_rng(3)
    mixing = rng.normal(size=(6, 6))
    rows = rng.normal(size=(400, 6)) @ mixing + 5.0
    labels = rows @ np.arange(6.0) + 0.7 * rng.normal(size=400) - 3.0
    data = closed_forms.from_data(rows, labels)
    centred = rows - rows.mean(0)
    fitted, residual, *_ = np.linalg.lstsq(centred, labels - labels.mean(), rcond=None)
    np.testing.assert_allclose(np.sort(data.eigenvalues), np.linalg.eigvalsh(centred.T @ centred / 400), rtol=1e-10)
    np.testing.assert_allclose(np.sum(data.target_coefficients**2), fitted @ fitted, rtol=1e-10)
    np.testing.assert_allclose(data.noise_std**2, residual[0] / (400 - 7), rtol=1e-12)
    power = np.sum(data.eigenvalues * data.target_coefficients**2) + residual[0] / 400
    np.testing.assert_allclose(power, labels.var(), rtol=1e-12)


@pytest.mark.full
def test_learning_curve_of_real_ridge_on_diabetes() -> None:
    """scikit-learn's ridge on 442 patients, trained on n rows and tested on the rest; the law of the inputs is real.

    Allowance: what a Gaussian law with these moments misses, 6 % at n of 40 and more.
    """
    sklearn = pytest.importorskip("sklearn.linear_model", reason="the data extra is not installed")
    from sklearn.datasets import load_diabetes

    rows, labels = map(np.asarray, load_diabetes(return_X_y=True))
    rows = (rows - rows.mean(0)) / rows.std(0)
    labels = (labels - labels.mean()) / labels.std()
    data, rng = closed_forms.from_data(rows, labels), np.random.default_rng(0)
    for count in (40, 120):
        errors = []
        for _ in range(200):
            order = rng.permutation(len(rows))
            own, rest = order[:count], order[count:]
            fit = sklearn.Ridge(alpha=count * 0.05, fit_intercept=False, solver="cholesky").fit(rows[own], labels[own])
            errors.append([np.mean((fit.predict(rows[part]) - labels[part]) ** 2) for part in (own, rest)])
        mean, error = np.mean(errors, axis=0), np.std(errors, axis=0, ddof=1) / math.sqrt(200)
        risk = closed_forms.ridge_general(count, 0.05, **data._asdict())
        expected = np.array([risk.train_error, risk.test_error])
        assert np.max(error / mean) < 0.02
        assert np.all(np.abs(mean - expected) < 4 * error + 0.06 * expected), (mean, expected)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"num_samples": 0.0}, "num_samples"),
        ({"penalty": -1.0}, "penalty"),
        ({"eigenvalues": [1.0, -1.0]}, "eigenvalues"),
        ({"eigenvalues": [0.0, 0.0]}, "positive one"),
        ({"target_coefficients": [1.0]}, "one axis of modes"),
    ],
)
def test_spectra_that_make_no_sense_are_refused(arguments: dict[str, object], word: str) -> None:
    usual = {"num_samples": 3.0, "penalty": 0.1, "eigenvalues": [1.0, 0.5], "target_coefficients": [1.0, 1.0]}
    with pytest.raises(ValueError, match=word):
        closed_forms.ridge_general(**{**usual, **arguments})  # pyright: ignore


def test_power_laws_and_data_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="trace"):
        closed_forms.power_law(10.0, capacity=1.0, source=0.5)
    with pytest.raises(ValueError, match="logarithm"):
        closed_forms.power_law(10.0, capacity=2.0, source=1.0)
    with pytest.raises(ValueError, match="told apart"):
        closed_forms.from_data(np.eye(4), np.ones(4))
    with pytest.raises(ValueError, match="one length"):
        closed_forms.from_data(np.ones((4, 2)), np.ones(3))

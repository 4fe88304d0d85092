"""Spectra of laws and data: ridge regression, random projections and kernels say the same of one spectrum."""

import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

from dyntheory import closed_forms, kernels, spectra
from tests.oracles import correlated_linear

pytestmark = pytest.mark.usefixtures("double")
FEATURES = spectra.power_law(1.3, num_modes=60, target_exponent=1.9)
COUNTS = np.array([7.0, 59.9, 60.0, 200.0])


@pytest.mark.parametrize("penalty", [0.0, 1e-9, 0.05])
def test_three_theories_agree_on_one_spectrum(penalty: float) -> None:
    data = closed_forms.data_spectrum(FEATURES, noise_std=0.4)
    ridge = closed_forms.ridge_general(COUNTS, penalty, **data._asdict())
    projected = closed_forms.projected_features(1e14, COUNTS, penalty, **data._asdict())
    curve = kernels.learning_curve(kernels.kernel_spectrum(FEATURES), COUNTS, ridge=penalty, noise_std=0.4)
    for name in ("test_error", "train_error"):
        expected = getattr(ridge, name)
        np.testing.assert_allclose(getattr(curve, name), expected, rtol=1e-10, err_msg=name)
        np.testing.assert_allclose(getattr(projected, name), expected, rtol=1e-10, err_msg=name)
    np.testing.assert_allclose(curve.effective_ridge, ridge.kappa, rtol=1e-10)


@pytest.mark.full
def test_gradient_descent_on_a_law_ends_at_ridge_regression_on_its_view() -> None:
    """The two-time equations share nothing with it: after 200 steps without penalty they are at least squares."""
    two = spectra.two_level(0.25, 2.0, alignment=(3.0, 1.0))
    values, powers, shares = (np.asarray(field) for field in (two.values, two.powers, two.weights))
    path = correlated_linear.curves(values, shares, powers, alpha=3.0, rate=0.5, noise_std=0.4, num_steps=200)
    data = closed_forms.data_spectrum(two, noise_std=0.4, num_features=8)
    end = closed_forms.ridge_general(24, 0.0, **data._asdict())
    np.testing.assert_allclose([path.test_error[-1], path.train_error[-1]], [end.test_error, 0.16 * 2 / 3], rtol=1e-6)


def test_the_number_of_features_cancels_where_it_can_hold_the_shares() -> None:
    two = spectra.two_level(0.25, 4.0, alignment=(3.0, 1.0))
    risks = [
        closed_forms.ridge_general(1.5 * d, 0.1, **closed_forms.data_spectrum(two, num_features=d)._asdict())
        for d in (4, 400)
    ]
    np.testing.assert_allclose(risks[0].test_error, risks[1].test_error, rtol=1e-12)
    uneven = closed_forms.data_spectrum(two, num_features=6)
    assert abs(closed_forms.ridge_general(9, 0.1, **uneven._asdict()).test_error / risks[0].test_error - 1) > 1e-3


def test_all_digits_whatever_the_precision_of_the_program() -> None:
    wide = closed_forms.data_spectrum(FEATURES)
    with jax.enable_x64(False):
        narrow = closed_forms.data_spectrum(FEATURES)
    for one, other in zip(narrow, wide, strict=True):
        assert one.dtype == np.float64
        np.testing.assert_array_equal(one, other)


def test_power_of_the_labels_is_that_of_the_law() -> None:
    data = closed_forms.data_spectrum(FEATURES, signal_power=2.5, noise_std=0.3)
    np.testing.assert_allclose(data.eigenvalues @ data.target_coefficients**2, 2.5, rtol=1e-12)  # E[λ a] = 1
    assert data.noise_std == 0.3


def test_data_their_kernel_and_their_covariance_have_one_spectrum() -> None:
    rows = np.random.default_rng(5).normal(size=(80, 6)) * np.arange(1.0, 7)
    target = np.array([1.0, -0.5, 0.2, 0.0, 0.3, 0.1])
    data = closed_forms.from_data(rows, rows @ target, center=False)
    of_data, of_kernel = kernels.kernel_spectrum(data), kernels.spectrum_of(rows @ rows.T, rows @ target)
    kept = np.asarray(of_kernel.eigenvalues) > 0
    for name in ("eigenvalues", "power"):
        found = np.asarray(getattr(of_kernel, name))[kept][::-1]
        np.testing.assert_allclose(found, getattr(of_data, name), rtol=1e-9, atol=1e-12, err_msg=name)
    of_rows = np.asarray(spectra.spectrum_of(rows, center=False).eigenvalues)
    np.testing.assert_allclose(of_rows, of_data.eigenvalues, rtol=1e-12)


def test_three_power_laws_have_the_same_modes_and_exponents() -> None:
    capacity, source = 1.7, 0.6
    of_law = kernels.kernel_spectrum(
        spectra.power_law(capacity, num_modes=50, target_exponent=1 + 2 * capacity * source)
    )
    of_kernel = kernels.power_law(capacity, source, 50)
    for name in ("eigenvalues", "power"):
        ratio = np.asarray(getattr(of_law, name)) / np.asarray(getattr(of_kernel, name))
        np.testing.assert_allclose(ratio, ratio[0], rtol=1e-12, err_msg=name)
    many = kernels.power_law(capacity, source, 100_000)
    limit = closed_forms.power_law(1000.0, 1e-5, capacity=capacity, source=source, noise_std=0.2)
    curve = kernels.learning_curve(many, 1000.0, ridge=1e-5, noise_std=0.2)
    np.testing.assert_allclose(curve.test_error[0], limit.test_error, rtol=1e-2)


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


BAD: Any = np.ones(3)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: closed_forms.data_spectrum(BAD), TypeError, r"dyntheory\.spectra"),
        (lambda: kernels.kernel_spectrum(BAD), TypeError, r"dyntheory\.spectra"),
        (lambda: closed_forms.data_spectrum(spectra.two_level(0.2, 3.0)), ValueError, "num_features"),
        (lambda: closed_forms.data_spectrum(FEATURES, noise_std=-1.0), ValueError, "noise_std"),
        (lambda: closed_forms.data_spectrum(FEATURES, signal_power=-1.0), ValueError, "signal_power"),
    ],
)
def test_bad_input_says_what_was_wrong(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_data_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="told apart"):
        closed_forms.from_data(np.eye(4), np.ones(4))
    with pytest.raises(ValueError, match="one length"):
        closed_forms.from_data(np.ones((4, 2)), np.ones(3))

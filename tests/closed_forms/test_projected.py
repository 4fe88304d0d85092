"""Ridge on random projections: its limits, the isotropic case by Mei and Montanari, real fits, every digit."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dyntheory import closed_forms
from dyntheory.ground.precision import double_precision

VALUES, TARGET = np.arange(1.0, 41) ** -1.3, np.cos(np.arange(40)) + 1.5
SPECTRUM = {"eigenvalues": VALUES, "target_coefficients": TARGET}


def test_many_features_are_ridge_on_the_inputs() -> None:
    counts, penalties = np.array([5.0, 39.9, 40.0, 200.0]), np.array([[0.0], [1e-12], [0.1]])
    found = closed_forms.projected_features(1e14, counts, penalties, **SPECTRUM, noise_std=0.5)
    expected = closed_forms.ridge_general(counts, penalties, **SPECTRUM, noise_std=0.5)
    for name, value in expected._asdict().items():
        np.testing.assert_allclose(getattr(found, name), value, rtol=1e-10, err_msg=name)


@pytest.mark.parametrize("penalty", [1e-10, 0.3])
def test_equal_eigenvalues_are_the_linear_case_of_mei_and_montanari(penalty: float) -> None:
    d, widths, counts = 20, np.array([[0.5], [0.9999], [3.0]]), np.array([0.4, 0.8, 2.5])
    linear = closed_forms.HermiteCoefficients(0.0, 1.0, 0.0)
    expected = closed_forms.random_features(widths, counts, penalty=penalty, activation=linear, noise_std=0.5)
    found = closed_forms.projected_features(
        d * widths,
        d * counts,
        penalty,
        eigenvalues=np.ones(d),
        target_coefficients=np.full(d, d**-0.5),
        noise_std=0.5,
    )
    for name in ("test_error", "train_error"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-9, err_msg=name)


def test_degrees_of_freedom_give_the_penalty_back() -> None:
    widths, counts, penalties = np.array([3.0, 20.0, 60.0])[:, None, None], np.array([[8.0], [20.0]]), [1e-9, 0.02]
    risk = closed_forms.projected_features(widths, counts, penalties, **SPECTRUM)
    back = risk.kappa * (1 - risk.df1 / counts) * (1 - risk.df1 / widths)
    np.testing.assert_allclose(back, np.broadcast_to(penalties, back.shape), rtol=1e-6)
    np.testing.assert_allclose(risk.gcv, risk.test_error, rtol=1e-10)
    swapped = closed_forms.projected_features(counts, widths, penalties, **SPECTRUM)
    np.testing.assert_allclose(swapped.kappa, risk.kappa, rtol=1e-12)


def test_edges() -> None:
    at = closed_forms.projected_features
    assert np.isinf(at(9.0, 9.0, 0.0, **SPECTRUM, noise_std=0.5).test_error)
    assert at(40.0, 80.0, 0.0, **SPECTRUM).test_error == 0.0
    np.testing.assert_allclose(at([40.0, 70.0], 80.0, 0.0, **SPECTRUM, noise_std=0.5).test_error, 0.5, rtol=1e-12)
    near = at([9.0, 9.0 + 1e-9], 9.0, 1e-18, **SPECTRUM, noise_std=0.5).test_error
    assert np.isfinite(near).all() and near.min() > 1e3
    for bad in ({"num_features": 0.0}, {"num_samples": -1.0}, {"penalty": -1.0}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            at(**{"num_features": 1.0, "num_samples": 1.0, "penalty": 0.0, **bad}, **SPECTRUM)


def test_derivative_is_that_of_differences() -> None:
    def error(penalty: Any) -> Any:
        return closed_forms.projected_features(12.0, 30.0, penalty, **SPECTRUM, noise_std=0.3).test_error

    with double_precision():
        slope = jax.jit(jax.grad(error))(jnp.asarray(0.1))
    ends = [float(error(np.asarray(0.1 + step))) for step in (-1e-5, 1e-5)]
    np.testing.assert_allclose(slope, (ends[1] - ends[0]) / 2e-5, rtol=1e-6)


@pytest.mark.parametrize(("width", "count", "penalty"), [(20, 60, 1e-3), (60, 25, 1e-2), (30, 30, 3e-2)])
def test_real_regression(width: int, count: int, penalty: float) -> None:
    generator, p, runs = np.random.default_rng(0), 200, 200
    values = np.arange(1.0, p + 1) ** -1.2
    target, errors = generator.normal(size=p), []
    for _ in range(runs):
        rows = generator.normal(size=(count, p)) * np.sqrt(values)
        labels = rows @ target + 0.5 * generator.normal(size=count)
        projection = generator.normal(size=(width, p)) / np.sqrt(width)
        seen = rows @ projection.T
        fit = np.linalg.solve(seen.T @ seen / count + penalty * np.eye(width), seen.T @ labels / count)
        errors.append(np.sum(values * (target - projection.T @ fit) ** 2) + 0.25)
    risk = closed_forms.projected_features(
        width, count, penalty, eigenvalues=values, target_coefficients=target, noise_std=0.5
    )
    bar = np.std(errors) / np.sqrt(runs)
    assert bar < 0.03 * np.mean(errors)
    assert abs(np.mean(errors) - risk.test_error) < 4 * bar + 2 * risk.test_error / min(width, count)

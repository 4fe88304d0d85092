"""The pictures: measurements have the exact means of finite n, figures are drawn."""

from pathlib import Path

import numpy as np
import pytest

import dyntheory as dt
from dyntheory import gallery


@pytest.fixture(scope="module")
def descent() -> gallery.DoubleDescent:
    return gallery.double_descent(num_samples=40, num_runs=60)


@pytest.fixture(scope="module")
def features() -> gallery.RandomFeatures:
    return gallery.random_features(num_inputs=24, num_runs=30)


def test_measured_double_descent_has_the_exact_mean(descent: gallery.DoubleDescent) -> None:
    """Gaussian inputs at finite n: σ²d/(n − d − 1) below the peak, 1 − n/d + σ²n/(d − n − 1) above (|β|² = 1)."""
    n, d, noise = 40, np.round(descent.measured_at * 40), 0.25
    far = np.abs(d - n) > 6  # nearer the peak the variance of one run is infinite or nearly so
    below = noise * d / (n - d - 1)
    exact = np.where(d < n, below, 1 - n / d + noise * n / (d - n - 1)) + noise
    mean, error = descent.measured[0], descent.standard_errors[0]
    assert np.max(error[far] / mean[far]) < 0.15
    assert np.max(np.abs(mean - exact)[far] / error[far]) < 4


def test_every_picture_is_drawn_and_says_what_it_shows(
    descent: gallery.DoubleDescent, features: gallery.RandomFeatures, tmp_path: Path
) -> None:
    for data in (descent, gallery.early_stopping(), features):
        path = dt.plot.save_figure(gallery.draw(data), tmp_path / f"{type(data).__name__}.png")
        assert path.stat().st_size > 20_000
        assert "%" in gallery.summary(data)
    with pytest.raises(TypeError, match="`data` must be a DoubleDescent"):
        gallery.draw(3)  # pyright: ignore[reportArgumentType]


def test_measured_random_features_follow_the_formula(features: gallery.RandomFeatures) -> None:
    """Within what d = 24 leaves, of order 1/d; the wrong penalty must fail."""
    data = features

    def gaps(penalty: float) -> np.ndarray:
        expected = np.interp(data.measured_at, data.features_per_sample, data.risks[penalty].test_error)
        return np.abs(data.measured[2] / expected - 1)

    assert np.max(data.standard_errors[2] / data.measured[2]) < 0.05
    assert np.all(gaps(1e-2) < 4 * data.standard_errors[2] / data.measured[2] + 3 / 24)
    assert np.max(gaps(1e-3)) > 0.3


def test_interpolation_is_benign_with_many_parameters_and_not_with_fifty() -> None:
    few, three, fifty, many = gallery.benign_overfitting().fits
    assert many.train_error < 1e-20 < fifty.train_error < three.train_error < few.train_error
    assert many.test_error < 0.04 < three.test_error < few.test_error < fifty.test_error


def test_best_times_are_lowest() -> None:
    data = gallery.early_stopping()
    assert np.all(data.best_error <= data.curve.test_error.min(axis=1) * (1 + 1e-6))
    assert np.all(
        data.best_error >= data.ridge_error
    )  # no rotation-invariant estimator is better than ridge at its best

"""The largest margin solves the published equation, and what is separable."""

import numpy as np
import pytest
import scipy.integrate
from scipy.stats import norm

from dyntheory.closed_forms import max_margin, separability_threshold


def _gap(alpha: float, margin: float, overlap: float) -> float:
    """Return αE(κ − ϱ|G| − √(1 − ϱ²)Z)₊² − (1 − ϱ²), whose least value over ϱ vanishes at the largest margin."""
    s = np.sqrt(1 - overlap**2)

    def integrand(g: float) -> float:
        k = (margin - overlap * g) / s
        return 2 * norm.pdf(g) * s**2 * ((1 + k * k) * norm.cdf(k) + k * norm.pdf(k))

    return alpha * scipy.integrate.quad(integrand, 0, 12, epsabs=1e-13, limit=200)[0] - s**2


def test_largest_margin() -> None:
    """The published equation and its consequence for the error."""
    found = max_margin(np.array([0.5, 2.0]))
    for alpha, margin, overlap in zip((0.5, 2.0), found.margin, found.overlap, strict=True):
        assert abs(_gap(alpha, margin, overlap)) < 1e-11
        assert abs(_gap(alpha, margin, overlap + 1e-4) - _gap(alpha, margin, overlap - 1e-4)) < 1e-11
        assert min(_gap(alpha, margin, overlap + shift) for shift in (-0.01, 0.01)) > 1e-6
        assert _gap(alpha, 0.999 * margin, overlap) < -1e-5
    np.testing.assert_allclose(found.test_error, np.arccos(found.overlap) / np.pi, rtol=1e-12)


def test_what_is_separable() -> None:
    noisy = separability_threshold(teacher="probit", noise_std=np.array([0.0, 5.0, 1e6]))
    assert np.isinf(noisy[0]) and noisy[1] > noisy[2]
    np.testing.assert_allclose(noisy[2], 2.0, rtol=1e-9)
    with pytest.raises(ValueError, match="convex_erm"):
        max_margin(np.array([2.5, 0.1, 0.1]), teacher="probit", noise_std=np.array([5.0, 5.0, 5.0]))

"""Spectra of kernels from kernel matrices and formulas; `tests/closed_forms/test_spectra.py` compares their views."""

import numpy as np
import pytest

from dyntheory.kernels import power_law, spectrum_of

pytestmark = pytest.mark.usefixtures("double")


def test_spectrum_of_data_finds_the_spectrum() -> None:
    """On the circle the kernel is diagonal in Fourier modes: eigenvalues and powers are known."""
    angles = 2 * np.pi * np.arange(64) / 64
    kernel = 1 + np.cos(angles[:, None] - angles[None, :]) + 0.5 * np.cos(3 * (angles[:, None] - angles[None, :]))
    spectrum = spectrum_of(kernel, 2.0 + np.sin(3 * angles) + np.cos(5 * angles))
    values = np.sort(np.asarray(spectrum.eigenvalues))[::-1]
    np.testing.assert_allclose(values[:5], [1, 0.5, 0.5, 0.25, 0.25], atol=1e-13)
    np.testing.assert_allclose(values[5:], 0, atol=1e-13)
    np.testing.assert_allclose(np.sum(spectrum.power), 4.5, rtol=1e-12)
    np.testing.assert_allclose(spectrum.unlearnable, 0.5, rtol=1e-12)


def test_bad_input_says_what_was_wrong() -> None:
    with pytest.raises(ValueError, match="capacity"):
        power_law(0.9, 1.0, 10)
    with pytest.raises(ValueError, match="targets"):
        spectrum_of(np.eye(2), np.ones(3))

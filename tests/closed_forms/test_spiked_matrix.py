"""Spiked matrices against high precision, their fixed point, and random matrices."""

from typing import Any

import jax
import mpmath as mp
import numpy as np
import pytest

from dyntheory import closed_forms
from dyntheory.ground.precision import double_precision


def _overlap(snr: Any) -> Any:
    """Return E tanh(γ + √γ Z) by 40 digits of the trapezoid rule."""
    step, total = mp.mpf(1) / 50, mp.mpf(0)
    for k in range(-700, 701):
        z = k * step
        total += mp.tanh(snr + mp.sqrt(snr) * z) * mp.exp(-z * z / 2)
    return total * step / mp.sqrt(2 * mp.pi)


@pytest.mark.parametrize("strength", [1 + 1e-9, 1 + 1e-4, 1.05, 1.5, 3.0])
def test_bayes_overlap_solves_its_equation_to_all_digits(strength: float) -> None:
    """The residual of q = T(λ²q), 40 digits, over its slope is the error of q: it must be 1e-10 relative."""
    limits = closed_forms.spiked_wigner(strength)
    with mp.workdps(40):
        squared, overlap = mp.mpf(strength) ** 2, mp.mpf(float(limits.bayes_overlap))
        step = overlap * mp.mpf(10) ** -12
        residual = _overlap(squared * overlap) - overlap
        slope = (_overlap(squared * (overlap + step)) - overlap - step - residual) / step
        assert abs(residual / slope / overlap) < 1e-10
    np.testing.assert_allclose(limits.matrix_mmse, 1 - limits.bayes_overlap**2, rtol=1e-9)


def test_spike_below_and_above_the_transition() -> None:
    limits = closed_forms.spiked_wigner([0.3, 1.0, 1 + 1e-12, 2.0, 1e3])
    assert limits.bayes_overlap[:2].tolist() == [0.0, 0.0] and limits.matrix_mmse[:2].tolist() == [1.0, 1.0]
    np.testing.assert_allclose(limits.eigenvector_overlap[2], 2e-12, rtol=1e-3)
    assert np.all(limits.bayes_overlap >= limits.eigenvector_overlap)
    assert limits.bayes_overlap[-1] == 1.0


def test_large_signal_keeps_the_small_loss() -> None:
    with mp.workdps(40):
        snr = mp.mpf(36) * mp.mpf(float(closed_forms.spiked_wigner(6.0).bayes_overlap))
        missing = mp.exp(-snr / 2) * mp.quad(
            lambda g: mp.sech(g) * mp.exp(-g * g / (2 * snr)) / mp.sqrt(2 * mp.pi * snr), mp.linspace(-60, 60, 25)
        )
    np.testing.assert_allclose(closed_forms.spiked_wigner(6.0).matrix_mmse, float(missing * (2 - missing)), rtol=1e-10)


def test_top_eigenvector_of_a_matrix() -> None:
    """λ = 2, N = 150, 60 draws: eigenvalue and overlap as z-scores with an allowance of 3/N."""
    rng, size, found = np.random.default_rng(1), 150, []
    for _ in range(60):
        noise = rng.normal(size=(size, size))
        sign = rng.choice([-1.0, 1.0], size)
        values, vectors = np.linalg.eigh(2.0 * np.outer(sign, sign) / size + (noise + noise.T) / np.sqrt(2 * size))
        found.append([values[-1], (vectors[:, -1] @ sign) ** 2 / size])
    mean, error = np.mean(found, axis=0), np.std(found, axis=0, ddof=1) / np.sqrt(60)
    exact = np.array(closed_forms.spiked_wigner(2.0)[:2])
    assert np.all(error / exact < 0.01)
    assert np.all(np.abs(mean - exact) < 4 * error + 3 / size)


def test_message_passing_climbs_to_the_fixed_point() -> None:
    path = closed_forms.spiked_wigner_amp([1.5, 0.8], [0.01, 0.01], num_steps=60)
    np.testing.assert_allclose(path[0, -1], closed_forms.spiked_wigner(1.5).bayes_overlap, rtol=1e-10)
    assert path.shape == (2, 61) and np.all(np.diff(path[0]) > -1e-15) and path[1, -1] < 1e-3
    assert not np.any(closed_forms.spiked_wigner_amp([2.0, 2.0], [0.0, 0.0], num_steps=60))


def test_spike_has_derivatives() -> None:
    def overlap(strength: float | jax.Array) -> jax.Array:
        return closed_forms.spiked_wigner(strength).bayes_overlap

    with double_precision():
        slope = jax.jit(jax.grad(overlap))(1.4)
    np.testing.assert_allclose(slope, (overlap(1.4 + 1e-5) - overlap(1.4 - 1e-5)) / 2e-5, rtol=1e-8)

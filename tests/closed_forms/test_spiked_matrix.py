"""Spiked matrices and the edge of chaos against high precision, closed forms, and random matrices and networks."""

from typing import Any

import jax
import jax.numpy as jnp
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


def test_he_and_xavier_are_the_edges_of_relu_and_tanh() -> None:
    for name in ("relu", "tanh", "linear", "erf", "abs"):
        weight, bias = closed_forms.edge_of_chaos(name)
        expected = {"relu": 2.0, "tanh": 1.0, "linear": 1.0, "erf": np.pi / 4, "abs": 1.0}[name]
        np.testing.assert_allclose(weight, expected, rtol=1e-14)
        assert bias == 0
    assert closed_forms.edge_of_chaos("relu", 3.0) == (2.0, 0.0)
    np.testing.assert_allclose(closed_forms.edge_of_chaos("leaky_relu").weight_variance, 2 / 1.01, rtol=1e-14)


@pytest.mark.parametrize("variance", [1e-8, 1e-3, 0.0999, 0.1001, 1.0, 50.0, 1000.0])
def test_erf_has_its_closed_form_edge(variance: float) -> None:
    """σ_w² = (π/4)√(1 + 4q), σ_b² = q − ½√(1 + 4q) asin(2q/(1 + 2q)), which is O(q³): 40 digits."""
    weight, bias = closed_forms.edge_of_chaos("erf", variance)
    with mp.workdps(40):
        q = mp.mpf(variance)
        root = mp.sqrt(1 + 4 * q)
        exact = mp.pi / 4 * root, q - root / 2 * mp.asin(2 * q / (1 + 2 * q))
    np.testing.assert_allclose(float(weight), float(exact[0]), rtol=1e-12)
    np.testing.assert_allclose(float(bias), float(exact[1]), rtol=1e-10)


def test_small_variances_need_the_series() -> None:
    """Negative control: the definition of σ_b² in float64 has no digit left at q = 1e-8."""
    q = 1e-8
    direct = q - 0.5 * np.sqrt(1 + 4 * q) * np.arcsin(2 * q / (1 + 2 * q))
    assert abs(direct / closed_forms.edge_of_chaos("erf", q).bias_variance - 1) > 1e-3


@pytest.mark.parametrize("variance", [1e-5, 0.05, 0.3, 20.0])
def test_tanh_edge_agrees_with_high_precision(variance: float) -> None:
    weight, bias = closed_forms.edge_of_chaos("tanh", variance)
    with mp.workdps(40):
        root, step = mp.sqrt(variance), mp.mpf(1) / 200
        values = [(mp.tanh(root * k * step), mp.exp(-((k * step) ** 2) / 2)) for k in range(-2600, 2601)]
        scale = step / mp.sqrt(2 * mp.pi)
        slope = scale * mp.fsum((1 - x * x) ** 2 * w for x, w in values)
        exact = 1 / slope, variance - scale * mp.fsum(x * x * w for x, w in values) / slope
    np.testing.assert_allclose(float(weight), float(exact[0]), rtol=1e-12)
    np.testing.assert_allclose(float(bias), float(exact[1]), rtol=1e-10)


def test_a_wide_network_at_the_edge_keeps_signal_and_gradient() -> None:
    """tanh, 30 layers of 400 units, 12 draws: variance and gradient norm stay over layers 10–30; with (2, 0) not."""
    edge = closed_forms.edge_of_chaos("tanh", 0.5)
    kept, lost = (_depth_30(float(w), float(b), 0.5) for w, b in (edge, (2.0, 0.0)))
    mean, error = kept.mean(axis=0), kept.std(axis=0, ddof=1) / np.sqrt(len(kept))
    assert np.all(error < 0.05)
    assert np.all(np.abs(mean - [0.5, 0.0]) < 4 * error + 0.02)
    assert lost[:, 1].mean() > 0.05 and np.all(
        lost[:, 1] > 0
    )  # growth of the squared gradient per layer, in its logarithm


def _depth_30(weight: float, bias: float, variance: float) -> np.ndarray:
    rng, size, found = np.random.default_rng(2), 400, []
    for _ in range(12):
        h, tangent, norms, squares = rng.normal(size=size) * np.sqrt(variance), rng.normal(size=size), [], []
        for _ in range(30):
            w = rng.normal(size=(size, size)) * np.sqrt(weight / size)
            tangent = w @ (tangent * (1 - np.tanh(h) ** 2))
            h = w @ np.tanh(h) + np.sqrt(bias) * rng.normal(size=size)
            norms.append(np.log(np.mean(tangent**2)))
            squares.append(np.mean(h**2))
        found.append([np.mean(squares[10:]), (norms[-1] - norms[9]) / 20])
    return np.array(found)


def test_activations_without_an_edge_say_so() -> None:
    for name, word in (("sign", "jumps"), ("softplus", "would be"), ("quadratic", "slope is zero")):
        with pytest.raises(ValueError, match=word):
            closed_forms.edge_of_chaos(name)
    with pytest.raises(ValueError, match="smooth enough"):
        closed_forms.edge_of_chaos(lambda x: jnp.maximum(x, 0.0), 1.0)
    with pytest.raises(ValueError, match="at most"):
        closed_forms.edge_of_chaos("tanh", 1e9)


def test_edge_under_transformations() -> None:
    found = jax.jit(jax.vmap(lambda q: closed_forms.edge_of_chaos("tanh", q).weight_variance))(jnp.array([0.1, 1.0]))
    np.testing.assert_allclose(found, closed_forms.edge_of_chaos("tanh", [0.1, 1.0]).weight_variance, rtol=1e-6)

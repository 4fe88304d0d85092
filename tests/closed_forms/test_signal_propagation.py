"""The edge of chaos against high precision, closed forms, and wide random networks."""

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

from dyntheory import closed_forms


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

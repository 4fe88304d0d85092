"""Signals layer by layer: exact maps, residual blocks, normalisation, and random networks written in NumPy."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dyntheory.closed_forms import signal_layers


def test_relu_layers_follow_the_arc_cosine_map() -> None:
    found = signal_layers("relu", 1.7, 0.1, num_layers=12, variance=0.8, correlation=-0.4)
    q, c = 0.8, -0.4
    for layer in range(13):
        np.testing.assert_allclose([found.variance[layer], found.correlation[layer]], [q, c], rtol=1e-12)
        new = 1.7 * q / 2 + 0.1
        c = (1.7 * q * (np.sqrt(1 - c * c) + c * (np.pi - np.arccos(c))) / (2 * np.pi) + 0.1) / new
        q = new
    np.testing.assert_allclose(found.log_gradient, np.log(0.85) * np.arange(13), rtol=1e-12, atol=1e-15)


def test_residual_blocks_cost_a_constant_factor() -> None:
    """(1 + σ_w² s/2)^L, forward and backward: L at s = 1 explodes, s = 1/L approaches e^{σ_w²/2}."""
    for scale in (1.0, 1 / 40):
        found = signal_layers("relu", 1.0, num_layers=40, skip=1.0, branch_variance=scale)
        np.testing.assert_allclose(found.variance[-1], (1 + scale / 2) ** 40, rtol=1e-12)
        np.testing.assert_allclose(found.log_gradient[-1], 40 * np.log1p(scale / 2), rtol=1e-12)


def test_normalised_residual_blocks_grow_by_a_power() -> None:
    """q^l = q⁰ + l E φ², χ = 1 + E φ′²/q^l: for ReLU (σ_w² = 2) the product telescopes to (q⁰ + L)/q⁰."""
    found = signal_layers("relu", 2.0, num_layers=50, skip=1.0, normalization="before")
    np.testing.assert_allclose(found.variance, 1.0 + np.arange(51), rtol=1e-12)
    np.testing.assert_allclose(found.log_gradient[-1], np.log(51.0), rtol=1e-12)


def test_close_inputs_keep_their_digits() -> None:
    """1 − c falls by χ₁ per layer in the ordered phase, far below the rounding of c; kinked functions too."""
    found = signal_layers("erf", 0.5, 0.1, num_layers=120, correlation=0.5)
    chi = np.exp(found.log_gradient[-1] - found.log_gradient[-2])
    np.testing.assert_allclose(found.excess[-1] / found.excess[-2], chi, rtol=1e-9)
    assert 0 < found.excess[-1] < 1e-30 and found.correlation[-1] == 1.0
    panels = signal_layers(jax.scipy.special.erf, 0.5, 0.1, num_layers=120, correlation=0.5)
    np.testing.assert_allclose(panels.excess, found.excess, rtol=1e-8)
    opposite = signal_layers("abs", 1.0, num_layers=2, correlation=-1.0)
    np.testing.assert_allclose(opposite.correlation, [-1.0, 1.0, 1.0], rtol=1e-12)


@pytest.mark.parametrize(
    ("weight", "bias", "skip", "scale", "kind"),
    [
        pytest.param(2.5, 0.05, 0.0, 1.0, "none", marks=pytest.mark.full),
        pytest.param(0.9, 0.3, 0.0, 1.0, "after", marks=pytest.mark.full),
        (1.5, 0.1, 1.0, 0.2, "before"),
    ],
)
def test_random_networks_of_width_300(weight: float, bias: float, skip: float, scale: float, kind: str) -> None:
    """tanh, 12 layers, 40 draws: variance, correlation, gradient in 4.5 standard errors and 2l/N; 1.3 σ_w² misses."""
    rng, size, depth = np.random.default_rng(5), 300, 12
    runs = np.array([_network(rng, size, depth, weight, bias, skip, scale, kind) for _ in range(40)])
    numbers: dict[str, Any] = {
        "num_layers": depth,
        "skip": skip,
        "branch_variance": scale,
        "normalization": kind,
        "correlation": 0.3,
    }
    found = signal_layers("tanh", weight, bias, **numbers)
    theory = np.stack([found.variance, found.correlation, found.log_gradient], axis=-1)[1:]
    error = runs.std(axis=0, ddof=1) / np.sqrt(len(runs))
    assert np.all(error[:, :2] < 0.03) and np.all(error[:, 2] < 0.09)
    slack = 4.5 * error + 2 / size * np.arange(1, depth + 1)[:, None]
    assert np.all(np.abs(runs.mean(axis=0) - theory) < slack)
    other = signal_layers("tanh", 1.3 * weight, bias, **numbers).variance[-1]
    assert np.abs(runs.mean(axis=0)[-1, 0] - other) > slack[-1, 0]


def _network(
    rng: np.random.Generator, size: int, depth: int, weight: float, bias: float, skip: float, scale: float, kind: str
) -> np.ndarray:
    """Return variance, correlation and log of the squared derivative along a random direction, (depth, 3)."""
    first, fresh = rng.normal(size=(2, size))
    h = np.stack([first, 0.3 * first + np.sqrt(1 - 0.09) * fresh])
    tangent, rows = rng.normal(size=size), []
    start = np.mean(tangent**2)
    for _ in range(depth):
        w, b = rng.normal(size=(size, size)) * np.sqrt(weight / size), np.sqrt(bias) * rng.normal(size=size)
        u, t = h, tangent
        if kind == "before":
            u, t = _normalise(h), _derivative(h[0], tangent)
        x, t = np.tanh(u), t * (1 - np.tanh(u[0]) ** 2)
        if kind == "after":
            x, t = _normalise(x), _derivative(x[0], t)
        h, tangent = skip * h + np.sqrt(scale) * (x @ w.T + b), skip * tangent + np.sqrt(scale) * (w @ t)
        q = np.mean(h**2, axis=1)
        rows.append([q.mean(), np.mean(h[0] * h[1]) / np.sqrt(q[0] * q[1]), np.log(np.mean(tangent**2) / start)])
    return np.array(rows)


def _normalise(x: np.ndarray) -> np.ndarray:
    return (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True)


def _derivative(x: np.ndarray, t: np.ndarray) -> np.ndarray:
    unit = (x - x.mean()) / x.std()
    return (t - t.mean() - unit * np.mean(unit * t)) / x.std()


def test_numbers_broadcast_and_transform() -> None:
    found = signal_layers("erf", np.array([1.0, 2.0]), 0.1, num_layers=3)
    assert found.variance.shape == (2, 4) and found.error.shape == (2,)
    slope = jax.grad(lambda w: signal_layers("erf", w, 0.1, num_layers=3, correlation=0.5).log_gradient[-1])(1.5)
    step = 1e-5
    ends = [signal_layers("erf", 1.5 + s, 0.1, num_layers=3, correlation=0.5).log_gradient[-1] for s in (step, -step)]
    np.testing.assert_allclose(slope, (ends[0] - ends[1]) / (2 * step), rtol=1e-4)


def test_what_overflows_is_infinite_and_what_dies_has_no_direction() -> None:
    loud = signal_layers("relu", 10.0, 0.1, num_layers=600)
    assert np.isinf(loud.variance[-1]) and np.isnan(loud.correlation[-1])
    np.testing.assert_allclose(loud.log_gradient[-1], 600 * np.log(5.0), rtol=1e-12)
    with pytest.raises(ValueError, match="overflow"):
        signal_layers(jnp.exp, 10.0, 0.1, num_layers=6)
    grown = signal_layers(jnp.exp, 1e-12, 0.1, num_layers=6)  # E e^{2h} = e^{2q}
    np.testing.assert_allclose(grown.variance[1] - 0.1, 1e-12 * np.exp(2.0), rtol=1e-4)
    with pytest.raises(ValueError, match="is not resolved"):  # its mass lies at 2√q, at 6 standard deviations
        signal_layers(jnp.exp, 1e-12, 0.1, num_layers=6, variance=9.0)
    dead = signal_layers("erf", 0.0, 0.0, num_layers=2)
    assert dead.variance[-1] == 0 and np.isnan(dead.correlation[-1])


def test_numbers_may_stand_in_a_program_that_is_traced() -> None:
    inside = jax.jit(lambda: signal_layers("erf", 1.0, 0.1, num_layers=2).variance)()
    np.testing.assert_allclose(inside, signal_layers("erf", 1.0, 0.1, num_layers=2).variance, rtol=1e-6)


def test_bad_numbers_are_named() -> None:
    with pytest.raises(ValueError, match="`correlation` must be from -1 to 1"):
        signal_layers("erf", 1.0, num_layers=2, correlation=1.2)
    with pytest.raises(ValueError, match="`num_layers` must be at least 1"):
        signal_layers("erf", 1.0, num_layers=0)
    with pytest.raises(ValueError, match="is not resolved"):
        signal_layers("sign", 1.0, num_layers=2)

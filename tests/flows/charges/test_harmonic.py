"""Potentials without stable equilibria: closed forms, Laplacians, realisations, and Earnshaw's theorem."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize, special

from dyntheory.flows import charges
from dyntheory.flows.charges.potentials import Potential
from dyntheory.ground.precision import as_double, double_precision
from tests.flows.charges.test_potentials import gradient, value

RNG = np.random.default_rng(3)
ORIGIN = np.zeros((1, 3))


def at_distances(distances: np.ndarray) -> np.ndarray:
    return distances[:, None] * np.array([[0.48, 0.6, 0.64]])


def screened(r: np.ndarray, screening: float, width: float) -> np.ndarray:
    """∫_{s²}^∞ e^(−λt) p_t(r) dt in three dimensions, in closed form."""
    k = np.sqrt(screening)
    parts = [sign * np.exp(sign * k * r) * special.erfc(k * width + sign * r / (2 * width)) for sign in (-1, 1)]
    return (parts[0] * -1 - parts[1]) / (8 * np.pi * r)


@pytest.mark.parametrize(("screening", "width"), [(0.0, 0.2), (1.0, 0.1), (9.0, 0.3), (400.0, 0.05)])
def test_smeared_charges_have_their_closed_form(screening: float, width: float) -> None:
    potential = charges.yukawa(3, screening, width=width)
    r = np.geomspace(0.02, 3, 40) if screening else np.geomspace(0.02, 30, 40)
    found, exact = value(potential, at_distances(r), ORIGIN)[:, 0], screened(r, screening, width)
    scale = found[0] / exact[0]
    np.testing.assert_allclose(found, scale * exact, rtol=1e-9, atol=1e-15)
    assert value(potential, ORIGIN, ORIGIN)[0, 0] == pytest.approx(1.0, rel=1e-14)
    far = r > 12 * width
    bare = np.exp(-np.sqrt(screening) * r[far]) / (4 * np.pi * r[far])
    np.testing.assert_allclose(found[far], scale * bare, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize(
    ("d", "screening"),
    [
        (2, 1.0),
        (3, 0.0),
        *(pytest.param(*one, marks=pytest.mark.full) for one in ((1, 2.0), (3, 4.0), (5, 1.0), (50, 1.0))),
    ],
)
def test_space_laplacians_are_screened(d: int, screening: float) -> None:
    """ΔΦ − λΦ is minus a Gaussian of the width of the charge, nothing else."""
    width, potential = 0.3, charges.yukawa(d, screening, width=0.3)
    points = np.array([[0.05], [0.4], [1.0], [2.0]]) * np.ones((1, d)) / np.sqrt(d)
    source = np.zeros(d)
    r = np.linalg.norm(points, axis=1)
    rest = (
        charges.laplacian(potential, points, source=source) - screening * value(potential, points, source[None])[:, 0]
    )
    shape = -np.exp(-(r**2) / (4 * width**2))
    np.testing.assert_allclose(rest / rest[0], shape / shape[0], rtol=1e-6, atol=1e-8)
    assert rest[0] < 0


@pytest.mark.full
def test_the_sphere_has_its_closed_forms() -> None:
    """On the circle cosh(√λ (π − φ)), on S³ sinh(√(λ−1) (π − φ))/sin φ; the series converges to them off contact."""
    phi = np.linspace(0.9, np.pi - 0.3, 12)
    for d, screening in ((2, 1.7), (4, 3.0)):
        points = np.zeros((len(phi), d))
        points[:, 0], points[:, 1] = np.cos(phi), np.sin(phi)
        found = value(charges.spherical_yukawa(d, screening, degree=400), points, np.eye(1, d))[:, 0]
        k = np.sqrt(screening - (d == 4))
        exact = np.cosh(k * (np.pi - phi)) if d == 2 else np.sinh(k * (np.pi - phi)) / np.sin(phi)
        np.testing.assert_allclose(found / found[5], exact / exact[5], rtol=1e-4)


@pytest.mark.parametrize(
    ("d", "screening", "degree"),
    [
        (3, 2.0, 31),
        *(pytest.param(*one, marks=pytest.mark.full) for one in ((2, 1.0, 20), (5, 0.5, 12), (8, 30.0, 40))),
    ],
)
def test_sphere_laplacians_are_screened_up_to_the_last_terms(d: int, screening: float, degree: int) -> None:
    potential = charges.spherical_yukawa(d, screening, degree=degree)
    points = RNG.normal(size=(9, d))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    source, powers = np.eye(1, d)[0], np.asarray(potential.parameters)
    assert np.all(powers > 0) and powers.sum() == pytest.approx(1, rel=1e-13)
    c, k = points[:, 0], np.array([degree - 1, degree])
    rest = -np.sum((k * (k + d - 2) + screening) * powers[k] * c[:, None] ** k, axis=1)
    off = charges.laplacian(potential, points, source=source) - screening * value(potential, points, source[None])[:, 0]
    np.testing.assert_allclose(off, rest, rtol=1e-8, atol=1e-10)


@pytest.mark.full
def test_the_potential_of_a_plain_activation_is_not_screened() -> None:
    """Negative control: no λ fits ReLU or a Gaussian (cos) at two points."""
    points = np.array([[0.3, 0.2, 0.1], [1.5, 0.2, 0.4]])
    for name in ("cos", "relu", "erf"):
        rates = charges.laplacian(name, points, source=np.eye(1, 3)[0]) / value(name, points, np.eye(1, 3))[:, 0]
        assert abs(rates[0] - rates[1]) > 0.1


@pytest.mark.parametrize(
    "potential",
    [
        charges.yukawa(3, 1.0, width=0.5),
        pytest.param(charges.spherical_yukawa(3, 2.0, degree=4), marks=pytest.mark.full),
    ],
)
def test_they_are_networks(potential: Potential) -> None:
    """Φ = E σ(θ, x) σ(w, x) over the inputs that the potential says."""
    one, other = RNG.normal(size=(2, 3)), RNG.normal(size=(2, 3))
    one, other = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (one, other))
    assert potential.units is not None
    with double_precision():
        numbers = as_double(potential.parameters)
        x = potential.draw(numbers, jax.random.key(7), (200_000, 3))
        left, right = (np.asarray(potential.units(numbers, jnp.asarray(rows), x)) for rows in (one, other))
    products = np.einsum("np,nq->npq", left, right)
    error = products.std(axis=0, ddof=1) / np.sqrt(len(products))
    assert error.max() < 0.02
    assert np.abs((products.mean(axis=0) - value(potential, one, other)) / error).max() < 4


def stationary(potential: Potential, protons: np.ndarray, start: np.ndarray, on_sphere: bool) -> tuple[np.ndarray, Any]:
    """Return positions and charges without force, found from a start by SciPy."""
    count, d = start.shape

    def pull(flat: np.ndarray) -> np.ndarray:
        positions, own = flat[: count * d].reshape(count, d), flat[count * d :]
        radial = np.zeros(count)
        if on_sphere:
            radial = np.sum(positions**2, 1) - 1
            positions = positions / np.linalg.norm(positions, axis=1, keepdims=True)
        found = charges.forces(potential, protons, electrons=positions, electron_charges=own)
        return np.concatenate([(found.positions - radial[:, None] * positions).ravel(), found.charges])

    solution = optimize.root(pull, np.concatenate([start.ravel(), np.ones(count)]), tol=1e-13)
    return solution.x[: count * d].reshape(count, d), solution.x[count * d :]


PAIR = np.array([[0.5, 0, 0], [-0.5, 0, 0]])
TRIANGLE = np.array([[0.6, 0, 0], [-0.3, 0.52, 0], [-0.3, -0.52, 0]])


@pytest.mark.parametrize(
    ("protons", "start"),
    [(PAIR, [[0.02, 0.01, 0.0]]), pytest.param(TRIANGLE, [[-0.1, 0.2, 0.0]], marks=pytest.mark.full)],
    ids=["pair", "triangle"],
)
def test_earnshaw_in_space(protons: np.ndarray, start: list[list[float]]) -> None:
    """Between two protons, and among three, an electron without force has a way down: −2λ a² Φ(0) is its Laplacian."""
    potential = charges.yukawa(3, 4.0, width=0.05)
    positions, own = stationary(potential, protons, np.array(start), False)
    found = charges.curvature(potential, protons, electrons=positions, electron_charges=own, train_charges=True)
    assert found.force_norm < 1e-9 and abs(own[0]) > 1e-3
    assert np.linalg.norm(positions[0] - protons, axis=1).min() > 0.3
    np.testing.assert_allclose(found.laplacians, -2 * 4.0 * own**2, rtol=1e-6)
    assert found.eigenvalues[0] <= -2 * 4.0 * own[0] ** 2 / 3 * (1 - 1e-6)
    down = positions + 1e-3 * found.descent
    before, after = (charges.loss(potential, protons, electrons=at, electron_charges=own) for at in (positions, down))
    assert after < before


@pytest.mark.full
def test_earnshaw_on_the_sphere() -> None:
    potential = charges.spherical_yukawa(3, 2.0, degree=150)
    protons = np.array([[1.0, 0, 0], [-0.5, np.sqrt(0.75), 0]])
    middle = np.array([[0.5, np.sqrt(0.75), 0.0]])
    positions, own = stationary(potential, protons, middle, True)
    found = charges.curvature(potential, protons, electrons=positions, electron_charges=own, train_charges=True)
    assert found.force_norm < 1e-9
    np.testing.assert_allclose(found.laplacians, -2 * 2.0 * own**2, rtol=1e-3)
    assert found.eigenvalues[0] < -1e-3 and len(found.eigenvalues) == 3  # two tangents and a charge


@pytest.mark.full
def test_other_potentials_have_bad_minima() -> None:
    """Negative control: with a Gaussian potential an electron rests between two protons that are close."""
    protons = np.array([[0.3, 2.0, 0], [-0.3, 2.0, 0]])
    positions, own = stationary(charges.POTENTIALS["cos"], protons, np.array([[0.01, 2.0, 0.0]]), False)
    found = charges.curvature("cos", protons, electrons=positions, electron_charges=own, train_charges=True)
    assert found.force_norm < 1e-9 and found.eigenvalues[0] > 1e-3
    assert charges.loss("cos", protons, electrons=positions, electron_charges=own) > 1e-3


def test_gradients_of_smeared_charges() -> None:
    potential, r, step = charges.yukawa(4, 1.0, width=0.2), np.array([[0.3, 0.1, 0.2, -0.4]]), 1e-5
    for k in range(4):
        shift = step * np.eye(4)[k]
        slope = (value(potential, r + shift, 0 * r) - value(potential, r - shift, 0 * r))[0, 0] / (2 * step)
        assert gradient(potential, r, 0 * r)[0, 0, k] == pytest.approx(slope, rel=1e-7)


def test_strong_screening_leaves_the_cloud() -> None:
    """λs² → ∞: Φ is the Gaussian of the smeared charge; e^(−λs²) is no number then."""
    r = np.array([0.0, 0.05, 0.2, 0.4])
    found = value(charges.yukawa(3, 1e9, width=0.1), at_distances(r), ORIGIN)[:, 0]
    np.testing.assert_allclose(found, np.exp(-(r**2) / 0.04), rtol=1e-5)
    powers = np.asarray(charges.spherical_yukawa(3, 1e6, degree=400).parameters)  # overflow without their sum
    k = np.arange(399)
    ratios = (k * (k + 1) + 1e6) / ((k + 1) * (k + 2))
    assert powers.sum() == pytest.approx(1, rel=1e-13) and np.isfinite(powers).all()
    np.testing.assert_allclose(powers[302:] / powers[300:-2], ratios[300:], rtol=1e-9)


def test_screened_charges_know_their_dimension() -> None:
    with pytest.raises(ValueError, match=r"`protons` must have 2 features, those of yukawa\(2, 1, width=0.1\), got 3"):
        charges.loss(charges.yukawa(2, 1.0), np.eye(3), electrons=np.eye(3))

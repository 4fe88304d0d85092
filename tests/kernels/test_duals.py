"""Closed forms against forty digits, over six decades of variance and to the ends of the correlations."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

from dyntheory.kernels import duals
from dyntheory.kernels.activations import Elementwise
from dyntheory.kernels.moments import Block
from tests.kernels.oracle_duals import CASES, slope

VARIANCES = ("1e-3", "1", "1e3")
CORRELATIONS = ("-1", "-0.99", "0", "0.3", "0.999999", "0.999999999999", "1")


def grid_of(variances: tuple[str, ...]) -> list[tuple[Any, Any, Any]]:
    points = itertools.product(variances, variances, CORRELATIONS)
    return [(mp.mpf(v1), mp.mpf(v2), mp.mpf(rho)) for v1, v2, rho in points]


def block_of(grid: list[tuple[Any, Any, Any]]) -> Block:
    """Round the exact moments to float64, each once."""
    columns = [
        [v1 for v1, _, _ in grid],
        [v2 for _, v2, _ in grid],
        [rho * mp.sqrt(v1 * v2) for v1, v2, rho in grid],
        [(1 - rho) * mp.sqrt(v1 * v2) for v1, v2, rho in grid],
    ]
    left, right, cov, excess = (jnp.asarray(np.array(column, dtype=float)) for column in columns)
    return Block(left, right, cov, excess, ntk=jnp.ones_like(cov))


def check_to_twelve_digits(name: str, variances: tuple[str, ...]) -> None:
    case, grid = CASES[name], grid_of(variances)
    found = case.layer._block(block_of(grid))
    own = {v: (case.cov(v, v, mp.mpf(1)), slope(case, v, v, mp.mpf(1))) for v in map(mp.mpf, variances)}
    for point, cov, ntk, excess in zip(grid, found.cov, found.ntk, found.excess, strict=True):
        size, steep = (mp.sqrt(a * b) for a, b in zip(own[point[0]], own[point[1]], strict=True))
        exact = case.cov(*point)
        assert abs(float(cov) - exact) <= 1e-12 * size, (name, point)
        assert abs(float(ntk) - slope(case, *point)) <= 1e-12 * steep, (name, point)
        assert abs(float(excess) - (size - exact)) <= 1e-12 * size, (name, point)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("name", sorted(CASES))
def test_closed_forms_to_twelve_digits(name: str) -> None:
    check_to_twelve_digits(name, VARIANCES)


@pytest.mark.full
@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("name", sorted(CASES))
def test_closed_forms_to_twelve_digits_on_a_finer_grid(name: str) -> None:
    check_to_twelve_digits(name, ("1e-3", "1e-2", "0.1", "0.3", "1", "2", "17", "1e2", "1e3"))


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("name", ["relu", "leaky_relu", "abs", "sign", "rbf"])
def test_excess_keeps_its_relative_accuracy_near_coincidence(name: str) -> None:
    """What keeps small angles right through depth; the definition √(v₁v₂) − c has no digit left here."""
    case = CASES[name]
    grid = [(mp.mpf(v), mp.mpf(v), 1 - mp.mpf(small)) for v in VARIANCES for small in ("1e-4", "1e-10", "1e-20")]
    block = block_of(grid)
    found = case.layer._block(block)
    for point, excess in zip(grid, found.excess, strict=True):
        exact = case.cov(point[0], point[1], mp.mpf(1)) - case.cov(*point)
        angle = mp.sqrt(2 * (1 - point[2]))
        assert abs(float(excess) / exact - 1) < 1e-12 + 4e-16 / angle, point


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("name", ["relu", "leaky_relu", "abs", "sign"])
def test_opposite_units_are_told_from_rounding(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """√v₁√v₂ + c is a rounding of zero there, whose square root would be the angle's error (control)."""
    variances = tuple(str(variance) for variance in np.geomspace(1e-3, 1e3, 13))
    grid = [(mp.mpf(v1), mp.mpf(v2), mp.mpf(-1)) for v1 in variances for v2 in variances]
    case, field = CASES[name], "cov" if name == "sign" else "ntk"  # no tangent kernel passes through a sign
    exact = np.array([float(case.cov(*point) if name == "sign" else slope(case, *point)) for point in grid])
    np.testing.assert_allclose(getattr(case.layer._block(block_of(grid)), field), exact, atol=1e-15)
    monkeypatch.setattr(duals, "OPPOSITE", 0)
    assert np.abs(getattr(case.layer._block(block_of(grid)), field) - exact).max() > 1e-9


def test_the_textbook_form_would_fail() -> None:
    """Negative control: arccos(c) in float64 misses half of the digits of the angle at 1 − 1e-12."""
    rho = 1 - 1e-12
    exact = mp.acos(1 - mp.mpf("1e-12"))
    assert abs(np.arccos(rho) - exact) / exact > 1e-6


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("name", sorted(CASES))
def test_moments_of_one_input_are_the_diagonal(name: str) -> None:
    layer: Elementwise = CASES[name].layer
    variance = jnp.asarray([0.0, 1e-3, 1.0, 50.0])
    diagonal = layer._block(Block(variance, variance, variance, jnp.zeros(4), ntk=variance))
    np.testing.assert_allclose(diagonal.cov, diagonal.left, rtol=1e-14)
    np.testing.assert_array_equal(diagonal.excess, 0.0)
    assert diagonal.ntk is not None and bool(jnp.all(jnp.isfinite(diagonal.ntk)))


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(
    "name",
    [name if name in ("relu", "sign", "gelu", "rbf") else pytest.param(name, marks=pytest.mark.full) for name in CASES],
)
def test_gradients_are_finite_at_the_edges(name: str) -> None:
    layer: Elementwise = CASES[name].layer

    def total(left: jax.Array, right: jax.Array, cov: jax.Array, excess: jax.Array) -> jax.Array:
        after = layer._block(Block(left, right, cov, excess, ntk=jnp.ones_like(cov)))
        assert after.ntk is not None
        return jnp.sum(after.cov + after.ntk + after.excess)

    moments = block_of(
        [*((mp.mpf(1), mp.mpf(1), mp.mpf(rho)) for rho in (-1, 0, 1)), (mp.mpf(0), mp.mpf(0), mp.mpf(0))]
    )
    gradients = jax.jit(jax.grad(total, argnums=(0, 1, 2, 3)))(moments.left, moments.right, moments.cov, moments.excess)
    assert all(bool(jnp.all(jnp.isfinite(gradient))) for gradient in gradients)


@pytest.mark.parametrize("name", sorted({*CASES} - {"exp"}))
def test_single_precision_keeps_its_digits_at_large_inputs(name: str) -> None:
    """Moments up to 10⁸, as of features that are not standardised; between opposite inputs the moments' own rounding
    decides."""
    layer: Elementwise = CASES[name].layer
    sizes = ("1", "1e3") if name in ("monomial", "polynomial", "hermite") else ("1", "1e3", "1e6", "1e8")
    block = block_of([point for point in grid_of(sizes) if point[2] > -1])
    single = jax.tree.map(lambda moment: jnp.asarray(moment, jnp.float32), block)
    found = layer._block(single)
    with jax.enable_x64(True):
        exact = layer._block(jax.tree.map(lambda moment: jnp.asarray(np.asarray(moment, float)), single))
    for here, there in ((found.cov, exact.cov), (found.ntk, exact.ntk)):
        assert here is not None and here.dtype == jnp.float32
        assert there is not None and there.dtype == jnp.float64
        np.testing.assert_allclose(
            np.asarray(here), np.asarray(there), rtol=1e-4, atol=1e-6 * np.max(np.abs(np.asarray(there)))
        )

"""The law of Marchenko and Pastur: its rule, moments, transform and density, c = 1 and the atom included."""

from typing import Any

import jax
import mpmath as mp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dyntheory.closed_forms import marchenko_pastur
from dyntheory.ground.precision import double_precision
from tests.closed_forms import references

NEAR_ONE = st.tuples(st.sampled_from([-1.0, 1.0]), st.floats(-15.5, -1.0)).map(lambda pair: 1 + pair[0] * 10 ** pair[1])
RATIOS = st.one_of(st.floats(-5, 5).map(lambda e: float(10.0**e)), NEAR_ONE, st.just(1.0))
sampled = settings(max_examples=60, deadline=None, derandomize=True)


def _exact_moment(order: int, ratio: float) -> Any:
    with mp.workdps(60):
        c = mp.mpf(ratio)
        return mp.fsum(c**r / (r + 1) * mp.binomial(order, r) * mp.binomial(order - 1, r) for r in range(max(order, 1)))


@sampled
@given(ratio=RATIOS)
@example(ratio=1.0)
def test_gauss_rule_is_exact_at_every_ratio(ratio: float) -> None:
    rule = marchenko_pastur.quadrature(7, ratio)
    for order in range(14):
        found = np.sum(rule.weights * rule.nodes**order) + (rule.atom if order == 0 else 0.0)
        np.testing.assert_allclose(found, float(_exact_moment(order, ratio)), rtol=1e-12)
        np.testing.assert_allclose(
            float(marchenko_pastur.moment(order, ratio)), float(_exact_moment(order, ratio)), rtol=1e-13
        )
    low, high = marchenko_pastur.edges(ratio)
    assert np.all(np.diff(rule.nodes) > 0) and np.all(rule.weights > 0)
    assert low < rule.nodes[0] and rule.nodes[-1] < high


def test_degree_2n_is_beyond_the_rule_by_the_norm_of_the_next_polynomial() -> None:
    """The rule is Gauss's and nothing more: what it misses of h^{2N} is c^N."""
    rule = marchenko_pastur.quadrature(4, 0.5)
    missed = marchenko_pastur.moment(8, 0.5) - np.sum(rule.weights * rule.nodes**8)
    np.testing.assert_allclose(missed, 0.5**4, rtol=1e-9)


def test_trapezoid_rule_in_the_angle_misses_the_end_point_at_one() -> None:
    """Negative control of the pitfall: 1e-3 of the mass at c = 1 with 1000 nodes, where Gauss's rule has none."""
    angle = np.arange(1, 1001) * np.pi / 1001
    trapezoid = np.sum(2 / 1001 * np.sin(angle) ** 2 / (4 * np.cos(angle / 2) ** 2))
    assert abs(trapezoid - 1) > 5e-4
    assert abs(np.sum(marchenko_pastur.quadrature(1000, 1.0).weights) - 1) < 1e-13


def test_rule_is_that_of_golub_and_welsch() -> None:
    """Eigenvalues of the Jacobi matrix with a₀ = 1, a_k = 1 + c, b_k = √c."""
    for ratio in (0.3, 1.0):
        matrix = np.diag([1.0] + [1 + ratio] * 24) + np.sqrt(ratio) * (np.eye(25, k=1) + np.eye(25, k=-1))
        values, vectors = np.linalg.eigh(matrix)
        rule = marchenko_pastur.quadrature(25, ratio)
        np.testing.assert_allclose(rule.nodes, values, atol=1e-13)
        np.testing.assert_allclose(rule.weights, vectors[0] ** 2, atol=1e-14)


@sampled
@given(ratio=RATIOS, penalty=st.floats(-60, 20).map(lambda e: 10**e))
def test_stieltjes_keeps_its_digits(ratio: float, penalty: float) -> None:
    with mp.workdps(400):
        exact = references.stieltjes(mp.mpf(penalty), mp.mpf(ratio))
        found = float(marchenko_pastur.stieltjes(penalty, ratio))
    np.testing.assert_allclose(found, float(exact), rtol=1e-10)


def test_stieltjes_is_the_integral_with_the_atom() -> None:
    for ratio in (0.4, 1.0, 3.0):
        rule = marchenko_pastur.quadrature(200, ratio)
        total = np.sum(rule.weights / (rule.nodes + 0.7)) + rule.atom / 0.7
        np.testing.assert_allclose(marchenko_pastur.stieltjes(0.7, ratio), total, rtol=1e-13)
    without = np.sum(rule.weights / (rule.nodes + 0.7))
    assert abs(without / marchenko_pastur.stieltjes(0.7, 3.0) - 1) > 0.1  # the atom is not small
    assert (
        marchenko_pastur.stieltjes(0.0, 0.25) == 1 / 0.75
        and np.isinf(marchenko_pastur.stieltjes(0.0, [1.0, 2.0])).all()
    )


@pytest.mark.parametrize("ratio", [0.3, 1.0, 2.5])
def test_density_integrates_to_the_continuous_mass(ratio: float) -> None:
    low, high = marchenko_pastur.edges(ratio)
    angle = (np.arange(4000) + 0.5) * np.pi / 4000
    points = (low + high) / 2 - (high - low) / 2 * np.cos(angle)
    total = np.sum(marchenko_pastur.density(points, ratio) * np.sin(angle)) * np.pi / 4000 * (high - low) / 2
    np.testing.assert_allclose(total, 1 - marchenko_pastur.atom(ratio), rtol=1e-6)
    assert not np.any(marchenko_pastur.density([-1.0, high + 1e-3], ratio))
    exact = mp.sqrt((mp.mpf(float(high)) - 1) * (1 - mp.mpf(float(low)))) / (2 * mp.pi * mp.mpf(ratio))
    np.testing.assert_allclose(marchenko_pastur.density(1.0, ratio), float(exact), rtol=1e-13)


def test_spectrum_of_a_matrix_follows_the_law() -> None:
    """The fifth moment of XᵀX/n over 40 draws of 300 × 150, as a z-score with a finite-size allowance of 1/d."""
    rng, moments = np.random.default_rng(5), []
    for _ in range(40):
        x = rng.normal(size=(300, 150))
        moments.append(np.mean(np.linalg.eigvalsh(x.T @ x / 300) ** 5))
    mean, error = np.mean(moments), np.std(moments, ddof=1) / np.sqrt(40)
    exact = float(marchenko_pastur.moment(5, 0.5))
    assert error / exact < 0.01
    assert abs(mean - exact) < 4 * error + exact / 150


def test_nodes_and_weights_have_derivatives() -> None:
    """d/dc of ∫h³ = 1 + 3c + c² is 3 + 2c, through nodes and weights."""

    def third(ratio: jax.Array) -> jax.Array:
        rule = marchenko_pastur.quadrature(4, ratio)
        return (rule.weights * rule.nodes**3).sum()

    with double_precision():
        for ratio in (0.5, 2.0):
            np.testing.assert_allclose(jax.jit(jax.grad(third))(ratio), 3 + 2 * ratio, rtol=1e-12)


def test_ratios_that_make_no_sense_are_refused() -> None:
    for call in (marchenko_pastur.edges, marchenko_pastur.atom):
        with pytest.raises(ValueError, match="d/n"):
            call(0.0)
    with pytest.raises(ValueError, match="penalty"):
        marchenko_pastur.stieltjes(-1.0, 0.5)
    with pytest.raises(TypeError, match="order"):
        marchenko_pastur.moment(1.5, 0.5)  # pyright: ignore[reportArgumentType]

"""Averages of units: closed forms against the same written index by index, Monte Carlo, exact orthants, nodes."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import erf
from scipy.stats import multivariate_normal

from dyntheory.flows.online import relu_integrals
from dyntheory.flows.online.closed import Integrals, integrals
from dyntheory.flows.online.units import ERF, LINEAR, RELU, family_of, scaled_erf, teacher_units
from dyntheory.ground.precision import double_precision
from dyntheory.problem.laws.links import LINKS
from tests.flows.online import saad_solla

K, M = 2, 5
RANDOM = np.random.default_rng(3)
ROOT = RANDOM.normal(size=(M, M)) / 2
COV = ROOT @ ROOT.T + 0.2 * np.eye(M)
SCALES = np.array([0.8, 0.8, 1.3, 1.3, 1.3])
POINTS = np.random.default_rng(4).normal(size=(60_000, M)) @ np.linalg.cholesky(COV).T


@functools.partial(jax.jit, static_argnums=(0, 1))
def _compiled(kind: str, scales: tuple[float, ...], cov: jax.Array) -> Integrals:
    return integrals(kind, np.array(scales), cov, K)


def _found(kind: str, cov: np.ndarray = COV, scales: np.ndarray = SCALES) -> Integrals:
    with double_precision():
        found = _compiled(kind, tuple(scales), jnp.asarray(cov))
        return Integrals(*map(np.asarray, found))  # pyright: ignore[reportArgumentType]


def _units(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Values and slopes of all units at the points."""
    if kind == ERF:
        inner = SCALES * POINTS
        return erf(inner), SCALES * 2 / np.sqrt(np.pi) * np.exp(-(inner**2))
    return (np.maximum(POINTS, 0), 1.0 * (POINTS > 0)) if kind == RELU else (POINTS, np.ones_like(POINTS))


def _scores(kind: str, found: Integrals) -> np.ndarray:
    """z-scores of Monte Carlo estimates of every integral."""
    values, slopes = _units(kind)
    pairs = []
    for a in range(M):
        for b in range(M):
            pairs.append((values[:, a] * values[:, b], found.second[a, b]))
            for i in range(K):
                pairs.append((slopes[:, i] * POINTS[:, a] * values[:, b], found.third[i, a, b]))
                for j in range(K):
                    four = slopes[:, i] * slopes[:, j] * values[:, a] * values[:, b]
                    pairs.append((four, found.fourth[i, j, a, b]))
    for i in range(K):
        pairs.append((slopes[:, i] * slopes[:, 1 - i], found.slopes[i, 1 - i]))
    spread = [(sample.mean() - exact, sample.std() / np.sqrt(len(sample))) for sample, exact in pairs]
    return np.array([off / bar if bar > 1e-12 else off / 1e-12 for off, bar in spread])


@pytest.mark.parametrize("kind", [ERF, RELU, LINEAR])
def test_closed_forms_are_averages(kind: str) -> None:
    scores = _scores(kind, _found(kind))
    assert len(scores) > 150 and np.abs(scores).max() < 4.5
    assert np.sqrt(np.mean(scores**2)) < 1.6, "they are correlated"


@pytest.mark.parametrize("kind", [ERF, RELU])
def test_an_index_exchanged_is_seen(kind: str) -> None:
    """Negative control."""
    found = _found(kind)
    wrong = found._replace(third=np.swapaxes(found.third, 1, 2))
    assert np.abs(_scores(kind, wrong)).max() > 20


def test_erf_index_by_index() -> None:
    found = _found(ERF, scales=np.full(M, 2**-0.5))
    for i in range(K):
        for a in range(M):
            for b in range(M):
                np.testing.assert_allclose(found.third[i, a, b], saad_solla.third(COV, i, a, b), rtol=1e-12)
                for j in range(K):
                    exact = saad_solla.fourth(COV, i, j, a, b)
                    np.testing.assert_allclose(found.fourth[i, j, a, b], exact, rtol=1e-11, atol=1e-15)


def test_orthants_of_four_variables() -> None:
    with double_precision():
        for corr, exact in ((0.5, 0.2), (0.0, 1 / 16), (1.0, 0.5)):
            cov = jnp.asarray(np.full((4, 4), corr) + (1 - corr) * np.eye(4))
            np.testing.assert_allclose(relu_integrals.orthant_probability(cov), exact, rtol=1e-12)
        part = COV[:4, :4]
        precise: dict[str, Any] = {"abseps": 1e-7, "releps": 1e-7, "maxpts": 10**6, "seed": 0}
        normal: Any = multivariate_normal
        exact = normal(np.zeros(4), part, **precise).cdf(np.zeros(4))  # itself known to 1e-7
        np.testing.assert_allclose(relu_integrals.orthant_probability(jnp.asarray(part)), exact, rtol=2e-5)


@pytest.mark.parametrize("distance", [0.0, 1e-9, 1e-7, 1e-5])
def test_rectifiers_that_almost_coincide(distance: float) -> None:
    """Units 1 and 2 become one: all integrals go to those of the smaller problem."""
    root = ROOT.copy()
    root[2] = root[1] + distance * RANDOM.normal(size=M)
    found, units = _found(RELU, root @ root.T), [0, 1, 1, 3, 4]
    clean = ROOT[units]
    limit = _found(RELU, clean @ clean.T)
    for name in Integrals._fields:
        np.testing.assert_allclose(getattr(found, name), getattr(limit, name), atol=3e-6 + 10 * distance)


def test_what_is_known_and_what_is_not() -> None:
    family = family_of(scaled_erf(0.5))
    assert family is not None and family.scale == 0.5
    assert family_of(np.tanh) is None and family_of(scaled_erf(0.5).function) is not None
    assert teacher_units(LINKS["probit"], 1) is None and teacher_units(LINKS["sin"], 2) is None
    known = teacher_units(LINKS["relu"], 4)
    assert known is not None and known[1] == (0.5,) * 4

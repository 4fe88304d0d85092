"""What is known of the covariance: eigenvalues by shrinkage, and that other knowledge changes little."""

import numpy as np
import pytest

import dyntheory as dt
from dyntheory.problem.laws.rows import standardised
from dyntheory.verbs.estimation.covariance import shrunk_eigenvalues
from tests.verbs.estimation.runs import KEY, data, network


@pytest.mark.parametrize("shape", [(200, 100), (80, 160)])
def test_shrinkage_brings_white_eigenvalues_together(shape):
    rows, _ = standardised(np.random.default_rng(0).standard_normal(shape))
    raw = np.linalg.svd(rows, compute_uv=False) ** 2 / shape[0]
    raw = np.concatenate([raw, np.zeros(shape[1] - len(raw))])
    found = shrunk_eigenvalues(rows)
    assert found.mean() == pytest.approx(1.0) and (found > 0).all()
    assert found.std() < 0.35 * raw.std()


@pytest.mark.parametrize(
    "covariance",
    [pytest.param("shrinkage", marks=pytest.mark.full), np.linspace(0.5, 1.5, 9), "spectrum", "pool"],
)
def test_other_ways_to_know_the_covariance_are_near(covariance):
    rows, labels = data(150, 30)
    given = {"spectrum": dt.spectra.Spectrum([1.0]), "pool": data(2000, 30, seed=4)[0]}
    given = given.get(covariance, covariance) if isinstance(covariance, str) else covariance
    found = dt.estimate(rows, labels, network(), num_steps=8, key=KEY, covariance=given)
    sample = dt.estimate(rows, labels, network(), num_steps=8, key=KEY)
    np.testing.assert_allclose(found.test_error, sample.test_error, rtol=0.06)


def test_of_eigenvalues_the_ratios_count() -> None:
    """Columns have variance one inside: eigenvalues in other units gave 2e138 for .33 with status ok."""
    rows, labels = data(60, 12)
    values = np.linspace(0.5, 1.5, 12)
    for kind in (np.asarray, dt.spectra.Spectrum):
        one, other = (
            dt.estimate(rows * scale, labels, network(), num_steps=4, key=KEY, covariance=kind(values * scale**2))
            for scale in (1, 7)
        )
        np.testing.assert_allclose(one.test_error, other.test_error, rtol=1e-9)

"""The estimation error and its bar: honest against the state evolution of LASSO-AMP, kept in files."""

import dataclasses
import functools
from pathlib import Path

import jax
import numpy as np
import pytest

import dyntheory as dt
from tests.problem.methods.test_amp import ALPHA, KAPPA, SIGMA, SPARSE, lasso_state_evolution

STEPS, SEEDS = 10, range(6)
AMP = dt.lasso_amp(KAPPA)


@functools.cache
def _z_scores(method: str) -> np.ndarray:
    """Return (predicted − exact)/bar for every seed and step."""
    used = AMP if method == "amp" else dataclasses.replace(AMP, after_features=lambda shared, stats: shared)
    exact, scores = lasso_state_evolution(STEPS), []
    for seed in SEEDS:
        theory = dt.predict(SPARSE, used, num_steps=STEPS, key=jax.random.key(seed), num_nodes=2**13)
        assert theory.estimation_error is not None
        bar = theory.standard_error and theory.standard_error.estimation_error
        assert bar is not None and np.all(bar < 0.03 * exact if method == "amp" else bar > 0)
        scores.append((theory.estimation_error - exact) / bar)
    return np.stack(scores)


def test_bars_of_a_prediction_are_honest() -> None:
    scores = np.abs(_z_scores("amp"))
    assert np.mean(scores < 2) >= 0.95
    assert scores.max() < 5


def test_the_same_bars_refuse_amp_without_its_onsager_term() -> None:
    assert np.abs(_z_scores("without onsager"))[:, 3:].min() > 5


@pytest.mark.full
def test_bars_of_runs_are_honest(key: jax.Array) -> None:
    """Single groups of four runs miss the exact value as often as Student's t with three degrees of freedom says."""
    exact, scores = lasso_state_evolution(STEPS), []
    runs = dt.simulate(SPARSE, AMP, num_steps=STEPS, num_features=4000, num_runs=40, matrix="revealed", key=key)
    assert runs.per_run is not None and runs.per_run.estimation_error is not None
    single = runs.per_run.estimation_error
    for group in np.split(single, 10):
        scores.append((group.mean(axis=0) - exact) / (group.std(axis=0, ddof=1) / 2))
    assert np.mean(np.abs(scores) < 3.18) > 0.88
    assert runs.standard_error is not None
    bar = np.asarray(runs.standard_error.estimation_error)
    np.testing.assert_allclose(bar, single.std(axis=0, ddof=1) / np.sqrt(40), rtol=1e-10)
    assert np.all(np.abs(np.asarray(runs.estimation_error) - exact) < 4 * bar)
    np.testing.assert_allclose(np.asarray(runs.estimation_error) + SIGMA**2, runs.test_error, rtol=1e-10)


@pytest.mark.full
def test_it_is_kept_in_files_and_rows(tmp_path: Path, key: jax.Array) -> None:
    for result in (
        dt.predict(SPARSE, AMP, num_steps=2, key=key, num_nodes=2**11),
        dt.simulate(SPARSE, AMP, num_steps=2, num_features=200, num_runs=3, key=key),
    ):
        loaded = dt.load(result.save(tmp_path / "a.nc", force=True))
        for ours, theirs in ((result, loaded), (result.standard_error, loaded.standard_error)):
            assert ours is not None and theirs is not None
            np.testing.assert_array_equal(ours.estimation_error, theirs.estimation_error)
        row = result.at(2)
        assert row["estimation_error"] == np.asarray(result.estimation_error)[2]
        assert 0 < row["estimation_error_standard_error"] < row["estimation_error"]


@pytest.mark.full
def test_it_is_none_where_there_is_nothing_to_subtract(key: jax.Array) -> None:
    method = dt.gradient_descent(dt.MLP((2,)), learning_rate=0.1)
    theory = dt.predict(dt.TeacherStudent(ALPHA), method, num_steps=1, key=key, num_nodes=2**11)
    runs = dt.simulate(dt.TeacherStudent(ALPHA), method, num_steps=1, num_features=20, num_runs=2, key=key)
    assert theory.estimation_error is None and runs.estimation_error is None
    assert "estimation_error" not in theory.at(1)

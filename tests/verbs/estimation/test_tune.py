"""Choosing by the estimate, and the forms that scikit-learn knows."""

import importlib
import re

import jax
import numpy as np
import optax
import pytest

import dyntheory as dt
from tests import ROOT

KEY = jax.random.key(2)


def data(n=120, d=40, *, noise=1.0, seed=0):
    random = np.random.default_rng(seed)
    rows = random.standard_normal((n, d))
    return rows, rows @ np.ones(d) / d**0.5 + noise * random.standard_normal(n)


def linear(rate):
    return dt.gradient_descent(dt.LinearModel(), optax.sgd, learning_rate=rate)


def test_the_choice_is_the_smallest_and_its_luck_is_taken_off():
    rows, labels = data()
    found = dt.tune(rows, labels, {"slow": linear(0.01), "fast": linear(0.3)}, num_steps=25, key=KEY)
    assert found.best.name == "fast" and found.candidates[1].name == "slow"
    assert found.best.value == found.trajectories["fast"].test_error.min()
    assert found.best.step == found.trajectories["fast"].best_step
    assert found.expected > found.best.value and "choose fast" in str(found)


def test_expected_error_is_less_biased_than_the_smallest_one():
    rates = {f"{rate}": linear(rate) for rate in (0.1, 0.2, 0.3, 0.4)}
    gaps = []
    for seed in range(20):
        rows, labels = data(40, 20, noise=2.0, seed=seed)
        tested, truth = data(3000, 20, noise=2.0, seed=1000 + seed)
        found = dt.tune(rows, labels, rates, num_steps=15, key=jax.random.key(seed), num_resamples=60)
        method = rates[found.best.name]
        live = dt.estimate(rows, labels, method, num_steps=15, key=jax.random.key(seed), test_data=(tested, truth))
        assert live.held_out_error is not None
        true = live.held_out_error[found.best.step]
        gaps.append((found.best.value - true, found.expected - true))
    chosen, expected = np.array(gaps).T
    error = expected.std() / np.sqrt(len(gaps))
    assert chosen.mean() < expected.mean()
    assert abs(expected.mean()) < 3.5 * error


def test_candidates_are_checked():
    rows, labels = data()
    with pytest.raises(TypeError, match="must hold a method"):
        dt.tune(rows, labels, [], num_steps=3, key=KEY)
    with pytest.raises(ValueError, match="metric"):
        dt.tune(rows, labels, [linear(0.1)], num_steps=3, key=KEY, metric="train_error")


def test_regressor_and_classifier_stop_by_the_estimate():
    rows, labels = data(150, 20, noise=0.5)
    model = dt.estimators.NetworkRegressor((2,), num_steps=12).fit(rows, labels)
    assert 0 < model.n_iter_ <= 12 and model.score(*data(500, 20, noise=0.5, seed=0)) > 0.3
    last = dt.estimators.NetworkRegressor((2,), num_steps=12, early_stopping=None).fit(rows, labels)
    assert last.n_iter_ == 12
    words = np.where(labels > 0.5, "high", np.where(labels < -0.5, "low", "middle"))
    classifier = dt.estimators.NetworkClassifier((2,), num_steps=12).fit(rows, words)
    chances = classifier.predict_proba(rows[:5])
    np.testing.assert_allclose(chances.sum(axis=1), 1.0)
    assert classifier.score(rows, words) > 0.5


@pytest.mark.full
@pytest.mark.parametrize("name", ["NetworkRegressor", "NetworkClassifier"])
def test_estimators_are_scikit_learns(name):
    from sklearn.exceptions import SkipTestWarning
    from sklearn.utils.estimator_checks import check_estimator

    with pytest.warns(SkipTestWarning):
        results = check_estimator(getattr(dt.estimators, name)(num_steps=30), on_fail=None)
    assert len(results) > 40
    assert not [one["check_name"] for one in results if one["status"] == "failed"]


def directions():
    """Return z-scores of the coordinates of w* over four runs, how many their intervals hold, errors of the overlap."""
    method = dt.gradient_descent(dt.MLP((3,)), optax.sgd, learning_rate=0.3)
    head = {"layer_2": {"weights": np.array([[0.8, -0.5, 0.6]])}}
    scores, held, gaps = [], [], []
    for seed in range(4):
        random = np.random.default_rng(seed)
        rows, teacher = random.standard_normal((400, 200)), random.standard_normal(200)
        teacher /= np.sqrt(np.mean(teacher**2))
        labels = np.tanh(rows @ teacher / 200**0.5) + 0.3 * random.standard_normal(400)
        options = {"num_steps": 8, "key": jax.random.key(seed), "head": head}
        found = dt.teacher_direction(rows, labels, method, **options)
        scores.append((found.direction - teacher) / found.standard_error)
        held.append((found.interval[:, 0] < teacher) & (teacher < found.interval[:, 1]))
        gaps.append(found.overlap - np.corrcoef(teacher, found.direction)[0, 1])
    return np.concatenate(scores), np.mean(held), np.abs(gaps).max()


def test_intervals_hold_the_teacher():
    scores, held, gap = directions()
    assert gap < 0.12
    assert abs(scores.mean()) < 4 / np.sqrt(scores.size)
    assert scores.std() == pytest.approx(1.0, abs=0.1)
    assert 0.92 < held < 0.97


def test_without_the_network_s_own_part_they_do_not(monkeypatch):
    module = importlib.import_module("dyntheory.verbs.estimation.teacher_direction")
    honest = module.run_responses

    def forgetful(*arguments):
        found = honest(*arguments)
        return found._replace(residual=0.0 * found.residual)

    monkeypatch.setattr(module, "run_responses", forgetful)
    jax.clear_caches()
    *_, gap = directions()
    assert gap > 0.15


def test_an_even_link_shows_no_direction():
    random = np.random.default_rng(0)
    rows = random.standard_normal((200, 100))
    labels = random.standard_normal(200)
    with pytest.raises(ValueError, match="No direction is seen"):
        dt.teacher_direction(rows, labels, linear(0.1), num_steps=1, key=KEY, weights=np.zeros((100, 1)))


@pytest.mark.full
def test_the_documented_example_runs(tmp_path, monkeypatch):
    code = re.findall(r"```python\n(.*?)```", (ROOT / "docs/estimate.md").read_text(), flags=re.S)
    monkeypatch.chdir(tmp_path)
    exec("\n".join(code), {})
    assert (tmp_path / "live.png").exists()

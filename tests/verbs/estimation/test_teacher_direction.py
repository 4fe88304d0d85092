"""The direction behind the labels: intervals that hold it, and none where there is none to see."""

import importlib

import jax
import numpy as np
import optax
import pytest

import dyntheory as dt


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


@pytest.mark.full
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
    method = dt.gradient_descent(dt.LinearModel(), optax.sgd, learning_rate=0.1)
    with pytest.raises(ValueError, match="No direction is seen"):
        dt.teacher_direction(rows, labels, method, num_steps=1, key=jax.random.key(2), weights=np.zeros((100, 1)))


def test_an_explosion_shows_no_direction():
    """In it the ratio of signal to noise is without bound, and the intervals hold no coordinate."""
    random = np.random.default_rng(3)
    rows, teacher = random.standard_normal((150, 30)), random.standard_normal(30)
    teacher /= np.sqrt(np.mean(teacher**2))
    labels = np.tanh(rows @ teacher / 30**0.5) + 0.3 * random.standard_normal(150)
    method = dt.gradient_descent(dt.MLP((3, 3), use_bias=True), optax.sgd, learning_rate=8.0)
    with pytest.warns(dt.DyntheoryWarning, match="only the steps before are used"):
        found = dt.teacher_direction(rows, labels, method, num_steps=8, key=jax.random.key(3))
    assert np.mean((found.interval[:, 0] < teacher) & (teacher < found.interval[:, 1])) > 0.8
    assert found.step < 4 and found.standard_error > 0.2
    with pytest.raises(ValueError, match="`labels` must vary"):
        dt.teacher_direction(rows, np.ones(150), method, num_steps=3, key=jax.random.key(3))

"""Choosing by the estimate."""

import re

import jax
import numpy as np
import optax
import pytest

import dyntheory as dt
from tests import ROOT
from tests.verbs.estimation.runs import linear_data

KEY = jax.random.key(2)


def linear(rate):
    return dt.gradient_descent(dt.LinearModel(), optax.sgd, learning_rate=rate)


def test_the_choice_is_the_smallest_and_its_luck_is_taken_off():
    rows, labels = linear_data()
    found = dt.tune(rows, labels, {"slow": linear(0.01), "fast": linear(0.3)}, num_steps=25, key=KEY)
    assert found.best.name == "fast" and found.candidates[1].name == "slow"
    assert found.best.value == found.trajectories["fast"].test_error.min()
    assert found.best.step == found.trajectories["fast"].best_step
    assert found.expected > found.best.value and "choose fast" in str(found)


@pytest.mark.full
def test_expected_error_is_less_biased_than_the_smallest_one():
    rates = {f"{rate}": linear(rate) for rate in (0.1, 0.2, 0.3, 0.4)}
    gaps = []
    for seed in range(20):
        rows, labels = linear_data(40, 20, noise=2.0, seed=seed)
        tested, truth = linear_data(3000, 20, noise=2.0, seed=1000 + seed)
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


def test_an_explosion_is_never_chosen():
    random = np.random.default_rng(0)
    rows = random.standard_normal((1080, 20))
    labels = np.tanh(rows @ random.standard_normal(20) / 20**0.5) + 0.3 * random.standard_normal(1080)
    network = dt.MLP((3, 3), use_bias=True)
    rates = {f"{rate:g}": dt.gradient_descent(network, optax.sgd, learning_rate=rate) for rate in (0.3, 1.0, 2.0, 4.0)}
    with pytest.warns(dt.DyntheoryWarning, match=r"2 of 4 candidates.*2: unresolved.*4: diverged"):
        found = dt.tune(rows[:80], labels[:80], rates, num_steps=12, key=jax.random.key(0), num_resamples=50)
    assert found.best.name == "1" and 0 < found.best.value < found.expected < 1
    steps = {one.name: one.step for one in found.candidates}
    assert all(steps[name] < (found.trajectories[name].status.step or 0) for name in ("2", "4"))
    assert all(one.value > 0 for one in found.candidates)


def test_candidates_are_checked():
    rows, labels = linear_data()
    with pytest.raises(TypeError, match="must hold a method"):
        dt.tune(rows, labels, [], num_steps=3, key=KEY)
    with pytest.raises(ValueError, match="metric"):
        dt.tune(rows, labels, [linear(0.1)], num_steps=3, key=KEY, metric="train_error")


@pytest.mark.full
def test_the_documented_example_runs(tmp_path, monkeypatch):
    code = re.findall(r"```python\n(.*?)```", (ROOT / "docs/estimate.md").read_text(), flags=re.S)
    monkeypatch.chdir(tmp_path)
    exec("\n".join(code), {})
    assert (tmp_path / "live.png").exists()

"""One step of one unit by quadrature, against actual gradient descent on actual matrices."""

import functools
from collections.abc import Callable

import numpy as np
import pytest

from . import one_step
from .gaussian import Array

ALPHA, RATE, NOISE, OVERLAP, HEAD = 2.0, 0.8, 0.3, 0.3, 0.9
LINKS = {"exp_half": lambda z: np.exp(z / 2), "sign": np.sign}


def _exact(link: Callable[[Array], Array]) -> one_step.OneStep:
    return one_step.solve(HEAD, link, alpha=ALPHA, learning_rate=RATE, noise_std=NOISE, teacher_overlap=OVERLAP)


def _train_once(link: Callable[[Array], Array], random: np.random.Generator, num_features: int) -> list[float]:
    """Return train and test error, overlap with the teacher, squared weight and head after one step."""
    num_samples = int(ALPHA * num_features)
    inputs, fresh = (random.standard_normal((num_samples, num_features)) / np.sqrt(num_features) for _ in range(2))
    teacher = random.standard_normal(num_features)
    weights = OVERLAP * teacher + np.sqrt(1 - OVERLAP**2) * random.standard_normal(num_features)
    labels = link(inputs @ teacher) + NOISE * random.standard_normal(num_samples)
    h = inputs @ weights
    residual = HEAD * np.tanh(h) - labels
    head = HEAD - RATE * np.mean(residual * np.tanh(h))
    weights = weights - RATE / ALPHA * inputs.T @ (residual * HEAD / np.cosh(h) ** 2)
    train = np.mean((head * np.tanh(inputs @ weights) - labels) ** 2)
    test = np.mean((head * np.tanh(fresh @ weights) - link(fresh @ teacher)) ** 2) + NOISE**2
    return [float(x) for x in (train, test, np.mean(weights * teacher), np.mean(weights**2), head)]


@functools.cache
def _scores(name: str, memory: bool = True) -> Array:
    random = np.random.default_rng(8)
    runs = np.array([_train_once(LINKS[name], random, 400) for _ in range(60)])
    exact = _exact(LINKS[name])
    limit = [exact.train_error[1], exact.test_error[1], exact.teacher_overlap[1, 0, 0], exact.weight_overlap[1, 0, 0]]
    limit = np.array([*limit, exact.head[1]])
    if not memory:
        limit[0] = limit[1]  # without the memory of g⁰ a training sample is as good as a fresh one
    error = runs.std(axis=0, ddof=1) / np.sqrt(len(runs))
    assert np.all(error < 0.03 * np.abs(runs.mean(axis=0)))
    return (runs.mean(axis=0) - limit) / error


@pytest.mark.parametrize("name", sorted(LINKS))
def test_one_step_agrees_with_training(name: str) -> None:
    assert np.max(np.abs(_scores(name))) < 4


def test_without_memory_one_step_disagrees() -> None:
    assert abs(_scores("sign", memory=False)[0]) > 10


def test_more_quadrature_nodes_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    coarse = _exact(LINKS["sign"])
    monkeypatch.setattr(one_step, "_teacher_rule", functools.partial(one_step._teacher_rule, 90))
    fine = _exact(LINKS["sign"])
    for left, right in zip(coarse, fine, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-9)

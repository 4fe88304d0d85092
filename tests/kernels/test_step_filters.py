"""Discrete steps against optax on the linear model; stability limits; infinitely many steps; the flow as a limit."""

import math
import warnings
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dyntheory.kernels import train
from dyntheory.kernels.step_filters import GradientDescent
from tests.kernels.conftest import Problem

pytestmark = pytest.mark.usefixtures("double")
RULES: dict[str, dict[str, Any]] = {
    "plain": {"learning_rate": 0.9},
    "large": {"learning_rate": 3.1},
    "heavy ball": {"learning_rate": 0.4, "momentum": 0.9},
    "nesterov": {"learning_rate": 0.4, "momentum": 0.9, "nesterov": True},
    "traced zero momentum": {"learning_rate": 0.9, "momentum": 1e-300},
}
NUM_STEPS = 40


def _descend(problem: Problem, ridge: float, rule: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return train and test outputs after every step of optax on the parameters of the linear model."""
    features, labels = jnp.asarray(problem.features), jnp.asarray(problem.labels - problem.initial)
    optimizer = optax.sgd(rule["learning_rate"], rule.get("momentum"), rule.get("nesterov", False))

    def loss(weights: jax.Array) -> jax.Array:
        fit = jnp.sum((features @ weights - labels) ** 2) / (2 * len(labels))
        return fit + ridge / 2 * jnp.sum(weights**2)

    def step(state: Any, _: None) -> Any:
        weights, memory = state
        updates, memory = optimizer.update(jax.grad(loss)(weights), memory)
        weights = optax.apply_updates(weights, updates)
        return (weights, memory), weights

    start = jnp.zeros((features.shape[1], 2))
    _, rest = jax.lax.scan(step, (start, optimizer.init(start)), length=NUM_STEPS)
    path = np.concatenate([start[None], rest])
    return problem.initial + problem.features @ path, problem.test_initial + problem.test_features @ path


@pytest.mark.parametrize("ridge", [0.0, 0.05])
@pytest.mark.parametrize("name", RULES)
def test_steps_agree_with_optax(name: str, ridge: float, regular: Problem) -> None:
    own, test = _descend(regular, ridge, RULES[name])
    run = train(regular.kernel, regular.labels, ridge=ridge, initial=regular.initial, **RULES[name])
    steps = np.arange(NUM_STEPS + 1)
    np.testing.assert_allclose(run.predict(step=steps).mean, own, atol=1e-11)
    found = run.predict(regular.cross, step=steps, initial=regular.test_initial).mean
    np.testing.assert_allclose(found, test, atol=1e-11)


def test_momentum_matters(regular: Problem) -> None:
    own, _ = _descend(regular, 0.0, RULES["heavy ball"])
    others: tuple[dict[str, Any], ...] = ({"learning_rate": 0.4}, RULES["nesterov"])
    for wrong in others:
        run = train(regular.kernel, regular.labels, initial=regular.initial, **wrong)
        assert np.abs(run.predict(step=3).mean - own[3]).max() > 1e-2


@pytest.mark.parametrize("name", RULES)
def test_the_limit_of_stability_is_where_it_is(name: str, regular: Problem) -> None:
    rule = {key: value for key, value in RULES[name].items() if key != "learning_rate"}
    limit = float(train(regular.kernel, regular.labels, learning_rate=1.0, ridge=0.02, **rule).max_learning_rate)
    for factor, converges in ((0.999, True), (1.001, False)):
        run = train(regular.kernel, regular.labels, learning_rate=factor * limit, ridge=0.02, **rule)
        limits = train(regular.kernel, regular.labels, ridge=0.02).predict(time=math.inf)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            found = run.predict(step=200_000)
        assert (np.abs(found.mean - limits.mean).max() < 1e-6) == converges
        assert [str(one.message)[:17] for one in said] == ([] if converges else ["Training diverges"])


def test_infinitely_many_steps_are_infinite_time(singular: Problem) -> None:
    run = train(singular.kernel, singular.labels, learning_rate=1.0, momentum=0.5)
    flow = train(singular.kernel, singular.labels)
    found = run.predict(singular.cross, step=jnp.array([2.0, math.inf])).mean[1]
    np.testing.assert_allclose(found, flow.predict(singular.cross, time=math.inf).mean, rtol=1e-12)


def test_small_steps_tend_to_the_flow_at_first_order(regular: Problem) -> None:
    flow = train(regular.kernel, regular.labels).predict(time=2.0).mean
    errors = [
        np.abs(train(regular.kernel, regular.labels, learning_rate=2.0 / steps).predict(step=steps).mean - flow).max()
        for steps in (1000, 2000, 4000)
    ]
    slopes = -np.diff(np.log2(errors))
    np.testing.assert_allclose(slopes, 1, atol=2e-3)


@pytest.mark.parametrize("rate", ["1/1000000007", "1/3", "1", "5/4", "7/4"])
@pytest.mark.parametrize("steps", [0, 1, 7, 1000])
def test_plain_steps_keep_their_relative_accuracy(rate: str, steps: int) -> None:
    exact = 1 - (1 - Fraction(rate)) ** steps
    filtered = GradientDescent(1.0).filter(jnp.array([float(Fraction(rate))]), jnp.array(float(steps)), 0.0, 1)
    np.testing.assert_allclose(filtered.coefficient[0], float(exact / Fraction(rate)), rtol=1e-12)


def test_momentum_keeps_slow_modes_accurate() -> None:
    """The slowest mode of a million steps, against the same recursion in exact arithmetic on its first terms."""
    slow = GradientDescent(0.1, 0.9, plain=False).filter(jnp.array([1e-9]), jnp.array(1e6), 0.0, 1)
    rates = np.roots([1.0, -(1.9 - 1e-10), 0.9])  # of d ↦ (1 + β − η a) d − β d′
    large, small = rates.max(), rates.min()
    decay = (large**1e6 * (1 - small) - small**1e6 * (1 - large)) / (large - small)
    np.testing.assert_allclose(slow.residual[0], decay, rtol=1e-9)


def test_no_recompilation_and_gradient_in_the_learning_rate(regular: Problem) -> None:
    kernel, labels = jnp.asarray(regular.kernel), jnp.asarray(regular.labels)

    @jax.jit
    def output(rate: jax.Array, step: jax.Array) -> jax.Array:
        return train(kernel, labels, learning_rate=rate, momentum=0.5).predict(step=step).mean[0, 0]

    slope = jax.grad(output)(0.3, 5.0)
    numeric = (output(0.3 + 1e-6, 5.0) - output(0.3 - 1e-6, 5.0)) / 2e-6
    np.testing.assert_allclose(slope, numeric, rtol=1e-7)
    output(0.2, 7.0)
    assert output._cache_size() == 1  # pyright: ignore[reportAttributeAccessIssue]

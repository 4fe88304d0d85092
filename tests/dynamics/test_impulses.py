"""Answers of feature maps whose numbers sit in the shared value and change along the run."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dyntheory as dt
from dyntheory.dynamics.impulses import impulse_response
from dyntheory.dynamics.response_form import response_form
from dyntheory.gaussian.nodes import draw_nodes
from dyntheory.ground.precision import double_precision
from dyntheory.problem.shape import Shape
from tests.own_methods import warmed_by_hand, warming

RATES, MOMENTUM = (0.1, 0.5, 0.3, 0.8, 0.6), 0.5  # so that every step is well seen in the covariance of all
STEPS = len(RATES)
LAW = dt.TeacherStudent(2.0, noise_std=0.4)


@pytest.mark.usefixtures("double")
def test_impulses_are_rolled_with_the_number_of_each_step() -> None:
    """Any history is the sum of the answers; with the first number for all steps it is not."""
    method, random = warming(RATES, momentum=MOMENTUM), np.random.default_rng(0)
    first = method.init_shared({}, jnp.asarray(2.0), {})
    path = [first]
    for _ in RATES:
        path.append(method.after_samples(path[-1], ()))
    seen = jax.tree.map(lambda *leaves: jnp.stack(leaves), *path[1:])
    p, row = random.standard_normal((STEPS, 1)), random.standard_normal(1)
    state, weights = method.init_feature(jnp.asarray(row), first), [row]
    for t in range(STEPS):
        state, new, _ = method.feature_map(state, jnp.asarray(p[t]), path[t + 1], jnp.zeros(0))
        weights.append(np.asarray(new))

    def summed(shared: Any) -> jax.Array:
        found = impulse_response(method, first, shared, STEPS)
        return found.initial @ row + jnp.einsum("tsab,sb->ta", found.gradient[:, :STEPS], p)

    np.testing.assert_allclose(summed(seen), np.stack(weights), rtol=1e-12)
    frozen = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf[:1], leaf.shape), seen)
    assert np.abs(summed(frozen)[-1] - weights[-1]).max() > 0.1


def test_both_forms_of_the_limit_follow_rates_in_the_shared_value() -> None:
    """They agree to rounding on a linear problem, and with dense training."""
    method = warming(RATES, momentum=MOMENTUM)
    with double_precision():
        dimensions = Shape.of(LAW, method, STEPS)
        nodes = draw_nodes(2**10, dimensions.sample_dimensions, num_heavy=1, seed=0)
        test_nodes = draw_nodes(2**12, dimensions.test_dimensions, num_heavy=1, seed=1)
        problem = (LAW, method, {}, jnp.eye(2), nodes, test_nodes)
        one = jax.jit(functools.partial(dt.state_evolution, num_steps=STEPS))(*problem)
        other = jax.jit(functools.partial(response_form, num_steps=STEPS))(*problem).curves
    for name in ("train_error", "gram"):
        np.testing.assert_allclose(getattr(one.records, name), getattr(other.records, name), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(one.test_error, other.test_error, rtol=1e-10)
    random, d = np.random.default_rng(1), 1500
    teacher, start = random.standard_normal((2, d))
    teacher = teacher / np.sqrt(np.mean(teacher**2))
    start = start - teacher * np.mean(start * teacher)
    start = start / np.sqrt(np.mean(start**2))
    inputs = random.standard_normal((2 * d, d))
    labels = inputs @ teacher / np.sqrt(d) + 0.4 * random.standard_normal(2 * d)
    path = warmed_by_hand(RATES, MOMENTUM, inputs, labels, start, np.arange(2 * d))
    np.testing.assert_allclose(np.mean((path - teacher) ** 2, axis=1) + 0.16, one.test_error, rtol=0.05)


def test_responses_follow_rates_in_the_shared_value(key: jax.Array) -> None:
    """What memory leaves has the covariance of the weights."""
    found = dt.responses(LAW, warming(RATES, momentum=MOMENTUM), num_steps=STEPS, key=key, num_nodes=2**10)
    np.testing.assert_allclose(found.gaussian_covariance, found.weight_covariance, rtol=1e-9, atol=1e-11)

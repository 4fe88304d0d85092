"""Nonlinear feature maps: nodes on the feature side, against the exact frame, closed forms and simulations."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import dyntheory as dt
from dyntheory.gaussian.nodes import NodeSet, draw_nodes
from dyntheory.ground.precision import double_precision
from dyntheory.problem.methods.probing import feature_map_jumps
from dyntheory.problem.prepared import prepare
from dyntheory.problem.shape import Shape
from dyntheory.verbs.prediction import pieces
from dyntheory.verbs.prediction.pieces import LimitProblem, nets_for, solve

LAW = dt.TeacherStudent(2.0, "sin", 0.3)
MOMENTUM = dt.gradient_descent(dt.MLP((2,)), optax.sgd, learning_rate=0.3, momentum=0.7)
ADAM = dt.gradient_descent(dt.MLP((2,)), optax.adam, learning_rate=0.1)


def _solve(method: dt.GeneralFirstOrderMethod, *, on_nodes: bool, num_steps: int, drop_below: float = 0.0) -> Any:
    with double_precision():
        ready = prepare(LAW, method, jax.random.key(0), head=None, first_layer=None, num_heads=1)
        problem = LimitProblem(ready.law, ready.method, ready.heads[0], ready.joint_second_moment, drop_below)
        test = draw_nodes(2**8, Shape.of(LAW, method, 0).test_dimensions, num_heavy=1, seed=0)
        numbers = {"num_steps": num_steps, "num_nodes": 2**11, "key": jax.random.key(1)}
        return solve(problem, nets_for(LAW, method, **numbers, has_feature_nodes=on_nodes), test, num_steps=num_steps)


@pytest.mark.parametrize("drop_below", [0.0, pytest.param(1e-6, marks=pytest.mark.full)])
def test_linear_maps_are_the_same_on_nodes_and_on_the_frame(monkeypatch: pytest.MonkeyPatch, drop_below: float) -> None:
    """Feature-side quantities are then combinations of orthonormal rows, whatever the nodes; also across growths."""
    monkeypatch.setattr(pieces, "PIECE", 4)
    monkeypatch.setattr(pieces, "ROWS_PER_SIZE", 16)
    run = functools.partial(_solve, MOMENTUM, num_steps=12, drop_below=drop_below)
    frame, nodes = run(on_nodes=False), run(on_nodes=True)
    tolerance = 1e-11 if not drop_below else 1e-5
    np.testing.assert_allclose(nodes.records.train_error, frame.records.train_error, rtol=tolerance)
    np.testing.assert_allclose(nodes.records.gram, frame.records.gram, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(nodes.test_error, frame.test_error, rtol=tolerance)


SHARP_ADAM = functools.partial(optax.adam, eps=1e-30)


@pytest.mark.parametrize(
    "rule", [optax.sign_sgd, *(pytest.param(rule, marks=pytest.mark.full) for rule in (SHARP_ADAM, optax.lion))]
)
def test_one_step_of_sign_descent_in_closed_form(rule: Any, key: jax.Array) -> None:
    """From w⁰ = 0: p = −α w* + √(α(1 + σ²)) v, so E[w¹ w*] = η √(2/π) α/√(α² + α(1 + σ²)) and E[(w¹)²] = η²."""
    alpha, sigma, rate = 1.7, 0.5, 0.2
    law = dt.TeacherStudent(alpha, "linear", sigma)
    method = dt.gradient_descent(dt.LinearModel(), rule(rate, weight_decay=0.0) if rule is optax.lion else rule(rate))
    start = dt.FirstLayer(second_moment=[[0.0]])
    theory = dt.predict(law, method, num_steps=1, key=key, first_layer=start)
    overlap = rate * np.sqrt(2 / np.pi) * alpha / np.sqrt(alpha**2 + alpha * (1 + sigma**2))
    assert theory.standard_error is not None
    np.testing.assert_allclose(theory.weight_overlap[1, 0, 0], rate**2, rtol=1e-12)
    error = theory.teacher_overlap[1, 0, 0] - overlap
    assert abs(error) < 3 * theory.standard_error.teacher_overlap[1, 0, 0] + 1e-6
    assert abs(error) < 1e-3 * overlap
    np.testing.assert_allclose(theory.test_error[1], 1 + rate**2 - 2 * overlap + sigma**2, rtol=2e-3)


@pytest.mark.full
def test_adam_follows_its_simulation_and_not_without_memory(key: jax.Array) -> None:
    steps = 12
    theory = dt.predict(LAW, ADAM, num_steps=steps, key=key)
    runs = dt.simulate(LAW, ADAM, num_steps=steps, num_features=3000, num_runs=8, matrix="revealed", key=key)
    assert theory.standard_error is not None
    assert runs.standard_error is not None
    for name in ("train_error", "test_error"):
        value, simulated = getattr(theory, name), getattr(runs, name)
        bar = np.hypot(getattr(theory.standard_error, name), getattr(runs.standard_error, name))
        assert np.all(bar < 0.02 * value)
        assert np.all(np.abs(value - simulated) < 4 * bar)
    with double_precision():
        ready = prepare(LAW, ADAM, key, head=None, first_layer=None, num_heads=1)
        nodes = (
            draw_nodes(2**11, Shape(steps, 2, 1).sample_dimensions, num_heavy=1, seed=0),
            draw_nodes(2**11, Shape.of(LAW, ADAM, 0).test_dimensions, num_heavy=1, seed=1),
            draw_nodes(2**11, Shape(steps, 2, 1).feature_dimensions, num_heavy=0, seed=2),
        )

        @jax.jit
        def without_memory(samples: NodeSet, test: NodeSet, features: NodeSet) -> jax.Array:
            start = (ready.law, ready.method, ready.heads[0], jnp.eye(3), samples, test)
            options = {"feature_nodes": features, "num_steps": steps, "memory": False}
            return dt.state_evolution(*start, **options).records.train_error[-1]

        wrong = float(without_memory(*nodes))
    assert abs(wrong / runs.train_error[-1] - 1) > 0.2


def test_feature_nodes_of_the_wrong_shape_are_refused() -> None:
    nodes = draw_nodes(2**8, Shape(2, 2, 1).sample_dimensions, num_heavy=1, seed=0)
    test = draw_nodes(2**8, Shape.of(LAW, ADAM, 0).test_dimensions, num_heavy=1, seed=1)
    with double_precision(), pytest.raises(ValueError, match="set of feature nodes must have 9 coordinates"):
        dt.state_evolution(LAW, ADAM, {}, jnp.eye(3), nodes, test, feature_nodes=nodes, num_steps=2)


@pytest.mark.parametrize(
    ("optimizer", "jumps"),
    [
        (optax.sgd(0.1), False),
        (optax.chain(optax.clip(0.5), optax.sgd(0.1)), False),
        (optax.adam(0.1, eps=1.0), False),
        (optax.adam(0.1), True),
        (optax.sign_sgd(0.1), True),
        (optax.lion(0.1), True),
    ],
)
def test_jumps_of_the_update_are_found_by_probing(optimizer: Any, jumps: bool) -> None:
    assert feature_map_jumps(dt.gradient_descent(dt.MLP((2,)), optimizer)) is jumps


def _error_after(rate: Any, eps: float) -> jax.Array:
    method = dt.gradient_descent(dt.MLP((1,)), optax.adam, learning_rate=rate, eps=eps)
    head = jax.tree.map(lambda leaf: jnp.asarray(leaf, float), method.init_head(jax.random.key(0)))
    return dt.state_evolution(
        LAW,
        method,
        head,
        jnp.eye(2),
        draw_nodes(2**8, Shape(2, 1, 1).sample_dimensions, num_heavy=1, seed=0),
        draw_nodes(2**8, Shape.of(LAW, method, 0).test_dimensions, num_heavy=1, seed=1),
        feature_nodes=draw_nodes(2**8, Shape(2, 1, 1).feature_dimensions, num_heavy=0, seed=2),
        num_steps=2,
    ).test_error[-1]


@pytest.mark.usefixtures("double")
def test_derivatives_of_an_update_that_jumps_are_refused() -> None:
    with pytest.raises(ValueError, match="the update of the first layer"):
        jax.eval_shape(jax.grad(functools.partial(_error_after, eps=1e-8)), 0.2)


@pytest.mark.full
@pytest.mark.usefixtures("double")
def test_derivatives_of_a_smooth_update_are_those_of_finite_differences() -> None:
    both = jax.jit(jax.value_and_grad(functools.partial(_error_after, eps=1.0)))
    slope = both(0.2)[1]
    difference = (both(0.2 + 1e-5)[0] - both(0.2 - 1e-5)[0]) / 2e-5
    np.testing.assert_allclose(slope, difference, rtol=1e-6)

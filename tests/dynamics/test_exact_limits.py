"""Where the limit is known to machine precision: least squares and deep linear networks."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import dyntheory as dt
from dyntheory.dynamics.curves import Curves
from dyntheory.dynamics.state_evolution import state_evolution
from dyntheory.gaussian.nodes import draw_nodes
from dyntheory.ground.precision import double_precision
from dyntheory.problem.shape import Shape
from tests.oracles import deep_linear, linear_curves

TEACHER = np.array([[1.0, 0.3], [0.3, 2.0]])


def _predict_linear(alpha: float, num_steps: int, rate: float, key: jax.Array, **kwargs: object) -> dt.Trajectory:
    law = dt.TeacherStudent(alpha, "linear", 0.3)
    method = dt.gradient_descent(dt.LinearModel(), optax.sgd, learning_rate=rate)
    return dt.predict(law, method, num_steps=num_steps, key=key, **kwargs)  # pyright: ignore


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0])
def test_least_squares_follows_marchenko_pastur(alpha: float, key: jax.Array) -> None:
    theory = _predict_linear(alpha, 30, 0.3, key)
    exact = linear_curves.curves(30, alpha=alpha, learning_rate=0.3, noise_std=0.3, initial_second_moment=1.0)
    np.testing.assert_allclose(theory.train_error, exact.train_error, rtol=1e-9)
    np.testing.assert_allclose(theory.test_error, exact.test_error, rtol=1e-9)
    assert theory.standard_error is not None
    assert np.max(theory.standard_error.test_error) < 1e-8


def test_initial_weights_correlated_with_the_teacher(key: jax.Array) -> None:
    first_layer = dt.FirstLayer(second_moment=[[0.5]], teacher_overlap=[[0.4]])
    theory = _predict_linear(0.7, 30, 0.4, key, first_layer=first_layer)
    exact = linear_curves.curves(
        30,
        alpha=0.7,
        learning_rate=0.4,
        noise_std=0.3,
        initial_second_moment=0.5,
        initial_teacher_overlap=0.4,
    )
    np.testing.assert_allclose(theory.test_error, exact.test_error, rtol=1e-10)
    np.testing.assert_allclose(theory.train_error, exact.train_error, rtol=1e-10)


@pytest.mark.full
@pytest.mark.parametrize("alpha", [0.4, 3.0])
def test_late_times_reach_double_descent(alpha: float, key: jax.Array) -> None:
    """From zero weights gradient descent ends at the minimum-norm solution; α = 1 needs infinitely many steps."""
    start = dt.FirstLayer(second_moment=[[0.0]])
    theory = _predict_linear(alpha, 150, 0.6 if alpha > 1 else 0.25, key, first_layer=start, num_nodes=2**13)
    limits = linear_curves.late_errors(alpha=alpha, noise_std=0.3)
    assert theory.test_error is not None and theory.train_error is not None
    np.testing.assert_allclose(theory.test_error[-1], limits.test_error, rtol=1e-3)
    np.testing.assert_allclose(theory.train_error[-1], limits.train_error, atol=1e-3)


def _deep(num_steps: int, memory: bool = True) -> tuple[Curves, deep_linear.DeepLinear]:
    """Solve a three-layer linear network with two teacher directions both ways."""
    network = dt.MLP((3, 2), "linear")
    law = dt.TeacherStudent(1.3, lambda z: z[0] - 0.4 * z[1], 0.3, teacher_second_moment=TEACHER)
    method = dt.gradient_descent(network, optax.sgd, learning_rate=0.2, momentum=0.6)
    overlap = np.array([[0.3, 0.1], [0.0, -0.2], [0.1, 0.0]])
    with double_precision():
        head = network.init_head(jax.random.key(1))
        nodes = draw_nodes(2**11, Shape(num_steps, 3, 2).sample_dimensions, num_heavy=2, seed=0)
        test_nodes = draw_nodes(2**11, Shape.of(law, method, 0).test_dimensions, num_heavy=2, seed=1)
        joint = jnp.asarray(np.block([[TEACHER, overlap.T], [overlap, np.eye(3)]]))
        solved = jax.jit(state_evolution, static_argnames=("num_steps", "memory"))(
            law, method, head, joint, nodes, test_nodes, num_steps=num_steps, memory=memory
        )
    exact = deep_linear.solve(
        [np.asarray(head[f"layer_{i}"]["weights"]) for i in (2, 3)],
        np.array([1.0, -0.4]),
        alpha=1.3,
        learning_rate=0.2,
        momentum=0.6,
        noise_std=0.3,
        num_steps=num_steps,
        second_moment=np.eye(3),
        teacher_overlap=overlap,
        teacher_second_moment=TEACHER,
    )
    return solved, exact


def test_deep_linear_network_with_momentum_is_exact() -> None:
    solved, exact = _deep(40)
    np.testing.assert_allclose(solved.test_error, exact.test_error, rtol=1e-8)
    np.testing.assert_allclose(solved.records.train_error, exact.train_error, rtol=1e-8)
    np.testing.assert_allclose(solved.records.gram[:, 2:, 2:], exact.weight_overlap, rtol=0, atol=1e-8)
    np.testing.assert_allclose(solved.records.gram[:, 2:, :2], exact.teacher_overlap, rtol=0, atol=1e-8)


def test_without_the_memory_term_deep_linear_fails() -> None:
    solved, exact = _deep(12, memory=False)
    assert np.max(np.abs(np.asarray(solved.test_error) / exact.test_error - 1)) > 0.01


def test_number_of_nodes_does_not_matter_for_linear_problems(key: jax.Array) -> None:
    few, many = (_predict_linear(1.5, 30, 0.3, key, num_nodes=size) for size in (2**11, None))
    assert few.test_error is not None
    np.testing.assert_allclose(few.test_error, many.test_error, rtol=1e-11)
    assert dataclasses.asdict(few.status) == {"code": "ok", "message": "", "step": None}

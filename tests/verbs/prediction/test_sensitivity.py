"""Derivatives by differences: right through kinks, with an error bar; against closed forms, autodiff, simulations."""

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
from dyntheory.problem.networks.activations import Activation
from dyntheory.problem.shape import Shape
from tests.oracles import linear_curves

STEPS, RATE = 6, 0.5
HEAD = {"layer_2": {"weights": np.array([[0.9, -0.6]])}}
LAW = dt.TeacherStudent(2.0, "sin_mixture", 0.3)


def _problem(rate: Any, activation: Any = "relu") -> dict[str, Any]:
    method = dt.gradient_descent(dt.MLP((2,), activation), optax.sgd, learning_rate=rate)
    return {"law": LAW, "method": method, "head": HEAD}


def _linear(rate: Any = 0.3, alpha: Any = 0.7, noise: Any = 0.3, scale: Any = 0.5) -> dict[str, Any]:
    return {
        "law": dt.TeacherStudent(alpha, "linear", noise),
        "method": dt.gradient_descent(dt.LinearModel(), optax.sgd, learning_rate=rate),
        "first_layer": dt.FirstLayer(second_moment=np.array([[scale]])),
    }


@functools.cache
def _relu() -> dt.Derivatives:
    return dt.sensitivity(_problem, RATE, num_steps=STEPS, key=jax.random.key(1))


def _errors(result: dt.Derivatives) -> dict[str, np.ndarray]:
    assert result.standard_error is not None
    return {name: getattr(result.standard_error, name) for name in ("train_error", "test_error")}


@pytest.mark.parametrize(("name", "value"), [("rate", 0.3), ("alpha", 0.7), ("noise", 0.3), ("scale", 0.5)])
def test_least_squares_within_its_error(name: str, value: float) -> None:
    """Where exact curves are known, so are exact derivatives; the error reported is that of the difference."""
    found = dt.sensitivity(lambda x: _linear(**{name: x}), value, num_steps=STEPS, key=jax.random.key(0))
    numbers: dict[str, Any] = {"alpha": 0.7, "learning_rate": 0.3, "noise_std": 0.3, "initial_second_moment": 0.5}
    changed = {"rate": "learning_rate", "noise": "noise_std", "scale": "initial_second_moment"}.get(name, name)
    curves = [linear_curves.curves(STEPS, **{**numbers, changed: value + sign * 1e-5}) for sign in (-1, 1)]
    for field, error in _errors(found).items():
        exact = (getattr(curves[1], field) - getattr(curves[0], field)) / 2e-5
        assert np.max(np.abs(getattr(found, field) - exact) - 2 * error) < 1e-8
        assert np.max(error) < 0.05 * np.max(np.abs(exact))


def _pathwise(activation: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return derivatives of train and test error by autodiff, shape (T+1,) each."""
    method = _problem(RATE, activation)["method"]
    nodes = (
        draw_nodes(2**13, Shape(STEPS, 2, 1).sample_dimensions, num_heavy=1, seed=3),
        draw_nodes(2**13, Shape.of(LAW, method, 0).test_dimensions, num_heavy=1, seed=4),
    )

    def errors(rate: jax.Array, nodes: tuple[NodeSet, NodeSet]) -> tuple[jax.Array, jax.Array]:
        problem = _problem(rate, activation)
        solved = dt.state_evolution(LAW, problem["method"], HEAD, jnp.eye(3), *nodes, num_steps=STEPS)
        return solved.records.train_error, solved.test_error

    with double_precision():
        found = jax.jit(lambda x, nodes: jax.jvp(lambda y: errors(y, nodes), (x,), (jnp.ones(()),))[1])(RATE, nodes)
        return np.asarray(found[0]), np.asarray(found[1])


def _worst(result: dt.Derivatives, pathwise: tuple[np.ndarray, np.ndarray]) -> float:
    """Return the largest difference from autodiff in reported errors."""
    errors = _errors(result)
    scores = [
        np.abs(getattr(result, name) - other)[1:] / errors[name][1:]
        for name, other in zip(("train_error", "test_error"), pathwise, strict=True)
    ]
    return float(np.max(scores))


def test_an_optimizer_that_jumps_in_closed_form() -> None:
    """One step of sign descent from zero: E[w¹ w*] = η √(2/π) α/√(α² + α(1 + σ²)), differentiated in σ."""
    alpha, rate, sigma = 1.7, 0.2, 0.5
    method = dt.gradient_descent(dt.LinearModel(), optax.sign_sgd, learning_rate=rate)
    start = dt.FirstLayer(second_moment=[[0.0]])

    def problem(noise: float) -> dict[str, Any]:
        return {"law": dt.TeacherStudent(alpha, "linear", noise), "method": method, "first_layer": start}

    found = dt.sensitivity(problem, sigma, num_steps=1, step_size=0.2, key=jax.random.key(2))
    exact = -rate * np.sqrt(2 / np.pi) * alpha**2 * sigma / (alpha**2 + alpha * (1 + sigma**2)) ** 1.5
    error = found.standard_error
    assert error is not None
    assert error.teacher_overlap[1, 0, 0] < 0.1 * abs(exact)
    assert abs(found.teacher_overlap[1, 0, 0] - exact) < 3 * error.teacher_overlap[1, 0, 0]


@pytest.mark.full
def test_smooth_networks_agree_with_autodiff() -> None:
    found = dt.sensitivity(lambda x: _problem(x, "tanh"), RATE, num_steps=STEPS, key=jax.random.key(1))
    assert _worst(found, _pathwise("tanh")) < 3


@pytest.mark.full
def test_autodiff_through_kinks_is_wrong() -> None:
    """Trap 3, the reason for refusing it: claim that ReLU is smooth and autodiff is many errors off."""
    claimed = Activation("relu", jax.nn.relu, smooth=True)
    assert _worst(_relu(), _pathwise(claimed)) > 5


@pytest.mark.full
def test_agrees_with_differences_of_simulations() -> None:
    """ReLU at d = 400: both ends share their random numbers, so the difference is resolved run by run."""
    width, options = 0.1, {"num_steps": STEPS, "num_features": 400, "num_runs": 40, "key": jax.random.key(5)}
    low, high = (dt.simulate(**_problem(RATE + sign * width), **options) for sign in (-1, 1))
    found = _relu()
    for name, error in _errors(found).items():
        runs = (getattr(high.per_run, name) - getattr(low.per_run, name)) / (2 * width)
        mean, spread = runs.mean(axis=0)[1:], runs.std(axis=0, ddof=1)[1:] / np.sqrt(len(runs))
        assert np.max(spread / np.abs(mean)) < 0.1
        theory = getattr(found, name)[1:]
        allowed = np.hypot(spread, error[1:])
        assert np.max(np.abs(mean - theory) / allowed) < 4, (mean, theory, allowed)


def test_the_error_grows_with_the_step() -> None:
    wide = dt.sensitivity(_linear, 0.3, num_steps=STEPS, key=jax.random.key(0), step_size=0.05)
    narrow = dt.sensitivity(_linear, 0.3, num_steps=STEPS, key=jax.random.key(0), step_size=0.01)
    assert np.max(_errors(narrow)["test_error"]) < 0.1 * np.max(_errors(wide)["test_error"])


@pytest.mark.parametrize(
    ("problem", "options", "error", "message"),
    [
        (_linear, {"step_size": 0.0}, ValueError, "`step_size` must be positive"),
        (_linear, {"step_size": "wide"}, TypeError, "`step_size` must be a single number"),
        (_linear, {"num_nodes": 3000}, ValueError, "`num_nodes` must be a power of two, got 3000"),
        (_linear, {"num_steps": -1}, ValueError, "`num_steps` must be at least 0"),
        (lambda x: (LAW, x), {}, TypeError, "must return a mapping with law and method"),
        (lambda x: {**_linear(x), "first": None}, {}, ValueError, "Did you mean 'first_layer'"),
        (lambda x: _linear(noise=x - 0.25), {}, ValueError, "`noise_std` must be zero or positive"),
    ],
)
def test_bad_input_is_refused(problem: Any, options: dict[str, Any], error: type[Exception], message: str) -> None:
    given = {"num_steps": 2, "key": jax.random.key(0), **options}
    with pytest.raises(error, match=message):
        dt.sensitivity(problem, 0.3, **given)


def test_the_note_says_which_value_was_tried() -> None:
    with pytest.raises(ValueError, match="noise_std") as raised:
        dt.sensitivity(lambda x: _linear(noise=x), 0.1, num_steps=2, key=jax.random.key(0), step_size=0.1)
    assert "choose a smaller `step_size`" in raised.value.__notes__[0]


def test_divergence_is_said() -> None:
    with pytest.warns(dt.DyntheoryWarning, match="blows up near this value"):
        found = dt.sensitivity(_linear, 1e90, num_steps=STEPS, key=jax.random.key(0))
    assert found.status.code == "diverged"

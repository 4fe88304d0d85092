"""Gradients through the core: equal to differences where maps are smooth, finite where directions are dropped, refused
where a map has a kink."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import dyntheory as dt
from dyntheory.dynamics.differentiation import guarded, kinks
from dyntheory.gaussian.nodes import NodeSet, draw_nodes
from dyntheory.ground.precision import abstract_array
from dyntheory.problem.laws.links import Link
from dyntheory.problem.networks.activations import Activation
from dyntheory.problem.networks.losses import LOSSES, Loss
from dyntheory.problem.shape import Shape
from tests.oracles import linear_curves

STEPS = 5
POINT = {
    "first_rate": 0.4,
    "last_rate": 0.2,
    "momentum": 0.5,
    "alpha": 2.0,
    "noise": 0.3,
    "scale": 1.1,
    "overlap": 0.3,
    "correlation": 0.2,
    "slope": 2.0,
}
HEAD = {"layer_2": {"weights": np.asarray([[0.9, -0.6]])}}
MOMENTS = ("scale", "overlap", "correlation")
TWINS = {"layer_2": {"weights": np.asarray([[0.7, 0.7]])}}


def _decaying(first_rate: Any, last_rate: Any, momentum: Any) -> optax.GradientTransformation:
    return optax.sgd(optax.linear_schedule(first_rate, last_rate, STEPS), momentum=momentum)


def _nodes(law: dt.TeacherStudent, method: dt.GeneralFirstOrderMethod, num_steps: int) -> tuple[NodeSet, NodeSet]:
    k = method.num_units
    return (
        draw_nodes(2**10, Shape(num_steps, k, 1).sample_dimensions, num_heavy=1, seed=0),
        draw_nodes(2**10, Shape.of(law, method, 0).test_dimensions, num_heavy=1, seed=1),
    )


def _quantities(point: dict[str, Any], head: Any, *, rematerialize: bool = False) -> dict[str, jax.Array]:
    """Return what is predicted at the end, for a scheduled rate and a link with a parameter."""
    slope = point["slope"]
    link = Link("tilted", lambda z: z + 0.5 * jnp.sin(slope * z), smooth=True, is_scalar_function=True)
    law = dt.TeacherStudent(point["alpha"], link, point["noise"])
    numbers = {name: point[name] for name in ("first_rate", "last_rate", "momentum")}
    method = dt.gradient_descent(dt.MLP((2,), "tanh"), _decaying, **numbers)
    scale, overlap, shared = (point[name] * jnp.ones(()) for name in ("scale", "overlap", "correlation"))
    rows = [[1.0, overlap, overlap], [overlap, scale, shared], [overlap, shared, scale]]
    joint = jnp.stack([jnp.stack([jnp.asarray(x) for x in row]) for row in rows])
    solved = dt.state_evolution(
        law, method, head, joint, *_nodes(law, method, STEPS), num_steps=STEPS, rematerialize=rematerialize
    )
    return {
        "test_error": solved.test_error[-1],
        "train_error": solved.records.train_error[-1],
        "train_loss": solved.records.train_loss[2],
        "overlap": solved.records.gram[-1, 1, 0],
        "weights": solved.records.gram[-1, 1, 2],
        "head": solved.records.head["layer_2"]["weights"][-1, 0, 0],
    }


_values = jax.jit(_quantities)
_gradients = jax.jit(jax.jacrev(_quantities))


def _difference(point: dict[str, float], head: Any, name: str, step: float) -> dict[str, jax.Array]:
    """Return the five-point difference of every quantity."""
    at = [_values({**point, name: point[name] + offset * step}, head) for offset in (-2, -1, 1, 2)]
    return jax.tree.map(lambda a, b, c, d: (a - 8 * b + 8 * c - d) / (12 * step), *at)


def _check(point: dict[str, float], head: Any, names: list[str], step: float) -> None:
    derivatives = _gradients(point, head)
    for name in names:
        expected = _difference(point, head, name, step)
        for quantity, value in expected.items():
            np.testing.assert_allclose(derivatives[quantity][name], value, rtol=1e-6, atol=1e-9, err_msg=name)


CASES = {
    "generic": ({}, HEAD),
    "zero weights": ({"scale": 0.0, "overlap": 0.0, "correlation": 0.0}, HEAD),
    "duplicate units": ({"correlation": POINT["scale"]}, TWINS),
}


@pytest.mark.full
@pytest.mark.usefixtures("double")
def test_gradients_equal_finite_differences() -> None:
    """In both ends of a schedule, momentum, n/d, noise, initial moments and a parameter of the link.

    Where directions are dropped gradients are finite in everything, and equal to differences in every number that does
    not bring a dropped direction back. One test: its programs are compiled once.
    """
    for change, head in CASES.values():
        point = {**POINT, **change}
        assert all(np.isfinite(leaf) for leaf in jax.tree.leaves(_gradients(point, head)))
        _check(point, head, [name for name in POINT if not change or name not in MOMENTS], 3e-4)


def _converged(rate: Any, alpha: Any, num_steps: int = 40) -> jax.Array:
    law = dt.TeacherStudent(alpha, "linear")
    method = dt.gradient_descent(dt.LinearModel(), optax.sgd, learning_rate=rate)
    solved = dt.state_evolution(law, method, {}, jnp.eye(2), *_nodes(law, method, num_steps), num_steps=num_steps)
    return solved.test_error


@pytest.mark.usefixtures("double")
def test_gradients_hold_after_convergence() -> None:
    """Noiseless least squares: the last directions are below the drop tolerance; exact curves give the differences."""
    at: dict[str, Any] = {"learning_rate": 0.9, "alpha": 16.0}
    step = 1e-4
    found = jax.jit(jax.jacfwd(_converged, argnums=(0, 1)))(at["learning_rate"], at["alpha"])
    for derivative, name in zip(found, at, strict=True):
        assert np.isfinite(derivative).all()
        exact = [
            linear_curves.curves(
                40, noise_std=0.0, initial_second_moment=1.0, **{**at, name: at[name] + sign * step}
            ).test_error
            for sign in (-1, 1)
        ]
        np.testing.assert_allclose(derivative[:6], ((exact[1] - exact[0]) / (2 * step))[:6], rtol=1e-5, atol=1e-9)
        assert np.abs(derivative[-1]) < 1e-15


RELU, SQUARE = dt.MLP((2,), "relu"), dt.MLP((2,), "quadratic")
OWN = dt.MLP((2,), jnp.tanh)
MISCLASSIFIED = Loss("margin", LOSSES["squared"].value, lambda p, y: jnp.where(p * y > 0, 0.0, 1.0), smooth=True)


def _relu_error(rate: Any) -> jax.Array:
    law = dt.TeacherStudent(2.0, "sin_mixture", 0.3)
    method = dt.gradient_descent(RELU, optax.sgd, learning_rate=rate)
    return dt.state_evolution(law, method, HEAD, jnp.eye(3), *_nodes(law, method, STEPS), num_steps=STEPS).test_error[
        -1
    ]


@pytest.mark.parametrize(
    ("network", "loss", "link", "known", "unknown"),
    [
        pytest.param(dt.MLP((2,), "tanh"), "squared", "sin", 0, 0, id="smooth"),
        pytest.param(RELU, "squared", "sin", 1, 0, id="kinked activation"),
        pytest.param(SQUARE, "squared", "cubic", 0, 0, id="unbounded derivatives are no kink"),
        pytest.param(OWN, "squared", "sin", 0, 1, id="own activation"),
        pytest.param(dt.MLP((2,), "tanh"), "squared", "sign", 1, 0, id="link that jumps"),
        pytest.param(dt.MLP((2,), "tanh"), "squared", "relu", 0, 0, id="continuous link"),
        pytest.param(OWN, "squared", lambda z: z, 0, 2, id="own link"),
        pytest.param(dt.MLP((2,), "tanh"), MISCLASSIFIED, "sin", 0, 1, id="error of its own"),
        pytest.param(dt.MLP((2,), Activation("f", jnp.sin, False)), "squared", "sin", 1, 0, id="not smooth, no more"),
        pytest.param(dt.MLP((2,), Activation("f", jnp.exp, False, has_kink=False)), "squared", "sin", 0, 0, id="grows"),
    ],
)
def test_what_counts_as_a_kink(network: Any, loss: Any, link: Any, known: int, unknown: int) -> None:
    found = kinks(dt.TeacherStudent(2.0, link), dt.gradient_descent(network, loss=loss, learning_rate=0.1))
    assert tuple(map(len, found)) == (known, unknown)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("transform", [jax.grad, jax.jacfwd, lambda f: jax.jit(jax.grad(f)), jax.hessian])
def test_differentiating_a_kink_is_refused(transform: Any) -> None:
    law, method = dt.TeacherStudent(2.0, "sin"), dt.gradient_descent(RELU, learning_rate=0.1)

    def function(x: jax.Array) -> jax.Array:
        return guarded(law, method, {"a": x**2, "b": jnp.ones(())})["a"]

    assert jax.jit(function)(3.0) == 9.0
    with pytest.raises(ValueError, match=r"cannot be differentiated.*relu.*dyntheory\.sensitivity"):
        transform(function)(3.0)


@pytest.mark.usefixtures("double")
def test_the_core_is_guarded() -> None:
    """Where somebody said that there is a kink it refuses, where nobody said it warns."""
    with pytest.raises(ValueError, match="cannot be differentiated"):
        jax.eval_shape(jax.grad(_relu_error), 0.5)
    law, own = dt.TeacherStudent(2.0, "sin"), dt.gradient_descent(OWN, learning_rate=0.1)
    with pytest.warns(dt.DyntheoryWarning, match="Nobody said whether.*tanh"):
        assert jax.grad(lambda x: guarded(law, own, x**2))(3.0) == 6.0


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("link", ["probit", "sign"])
def test_a_number_inside_a_jump_is_refused_too(link: str) -> None:
    """Through a sign JAX sees no derivative at all, and zero is wrong: of the noise, of the teacher's second moment."""
    method = dt.gradient_descent(dt.LinearModel(), learning_rate=0.1)

    def error(noise: Any, moment: Any) -> jax.Array:
        law = dt.TeacherStudent(2.0, link, noise)
        joint = jnp.asarray([[1.0, 0.0], [0.0, 0.0]]) * moment
        return dt.state_evolution(law, method, {}, joint, *_nodes(law, method, 1), num_steps=1).test_error[-1]

    for place in (0, 1):
        with pytest.raises(ValueError, match=f"the link {link} jumps"):
            jax.eval_shape(jax.grad(error, argnums=place), 0.3, 1.0)


def _memory(num_steps: int, *, rematerialize: bool) -> float:
    """Return the bytes that a compiled gradient needs, in units of the basis at the end."""
    size = 2**11
    law, template = dt.TeacherStudent(2.0, "sin", 0.3), dt.gradient_descent(dt.LinearModel(), learning_rate=0.1)

    def error(rate: jax.Array, *nodes: jax.Array) -> jax.Array:
        method = dt.gradient_descent(dt.LinearModel(), learning_rate=rate)
        pair = NodeSet(*nodes[:2]), NodeSet(*nodes[2:])
        return dt.state_evolution(
            law, method, {}, jnp.eye(2), *pair, num_steps=num_steps, rematerialize=rematerialize
        ).test_error[-1]

    shapes = [
        (),
        (Shape(num_steps, 1, 1).sample_dimensions, size),
        (size,),
        (Shape.of(law, template, 0).test_dimensions, size),
        (size,),
    ]
    arguments = [abstract_array(shape) for shape in shapes]
    analysis: Any = jax.jit(jax.grad(error)).lower(*arguments).compile().memory_analysis()
    return analysis.temp_size_in_bytes / (8 * size * Shape(num_steps, 1, 1).columns)


@pytest.mark.usefixtures("double")
@pytest.mark.full
def test_rematerialising_bounds_the_memory_of_gradients() -> None:
    """From T = 9 to 49 bases kept grow like √T (here below 7/3 with the constant part), without like T."""
    plain, bounded = ([_memory(steps, rematerialize=kept) for steps in (9, 49)] for kept in (False, True))
    assert plain[1] / plain[0] > 2.5
    assert bounded[1] / bounded[0] < 7 / 3
    assert bounded[1] < 0.5 * plain[1]


@pytest.mark.usefixtures("double")
@pytest.mark.full
def test_rematerialising_changes_no_gradient() -> None:
    bounded = jax.jit(jax.jacrev(functools.partial(_quantities, rematerialize=True)))(POINT, HEAD)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9), bounded, _gradients(POINT, HEAD))

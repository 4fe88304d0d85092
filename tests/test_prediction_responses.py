"""Nonlinear networks against an independent solver: the two-time form with responses, which shares no code."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import dyntheory as dt
from dyntheory._precision import double_precision
from tests.oracles import two_time

RATE, STEPS, NODES = 0.5, 8, 2**15
FIELDS = ("train_error", "test_error", "teacher_overlap", "weight_overlap")


@functools.cache
def _network(activation: str) -> dt.MLP:
    return dt.MLP((3, 2) if activation == "tanh" else (3,), activation)


@functools.cache
def _theory(activation: str) -> dt.Trajectory:
    law = dt.TeacherStudent(2.0, "sin_mixture", 0.3)
    method = dt.gradient_descent(_network(activation), optax.sgd, learning_rate=RATE)
    start = dt.FirstLayer(teacher_overlap=[[0.3], [0.0], [-0.2]])
    return dt.predict(law, method, num_steps=STEPS, key=jax.random.key(5), first_layer=start)


@functools.cache
def _responses(activation: str, use_dirac: bool) -> two_time.TwoTime:
    from dyntheory.randomness import stream

    network = _network(activation)
    with double_precision():
        head = network.init_head(stream(jax.random.key(5), "head"))
    return two_time.solve(
        network.apply_head,
        head,
        lambda z: z[0] + 0.5 * jnp.sin(2 * z[0]),
        alpha=2.0,
        learning_rate=RATE,
        noise_std=0.3,
        num_steps=STEPS,
        second_moment=np.eye(3),
        teacher_overlap=np.array([[0.3], [0.0], [-0.2]]),
        teacher_second_moment=np.eye(1),
        num_nodes=NODES,
        use_dirac=use_dirac,
    )


def _worst(theory: dt.Trajectory, other: two_time.TwoTime, name: str) -> float:
    """Return the largest difference in units of what is allowed: 3 standard errors or 0.3 % of the largest value."""
    ours = np.asarray(getattr(theory, name))
    allowed = np.maximum(3 * getattr(theory.standard_error, name), 0.003 * np.abs(ours).max())
    return float(np.max(np.abs(ours - getattr(other, name)) / allowed))


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize(("activation", "use_dirac"), [("tanh", False), ("relu", True)])
def test_agrees_with_the_response_form(activation: str, use_dirac: bool, name: str) -> None:
    assert _worst(_theory(activation), _responses(activation, use_dirac), name) < 1


def test_autodiff_responses_are_wrong_for_relu() -> None:
    """Trap 1: they drop the Dirac mass of the second derivative; the agreement test above must fail on them."""
    assert _worst(_theory("relu"), _responses("relu", False), "test_error") > 10


def test_two_identities_of_the_slides() -> None:
    """Cov(U^t, U^s) = Σ ρ Σ ρᵀ with ρ from the responses; the left side is also our Gram matrix."""
    solution = _responses("tanh", False)
    left, right = two_time.slides_identity(
        solution,
        alpha=2.0,
        learning_rate=RATE,
        second_moment=np.eye(3),
        teacher_overlap=np.array([[0.3], [0.0], [-0.2]]),
        teacher_second_moment=np.eye(1),
    )
    np.testing.assert_allclose(left, right, atol=1e-10)

"""Nonlinear networks against an independent solver: the two-time form with responses, which shares no code."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import dyntheory as dt
from dyntheory.ground.precision import double_precision
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
    from dyntheory.ground.randomness import stream

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


ACTIVATIONS = ("tanh", "erf", "gelu", "relu")
SHAPES = ((1,), (2,), (4,), (8,), (3, 3), (2, 3, 3, 2))
GRID = [
    (ACTIVATIONS[i % 4], SHAPES[i % 6], (0.3, 0.6, 1.0, 2.0, 4.0)[i % 5], (0.0, 0.2, 0.5)[i % 3], (0.0, 0.4)[i % 2], i)
    for i in range(24)
    if i != 5  # erf, five layers, n/d = 0.3: the responses' noise blows up there; simulation agrees with predict
]


@pytest.mark.full
@pytest.mark.parametrize(("activation", "hidden", "alpha", "noise", "overlap", "seed"), GRID)
def test_agrees_with_the_response_form_over_the_grid(
    activation: str, hidden: tuple[int, ...], alpha: float, noise: float, overlap: float, seed: int
) -> None:
    """Noisy responses can blow up (deep, few samples): the other solver's own change with its nodes is allowed too."""
    from dyntheory.ground.randomness import stream

    network, key = dt.MLP(hidden, activation), jax.random.key(seed)
    start = np.zeros((hidden[0], 1))
    start[0] = overlap
    law = dt.TeacherStudent(alpha, "sin_mixture", noise)
    method = dt.gradient_descent(network, optax.sgd, learning_rate=0.3)
    theory = dt.predict(law, method, num_steps=STEPS, key=key, first_layer=dt.FirstLayer(teacher_overlap=start))
    with double_precision():
        head = network.init_head(stream(key, "head"))
    coarse, fine = (
        two_time.solve(
            network.apply_head,
            head,
            lambda z: z[0] + 0.5 * jnp.sin(2 * z[0]),
            alpha=alpha,
            learning_rate=0.3,
            noise_std=noise,
            num_steps=STEPS,
            second_moment=np.eye(hidden[0]),
            teacher_overlap=start,
            teacher_second_moment=np.eye(1),
            num_nodes=size,
            use_dirac=activation == "relu",
        )
        for size in (2**12, 2**13)
    )
    for name in ("train_error", "test_error"):
        ours, theirs = np.asarray(getattr(theory, name)), getattr(fine, name)
        own = 2 * np.maximum.accumulate(np.abs(theirs - getattr(coarse, name)))
        allowed = np.maximum(3 * getattr(theory.standard_error, name), 0.003 * np.abs(ours)) + own
        assert np.max(np.abs(ours - theirs) / allowed) < 1

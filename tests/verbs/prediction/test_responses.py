"""Two-time quantities against an independent solver, identities and brute force; and the engine made of them."""

import functools
import types
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import dyntheory as dt
from dyntheory.dynamics.impulses import ImpulseResponse, impulse_response
from dyntheory.dynamics.response_form import ResponseForm, response_form
from dyntheory.dynamics.two_time import ResidualDerivatives, two_time_responses
from dyntheory.gaussian.nodes import draw_nodes
from dyntheory.ground.precision import double_precision
from dyntheory.problem.shape import Shape
from tests.oracles import deep_linear, two_time

STEPS, RATE, ALPHA = 6, 0.5, 2.0
HEAD = {"layer_2": {"weights": np.array([[0.9, -0.6]])}}
MOMENT, OVERLAP = np.array([[1.0, 0.1], [0.1, 0.8]]), np.array([[0.3], [0.0]])
JOINT = np.block([[np.eye(1), OVERLAP.T], [OVERLAP, MOMENT]])
LAW = dt.TeacherStudent(ALPHA, "sin_mixture", 0.3)
NETWORK = dt.MLP((2,), "tanh")
MOMENTS: dict[str, Any] = {
    "second_moment": MOMENT,
    "teacher_overlap": OVERLAP,
    "teacher_second_moment": np.eye(1),
}


def _method(**numbers: Any) -> dt.GeneralFirstOrderMethod:
    return dt.gradient_descent(NETWORK, optax.sgd, **{"learning_rate": RATE, **numbers})


@functools.cache
def _found() -> dt.ResponseFunctions:
    start = dt.FirstLayer(second_moment=MOMENT, teacher_overlap=OVERLAP)
    return dt.responses(
        LAW, _method(), num_steps=STEPS, key=jax.random.key(0), head=HEAD, first_layer=start, num_nodes=2**13
    )


@functools.cache
def _oracle() -> two_time.TwoTime:
    return two_time.solve(
        NETWORK.apply_head,
        HEAD,
        lambda z: z[0] + 0.5 * jnp.sin(2 * z[0]),
        alpha=ALPHA,
        learning_rate=RATE,
        noise_std=0.3,
        num_steps=STEPS,
        num_nodes=2**14,
        **MOMENTS,
    )


def _worst(ours: Any, theirs: Any, error: Any) -> float:
    """Return the largest difference in units of what is allowed: 3 reported errors or 0.3 % of the largest value."""
    allowed = np.maximum(3 * np.asarray(error), 0.003 * np.abs(theirs).max())
    return float(np.max(np.abs(np.asarray(ours) - theirs) / allowed))


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("weight_covariance", "weight_covariance"),
        ("residual_covariance", "residual_moment"),
        ("weight_response", "A"),
        ("residual_response", "B"),
        ("teacher_response", "B_star"),
    ],
)
def test_agrees_with_an_independent_solver(name: str, theirs: str) -> None:
    """The other solver builds its run from the responses and shares no code; it has no residual at the last state."""
    expected = getattr(_oracle(), theirs)
    places = tuple(slice(length) for length in expected.shape)
    ours, error = getattr(_found(), name)[places], getattr(_errors(), name)[places]
    assert _worst(ours, expected, error) < 1
    assert np.max(error) < 0.02 * np.max(np.abs(expected))
    if name.endswith("response"):
        assert _worst(np.roll(ours, 1, axis=0), expected, error) > 3


def test_what_memory_leaves_has_the_covariance_of_the_weights() -> None:
    """u^t = h^t − Σ A_ts g^s; with half of the memory subtracted the identity must fail."""
    found, error = _found(), _errors().gaussian_covariance
    assert _worst(found.gaussian_covariance, found.weight_covariance, error) < 1
    assert _worst(_rebuilt(0.5), found.weight_covariance, error) > 3


def _errors() -> dt.ResponseFunctions:
    errors = _found().standard_error
    assert errors is not None
    return errors


def _rebuilt(share: float) -> np.ndarray:
    """Return the covariance of h^t − share Σ A_ts g^s, built from the overlaps alone.

    It needs E[g^t u^sᵀ], which is by parts: α E[g^t u^sᵀ] = Σ_q B_tq C_qs + B_t⋆ E[w* w^s].
    """
    found = _found()
    a, c = found.weight_response, found.weight_covariance
    cross = np.einsum("tqab,qsbc->tsac", found.residual_response, c)
    cross = (cross + np.einsum("tar,sbr->tsab", found.teacher_response, found.teacher_overlap)) / ALPHA
    kept = 1 - share
    mixed = np.einsum("tqab,qsbc->tsac", a, cross)
    square = np.einsum("tqab,qpbc,spdc->tsad", a, found.residual_covariance, a)
    return c + kept * (mixed + mixed.transpose(1, 0, 3, 2)) + kept**2 * square


def test_the_dictionary_of_the_slides() -> None:
    """ρ solves the recursion of the slides from τ alone, and Cov(U^t, U^s) = Σ ρ Σ ρᵀ is our overlap."""
    found, scale = _found(), RATE / ALPHA
    rho = two_time.slides_rho(found.residual_response[:-1, :-1], scale)
    np.testing.assert_allclose(found.rho, rho, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(found.tau[1:, 1:], -scale * found.residual_response[:-1, :-1], rtol=1e-12)
    solution: Any = types.SimpleNamespace(
        B=found.residual_response[:-1, :-1],
        B_star=found.teacher_response[:-1],
        residual_moment=found.residual_covariance[:-1, :-1],
        node_covariance=found.weight_covariance,
    )
    left, right = two_time.slides_identity(solution, alpha=ALPHA, learning_rate=RATE, **MOMENTS)
    assert _worst(right, left, _errors().gaussian_covariance) < 1


@pytest.mark.usefixtures("double")
def test_responses_are_the_derivatives_of_the_recursion() -> None:
    """Brute force: differentiate u -> (g^0, …, g^T) of every row with A held fixed, for matrices without symmetry."""
    random, (states, rows, k) = np.random.default_rng(3), (4, 3, 2)
    mix, u = jnp.asarray(random.normal(size=(k, k))), jnp.asarray(random.normal(size=(rows, states, k)))
    weights, alpha = jnp.asarray([0.2, 0.5, 0.3]), jnp.asarray(2.0)
    impulse = _impulses(_method(momentum=0.6), states - 1)

    def residuals(u: jax.Array, z: jax.Array, weight: jax.Array) -> tuple[jax.Array, jax.Array]:
        h, g = [], []
        for t in range(states):
            h.append(u[t] + sum(weight[t, s] @ g[s] for s in range(t)) if t else u[t])
            g.append(jnp.tanh(mix @ h[t]) * (1 + z))
        return jnp.stack(g), jnp.stack(h)

    def along(weight: jax.Array) -> Any:
        g, _ = jax.vmap(lambda row: residuals(row, jnp.zeros(1), weight))(u)
        jacobian = jnp.einsum("nta,ab->tnab", 1 - g**2, mix)
        direct = jnp.moveaxis(g, 1, 0)[..., None]
        return two_time_responses(ResidualDerivatives(jnp.moveaxis(g, 1, 0), jacobian, direct), impulse, weights, alpha)

    found = along(jnp.zeros((states, states, k, k)))
    for _ in range(states):
        found = along(found.weight)
    weight = found.weight
    in_u, in_z = jax.vmap(jax.jacfwd(lambda u, z: residuals(u, z, weight)[0], argnums=(0, 1)), in_axes=(0, None))(
        u, jnp.zeros(1)
    )
    expected = 2.0 * jnp.einsum("n,ntasb->tsab", weights, in_u)
    np.testing.assert_allclose(found.residual, expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(found.teacher, 2.0 * jnp.einsum("n,ntar->tar", weights, in_z), rtol=1e-10, atol=1e-12)
    projected = jnp.einsum("tqab,qsbc->tsac", expected, weight) + jnp.einsum("ts,ac->tsac", jnp.eye(states), jnp.eye(k))
    np.testing.assert_allclose(weight, jnp.einsum("trab,rsbc->tsac", impulse.gradient, projected), rtol=1e-10)


def _impulses(method: dt.GeneralFirstOrderMethod, num_steps: int) -> ImpulseResponse:
    shared = method.init_shared(HEAD, jnp.asarray(ALPHA), method.hyperparameters)
    always = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (num_steps, *jnp.shape(leaf))), shared)
    return impulse_response(method, shared, always, num_steps)


def _decayed(learning_rate: Any, decay: Any) -> optax.GradientTransformation:
    return optax.chain(optax.add_decayed_weights(decay), optax.sgd(learning_rate))


@pytest.mark.usefixtures("double")
def test_impulses_of_known_optimizers() -> None:
    lag = np.subtract.outer(np.arange(5), np.arange(5))
    geometric = np.where(lag > 0, (1 - 0.6 ** np.maximum(lag, 0)) / (1 - 0.6), 0)
    heavy = _method(momentum=0.6)
    found = _impulses(heavy, 4)
    np.testing.assert_allclose(found.gradient, -RATE / ALPHA * geometric[..., None, None] * np.eye(2), atol=1e-14)
    decayed = dt.gradient_descent(NETWORK, _decayed, learning_rate=RATE, decay=0.2)
    found = _impulses(decayed, 4)
    kept = np.where(lag > 0, 0.9 ** np.maximum(lag - 1, 0), 0)
    np.testing.assert_allclose(found.gradient, -RATE / ALPHA * kept[..., None, None] * np.eye(2), atol=1e-14)
    np.testing.assert_allclose(found.initial, 0.9 ** np.arange(5)[:, None, None] * np.eye(2), atol=1e-14)


def _engine(law: dt.TeacherStudent, method: dt.GeneralFirstOrderMethod, *problem: Any, **options: Any) -> ResponseForm:
    """Run the response engine on 2^13 nodes."""
    k, r, steps = method.num_units, law.num_teacher_units, options["num_steps"]
    with double_precision():
        nodes = draw_nodes(2**13, Shape(steps, k, r).sample_dimensions, num_heavy=r, seed=7)
        test_nodes = draw_nodes(2**13, Shape.of(law, method, 0).test_dimensions, num_heavy=r, seed=8)
        run = jax.jit(functools.partial(response_form, **options))
        return jax.tree.map(np.asarray, run(law, method, *problem, nodes, test_nodes))


@pytest.mark.parametrize("memory", [True, False])
def test_the_response_engine_agrees_with_predict(memory: bool) -> None:
    """With momentum; without the memory term it must not."""
    method = _method(learning_rate=0.2, momentum=0.7)
    found = _engine(LAW, method, HEAD, JOINT, num_steps=STEPS, memory=memory).curves
    theory = _prediction()
    for name, ours in (("test_error", found.test_error), ("train_error", found.records.train_error)):
        worst = _worst(ours, getattr(theory, name), getattr(theory.standard_error, name))
        assert worst < 1 if memory else worst > 3


@functools.cache
def _prediction() -> dt.Trajectory:
    method = _method(learning_rate=0.2, momentum=0.7)
    start = dt.FirstLayer(MOMENT, OVERLAP)
    return dt.predict(LAW, method, num_steps=STEPS, key=jax.random.key(2), head=HEAD, first_layer=start)


def test_the_response_engine_is_exact_for_deep_linear_networks() -> None:
    """Three layers, two teacher directions, momentum; moments of all weights as well."""
    teacher, overlap = np.array([[1.0, 0.3], [0.3, 2.0]]), np.array([[0.3, 0.1], [0.0, -0.2]])
    network = dt.MLP((2, 2), "linear")
    law = dt.TeacherStudent(1.3, lambda z: z[0] - 0.4 * z[1], 0.3, teacher_second_moment=teacher)
    method = dt.gradient_descent(network, optax.sgd, learning_rate=0.2, momentum=0.6)
    with double_precision():
        head = network.init_head(jax.random.key(1))
    joint = np.block([[teacher, overlap.T], [overlap, np.eye(2)]])
    found = _engine(law, method, head, joint, num_steps=12).curves
    exact = deep_linear.solve(
        [np.asarray(head[f"layer_{i}"]["weights"]) for i in (2, 3)],
        np.array([1.0, -0.4]),
        alpha=1.3,
        learning_rate=0.2,
        momentum=0.6,
        noise_std=0.3,
        num_steps=12,
        second_moment=np.eye(2),
        teacher_overlap=overlap,
        teacher_second_moment=teacher,
    )
    np.testing.assert_allclose(found.test_error, exact.test_error, rtol=1e-9)
    np.testing.assert_allclose(found.records.train_error, exact.train_error, rtol=1e-9)
    np.testing.assert_allclose(found.records.gram[:, 2:, 2:], exact.weight_overlap, atol=1e-9)


@pytest.mark.parametrize(
    ("law", "method", "options", "error", "message"),
    [
        (LAW, dt.gradient_descent(dt.MLP((2,), "relu"), learning_rate=0.1), {}, ValueError, "relu.*jumps"),
        (dt.TeacherStudent(2.0, "sign"), _method(), {}, ValueError, "the link sign jumps"),
        (LAW, dt.gradient_descent(NETWORK, optax.adam, learning_rate=0.1), {}, ValueError, "is linear in gradients"),
        (LAW, _method(), {"num_steps": 100, "max_operations": 1e9}, ValueError, "take about .* lower `num_steps`"),
        (LAW, dt.mini_batches(_method(), 0.5), {}, ValueError, "keeps states of its samples or draws uniforms"),
        (LAW, _method(), {"num_nodes": 1000}, ValueError, "`num_nodes` must be a power of two, got 1000"),
        (LAW, _method(), {"num_steps": 2.0}, TypeError, "`num_steps` must be an integer"),
        ("sin", _method(), {}, TypeError, "`law` must be a law"),
    ],
)
def test_bad_input_is_refused(law: Any, method: Any, options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        dt.responses(law, method, **{"num_steps": 2, "key": jax.random.key(0), **options})

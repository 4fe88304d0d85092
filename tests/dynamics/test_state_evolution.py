"""The pure core: safe under jit, vmap, grad; no recompilation for new numbers; clear about float32."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import dyntheory as dt
from dyntheory.gaussian.nodes import NodeSet, draw_nodes
from dyntheory.problem.shape import Shape
from dyntheory.verbs.prediction import pieces

STEPS = 5
NETWORK = dt.MLP((2,), "tanh")


@functools.cache
def _nodes() -> tuple[NodeSet, NodeSet]:
    method = dt.gradient_descent(NETWORK, optax.sgd, learning_rate=0.1)
    law = dt.TeacherStudent(2.0, "sin_mixture")
    return (
        draw_nodes(2**10, Shape(STEPS, 2, 1).sample_dimensions, num_heavy=1, seed=0),
        draw_nodes(2**10, Shape.of(law, method, 0).test_dimensions, num_heavy=1, seed=1),
    )


def _test_error(
    rate: Any = 0.4,
    alpha: Any = 2.0,
    noise: Any = 0.3,
    scale: Any = 1.0,
    network: dt.MLP = NETWORK,
    **numbers: Any,
) -> jax.Array:
    law = dt.TeacherStudent(alpha, "sin_mixture", noise)
    method = dt.gradient_descent(network, optax.sgd, learning_rate=rate, **numbers)
    head = {"layer_2": {"weights": jnp.asarray([[0.9, -0.6]])}}
    joint = jnp.diag(jnp.stack([jnp.ones(()), scale * jnp.ones(()), scale * jnp.ones(())]))
    return dt.state_evolution(law, method, head, joint, *_nodes(), num_steps=STEPS).test_error[-1]


@pytest.mark.full
@pytest.mark.usefixtures("double")
def test_vmap_over_numbers_equals_a_loop() -> None:
    rates, alphas = jnp.asarray([0.1, 0.3, 0.5]), jnp.asarray([1.0, 2.0, 3.0])
    together = jax.jit(jax.vmap(_test_error))(rates, alphas)
    single = jax.jit(_test_error)
    np.testing.assert_allclose(together, [single(r, a) for r, a in zip(rates, alphas, strict=True)], rtol=1e-10)


def test_new_numbers_do_not_recompile(key: jax.Array) -> None:
    def solve(rate: float, alpha: float, noise: float) -> None:
        law = dt.TeacherStudent(alpha, "sin_mixture", noise)
        dt.predict(
            law,
            dt.gradient_descent(NETWORK, optax.sgd, learning_rate=rate),
            num_steps=2,
            key=key,
            num_nodes=2**11,
        )

    solve(0.1, 1.0, 0.2)
    programs: list[Any] = [pieces._begin, pieces._grow, *pieces._ADVANCE.values(), pieces._test_metrics]
    before = [program.num_programs for program in programs]
    solve(0.3, 2.0, 0.4)
    assert [program.num_programs for program in programs] == before


@pytest.mark.full
def test_float32_says_so_and_is_close() -> None:
    with pytest.warns(dt.DyntheoryWarning, match="computes in float32"):
        single = _test_error()
    with jax.enable_x64(True):
        double = _test_error()
    assert single.dtype == jnp.float32
    np.testing.assert_allclose(single, double, rtol=2e-3)


def test_verbs_compute_in_double_and_leak_nothing(law: dt.TeacherStudent, key: jax.Array) -> None:
    method = dt.gradient_descent(NETWORK, optax.sgd, learning_rate=0.3)
    theory = dt.predict(law, method, num_steps=2, key=key, num_nodes=2**11)
    runs = dt.simulate(law, method, num_steps=2, num_features=20, num_runs=2, key=key)
    for result in (theory, runs):
        for leaf in jax.tree.leaves([result.test_error, result.train_loss, result.weight_overlap, result.head]):
            assert isinstance(leaf, np.ndarray) and leaf.dtype == np.float64
    assert jnp.ones(()).dtype == jnp.float32
    assert not jax.config.jax_enable_x64  # pyright: ignore


def test_same_key_same_result_and_same_head(law: dt.TeacherStudent, key: jax.Array) -> None:
    method = dt.gradient_descent(NETWORK, optax.sgd, learning_rate=0.3)
    first, again = (dt.predict(law, method, num_steps=2, key=key, num_nodes=2**11) for _ in range(2))
    runs = dt.simulate(law, method, num_steps=2, num_features=20, num_runs=2, key=key)
    np.testing.assert_array_equal(first.test_error, again.test_error)
    for ours, theirs in zip(jax.tree.leaves(first.head), jax.tree.leaves(runs.head), strict=True):
        np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-14)

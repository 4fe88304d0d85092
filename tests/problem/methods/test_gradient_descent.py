"""The method against a plain training loop on the same data, and the way its numbers are passed."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import dyntheory as dt
from dyntheory.dynamics.loop import Records, Start, run
from dyntheory.dynamics.observables import rows_of
from dyntheory.matrix.dense import DenseMatrix
from tests.oracles import dense_loop

NETWORK = dt.MLP((3, 2), "gelu")


def _data(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.standard_normal((40, 25)), random.standard_normal((25, 4)), random.standard_normal((40, 1))


def _ours(method: dt.GeneralFirstOrderMethod, head: Any, num_steps: int = 8) -> Records:
    inputs, weights, noise = _data()
    law = dt.TeacherStudent(1.6, "tanh", 0.2)
    start = Start(
        teacher_weights=jnp.asarray(weights[:, :1]),
        weights=jnp.asarray(weights[:, 1:]),
        label_noise=jnp.asarray(noise),
        head=head,
        samples_per_feature=jnp.asarray(40 / 25),
    )
    matrix = DenseMatrix(jnp.asarray(inputs))
    return run(law, method, matrix, start, num_steps=num_steps, record=rows_of("weights"))


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("momentum", [0.0, 0.7])
def test_follows_a_plain_training_loop(momentum: float) -> None:
    inputs, weights, noise = _data()
    head = NETWORK.init_head(jax.random.key(0))
    method = dt.gradient_descent(NETWORK, optax.sgd, learning_rate=0.3, momentum=momentum)
    ours = _ours(method, head)
    labels = np.tanh(inputs @ weights[:, 0] / 5.0) + 0.2 * noise[:, 0]
    plain = dense_loop.train(
        inputs, labels, weights[:, 1:], NETWORK.apply_head, head, learning_rate=0.3, num_steps=8, momentum=momentum
    )
    np.testing.assert_allclose(ours.train_error, plain.train_error, rtol=1e-10)


@pytest.mark.usefixtures("double")
def test_head_may_have_its_own_optimizer() -> None:
    head = NETWORK.init_head(jax.random.key(0))
    frozen = _ours(dt.gradient_descent(NETWORK, head_optimizer=optax.set_to_zero(), learning_rate=0.3), head)
    for path, first in zip(jax.tree.leaves(frozen.head), jax.tree.leaves(head), strict=True):
        np.testing.assert_array_equal(path, np.broadcast_to(first, path.shape))
    same = _ours(dt.gradient_descent(NETWORK, learning_rate=0.3), head)
    apart = _ours(dt.gradient_descent(NETWORK, learning_rate=0.3, head_learning_rate=0.3), head)
    slower = _ours(dt.gradient_descent(NETWORK, learning_rate=0.3, head_learning_rate=0.1), head)
    np.testing.assert_allclose(same.train_error, apart.train_error, rtol=1e-12)
    assert not np.allclose(same.train_error, slower.train_error, rtol=1e-3)


@pytest.mark.full
def test_ready_transformation_is_the_factory_with_its_numbers() -> None:
    head = NETWORK.init_head(jax.random.key(0))
    ready = _ours(dt.gradient_descent(NETWORK, optax.sgd(0.3)), head)
    factory = _ours(dt.gradient_descent(NETWORK, optax.sgd, learning_rate=0.3), head)
    np.testing.assert_allclose(ready.train_error, factory.train_error, rtol=1e-5)


def test_same_problem_shares_its_functions() -> None:
    """New numbers are new data: nothing static changes, so nothing recompiles."""
    first, second = (dt.gradient_descent(NETWORK, optax.sgd, learning_rate=rate) for rate in (0.1, 0.2))
    assert jax.tree.structure(first) == jax.tree.structure(second)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"optimizer": optax.sgd}, "needs learning_rate"),
        ({"optimizer": optax.sgd, "learning_rat": 0.1}, "Did you mean 'learning_rate'"),
        ({"optimizer": optax.sgd, "learning_rate": float("nan")}, "`learning_rate` must be finite"),
        ({"optimizer": optax.sgd(0.1), "learning_rate": 0.1}, "already inside"),
        ({"optimizer": 0.1}, "must be an optax factory"),
        ({"optimizer": optax.sgd, "learning_rate": 0.1, "loss": "square"}, "Did you mean 'squared'"),
        ({"optimizer": optax.lars, "learning_rate": 0.1}, "not row-wise"),
        ({"optimizer": optax.sgd, "learning_rate": None}, "`learning_rate` must be a number or a schedule, got None"),
        ({"optimizer": optax.sgd, "learning_rate": True}, "must be a number or a schedule"),
        ({"optimizer": optax.sgd, "learning_rate": "0.5"}, "must be a number or a schedule"),
        ({"optimizer": optax.sgd, "learning_rate": [0.5]}, "must be a number or a schedule"),
        ({"optimizer": optax.sgd, "learning_rate": 0.1, "nesterov": 1}, "`nesterov` must be True or False"),
        ({"optimizer": optax.sgd, "learning_rate": 1e400}, "`learning_rate` must be finite"),
        ({"learning_rate": -0.1}, "`learning_rate` must be zero or positive, got -0.1"),
        ({"learning_rate": 0.1, "head_learning_rate": -2}, "`learning_rate` must be zero or positive, got -2"),
        ({"learning_rate": optax.constant_schedule(-0.1)}, "goes along the gradient"),
        ({"optimizer": optax.sgd(-0.1)}, "goes along the gradient"),
        ({"optimizer": optax.scale_by_adam()}, r"needs optax.scale\(-η\) after it"),
        ({"learning_rate": 0.1, "head_optimizer": optax.adam(-0.1)}, "goes along the gradient"),
        ({"learning_rate": 0.1, "head_optimizer": optax.adam}, "pass head_learning_rate=…"),
        (
            {"learning_rate": 0.1, "head_optimizer": optax.adam, "head_learning_rte": 0.1},
            "Did you mean 'head_learning_rate'",
        ),
        ({"learning_rate": 0.1, "head_optimizer": optax.add_noise(0.1, 0.5, 0)}, "draws random numbers of its own"),
        ({"learning_rate": 0.1, "head_optimizer": optax.lbfgs()}, "gradient and parameters alone"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        dt.gradient_descent(NETWORK, **arguments)


@pytest.mark.parametrize("network", ["mlp", dt.MLP, None])
def test_networks_that_are_none_are_refused(network: Any) -> None:
    with pytest.raises(TypeError, match="`network` must be a network such as MLP"):
        dt.gradient_descent(network, learning_rate=0.1)


def test_head_optimizer_may_couple_the_entries_of_the_head() -> None:
    head_optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(0.1))
    assert dt.gradient_descent(NETWORK, learning_rate=0.1, head_optimizer=head_optimizer).num_units == 3

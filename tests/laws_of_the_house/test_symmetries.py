"""Exact symmetries: units and samples may be permuted, features rotated under linear feature maps."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import dyntheory as dt
from dyntheory.dynamics.loop import Records, Start, run
from dyntheory.matrix.dense import DenseMatrix

pytestmark = pytest.mark.usefixtures("double")


@pytest.mark.full
def test_units_may_be_permuted(law: dt.TeacherStudent, key: jax.Array) -> None:
    """Linear networks are exact on any nodes, so permuted units give the same numbers."""
    network = dt.MLP((3, 2), "linear")
    method = dt.gradient_descent(network, optax.sgd, learning_rate=0.3)
    head = jax.tree.map(np.asarray, network.init_head(jax.random.key(0)))
    order = [2, 0, 1]
    permuted = {**head, "layer_2": {"weights": head["layer_2"]["weights"][:, order]}}
    overlap = np.array([[0.5], [0.1], [-0.3]])
    linear = dt.TeacherStudent(1.5, "linear", 0.3)
    first, second = (
        dt.predict(
            linear,
            method,
            num_steps=6,
            key=key,
            head=theta,
            num_nodes=2**10,
            first_layer=dt.FirstLayer(teacher_overlap=start),
        )
        for theta, start in ((head, overlap), (permuted, overlap[order]))
    )
    np.testing.assert_allclose(first.test_error, second.test_error, rtol=1e-10)
    assert first.teacher_overlap is not None and second.teacher_overlap is not None
    np.testing.assert_allclose(first.teacher_overlap[:, order], second.teacher_overlap, atol=1e-10)


def _train(law: dt.TeacherStudent, optimizer: object, inputs: np.ndarray, weights: np.ndarray) -> Records:
    network = dt.MLP((2,), "tanh")
    method = dt.gradient_descent(network, optimizer, learning_rate=0.2)  # pyright: ignore
    start = Start(
        teacher_weights=jnp.asarray(weights[:, :1]),
        weights=jnp.asarray(weights[:, 1:]),
        label_noise=jnp.asarray(np.random.default_rng(9).standard_normal((len(inputs), 1))),
        head=network.init_head(jax.random.key(1)),
        samples_per_feature=jnp.asarray(len(inputs) / inputs.shape[1]),
    )
    return run(law, method, DenseMatrix(jnp.asarray(inputs)), start, num_steps=5)


@pytest.mark.parametrize(("optimizer", "holds"), [(optax.sgd, True), (optax.adam, False)])
def test_features_may_be_rotated_for_linear_feature_maps(
    law: dt.TeacherStudent, optimizer: object, holds: bool
) -> None:
    random = np.random.default_rng(0)
    inputs, weights = random.standard_normal((30, 20)), random.standard_normal((20, 3))
    rotation, _ = np.linalg.qr(random.standard_normal((20, 20)))
    first = _train(law, optimizer, inputs, weights)
    second = _train(law, optimizer, inputs @ rotation, rotation.T @ weights)
    assert np.allclose(first.train_error, second.train_error, rtol=1e-11) is holds
    assert np.allclose(first.gram, second.gram, rtol=1e-11, atol=1e-12) is holds


def test_samples_may_be_permuted(law: dt.TeacherStudent) -> None:
    random = np.random.default_rng(0)
    inputs, weights = random.standard_normal((30, 20)), random.standard_normal((20, 3))
    silent = dt.TeacherStudent(1.5, "sin_mixture", 0.0)
    first = _train(silent, optax.sgd, inputs, weights)
    second = _train(silent, optax.sgd, inputs[::-1], weights)
    np.testing.assert_allclose(first.train_error, second.train_error, rtol=1e-12)

"""Test metrics: a fresh input sees no memory, (z, h) ~ N(0, C_t) with C_t the Gram matrix of [W*, W^t].

The expectation is taken on nodes of dimension r + k (+ outputs for losses whose label noise must be integrated). In the
limit it is the test error; with the actual weights of a run it is that run's population test error, with no test set.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Float

from dyntheory.gaussian.nodes import NodeSet
from dyntheory.ground.arrays import Array, PyTree
from dyntheory.ground.linear_algebra import rank_aware_cholesky
from dyntheory.matrix.dense import DenseMatrix
from dyntheory.matrix.orthonormal import orthonormal_on_nodes
from dyntheory.matrix.scaled import ScaledMatrix
from dyntheory.problem.laws.law import TeacherStudent
from dyntheory.problem.methods.method import GeneralFirstOrderMethod
from dyntheory.problem.shape import Shape


def matched_coordinates(nodes: NodeSet) -> Float[Array, "nodes dimensions"]:
    """Return the coordinates made exactly uncorrelated, of mean 0 and variance 1 under the weights."""
    coordinates, weights = nodes.as_arrays()
    constant = jnp.ones((1, coordinates.shape[1]), coordinates.dtype)
    return orthonormal_on_nodes(jnp.concatenate([constant, coordinates]), weights)[1:].T


def population_metrics(
    law: TeacherStudent,
    method: GeneralFirstOrderMethod,
    gram: Float[Array, "states m m"],
    head: PyTree,
    nodes: NodeSet,
) -> tuple[Float[Array, " states"], Float[Array, " states"]]:
    """Return (test_loss, test_error) at every recorded state.

    Args:
        law: how labels are made.
        method: its output, loss and error.
        gram: second moments of (w*, w^t), shape (states, r + k, r + k).
        head: heads with a leading axis of states.
        nodes: `Shape.test_dimensions` coordinates.
    """
    coordinates, weights = matched_coordinates(nodes), nodes.as_arrays()[1]
    r, wanted = law.num_teacher_units, Shape.of(law, method, 0).test_dimensions
    size = r + method.num_units
    if coordinates.shape[1] != wanted:
        raise ValueError(f"The test nodes must have {wanted} coordinates, got {coordinates.shape[1]}.")
    shift = method.noise_coefficients if law.has_additive_noise else None
    noise = coordinates[:, size:] if shift is None else jnp.zeros_like(coordinates[:, size:])
    # The teacher stays as it is, and so do labels: its rows of the root come first and depend on its moment alone.
    labels = jax.vmap(law.label)(coordinates[:, :r] @ rank_aware_cholesky(gram[0])[:r, :r].T, noise)

    def at_state(state: tuple[Array, PyTree]) -> tuple[Array, Array]:
        moment, theta = state
        students = coordinates[:, :size] @ rank_aware_cholesky(moment)[r:].T

        def metrics(row: Array, label: Array) -> tuple[Array, Array]:
            h = row if law.separation is None else row + law.separation * moment[r:, :r] @ label.reshape(r)
            prediction = method.output(theta, h)
            return method.loss(prediction, label), method.error(prediction, label)

        loss, error = jax.vmap(metrics)(students, labels)
        return weights @ loss, weights @ error

    loss, error = jax.lax.map(at_state, (gram, head))
    if shift is None:
        return loss, error
    variance = law.num_outputs * jnp.square(jnp.asarray(law.noise_std))
    return loss + shift[0] * variance, error + shift[1] * variance


def sample_metrics(
    law: TeacherStudent,
    method: GeneralFirstOrderMethod,
    matrix: DenseMatrix | ScaledMatrix,
    teacher_weights: Float[Array, "features teacher_units"],
    weights: Float[Array, "states features units"],
    head: PyTree,
) -> tuple[Float[Array, " states"], Float[Array, " states"]]:
    """Return (test_loss, test_error) at every state on given test rows, label noise added on average.

    Raises:
        ValueError: a loss whose label noise cannot be added on average.
    """
    shift = method.noise_coefficients if law.has_additive_noise else None
    if shift is None:
        raise ValueError("Test rows need a loss whose label noise adds a known amount; this one does not say.")
    _, z = matrix.times((), teacher_weights)
    clean = jax.vmap(law.clean_label)(z)

    def at_state(state: tuple[Array, PyTree]) -> tuple[Array, Array]:
        w, theta = state
        _, h = matrix.times((), w)
        prediction = jax.vmap(method.output, in_axes=(None, 0))(theta, h)
        loss, error = jax.vmap(method.loss)(prediction, clean), jax.vmap(method.error)(prediction, clean)
        return jnp.mean(loss), jnp.mean(error)

    loss, error = jax.lax.map(at_state, (weights, head))
    variance = law.num_outputs * jnp.square(jnp.asarray(law.noise_std))
    return loss + shift[0] * variance, error + shift[1] * variance

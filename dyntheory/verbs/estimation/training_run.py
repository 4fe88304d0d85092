"""One training run on given rows and labels, with everything that the maps saw: what an estimate is made of."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from dyntheory.dynamics.impulses import after_the_samples
from dyntheory.dynamics.loop import Start, run
from dyntheory.dynamics.observables import rows_of
from dyntheory.ground.arrays import Array, PyTree
from dyntheory.matrix.dense import DenseMatrix
from dyntheory.problem.methods.method import GeneralFirstOrderMethod


class TrainingRun(NamedTuple):
    """A run on n rows: the states 0..T that its maps saw.

    Args:
        shared: the shared value of every state, leading axis T + 1 on every leaf.
        preactivations: h^t = X w^t/√d.
        weights: first-layer weights w^t.
        labels: (samples,) or (samples, outputs).
        uniforms: what the sample map was given at every step, shape (T, samples, method.sample_noise).
        train_loss: mean loss of the rows.
        train_error: mean error of the rows.
        row_states: the method's state of every row before each step.
        residuals: g^t, what every row sent back at each step.
        feature_shared: the shared value that the feature map saw at each step: after the samples' statistics.
    """

    shared: PyTree
    preactivations: Float[Array, "states samples units"]
    weights: Float[Array, "states features units"]
    labels: Array
    uniforms: Float[Array, "steps samples uniforms"]
    train_loss: Float[Array, " states"]
    train_error: Float[Array, " states"]
    row_states: PyTree
    residuals: Float[Array, "steps samples units"]
    feature_shared: PyTree


def train_on(
    method: GeneralFirstOrderMethod,
    inputs: Float[Array, "samples features"],
    labels: Array,
    head: PyTree,
    weights: Float[Array, "features units"],
    uniforms: Float[Array, "steps samples uniforms"],
    *,
    num_steps: int,
) -> TrainingRun:
    """Run the method on these rows, which stand as X in h = X w/√d; pure, safe under jit and vmap.

    Args:
        method: any row-wise method.
        inputs: X.
        labels: (samples,) or (samples, outputs).
        head: the initial head.
        weights: the initial first layer.
        uniforms: that the sample map asks for, shape (T, samples, method.sample_noise).
        num_steps: T.
    """
    n, d = inputs.shape
    recording = dataclasses.replace(
        method,
        head_of=_identity,
        output=lambda shared, h: method.output(method.head_of(shared), h),
    )
    start = Start(
        teacher_weights=jnp.zeros((d, 1)),
        weights=weights,
        label_noise=jnp.zeros((n, 0)),
        head=head,
        samples_per_feature=jnp.asarray(n / d),
        sample_uniforms=uniforms,
    )
    records = run(
        labels,
        recording,
        DenseMatrix(inputs),
        start,
        num_steps=num_steps,
        record=rows_of("preactivations", "weights"),
    )
    shared, h, path = records.head, records.recorded["preactivations"], records.recorded["weights"]
    replayed = _replayed(method, shared, h, labels, uniforms)
    return TrainingRun(shared, h, path, labels, uniforms, records.train_loss, records.train_error, *replayed)


def _replayed(
    method: GeneralFirstOrderMethod, shared: PyTree, h: Array, labels: Array, uniforms: Array
) -> tuple[PyTree, Float[Array, "steps samples units"], PyTree]:
    """Send recorded preactivations through the sample map again.

    Returns:
        Row states before each step, residuals, and the shared value after the samples.
    """
    equal = jnp.full(labels.shape[0], 1.0 / labels.shape[0])

    def step(states: PyTree, seen: tuple[PyTree, Array, Array]) -> tuple[PyTree, tuple[PyTree, Array, PyTree]]:
        shared, h, uniforms = seen
        sample_map = jax.vmap(method.sample_map, in_axes=(0, 0, 0, None, 0))
        after, residuals, stats = sample_map(states, h, labels, shared, uniforms)
        return after, (states, residuals, after_the_samples(method, shared, stats, equal))

    before = jax.tree.map(lambda leaf: leaf[:-1], shared)
    first = jax.vmap(method.init_sample, in_axes=(0, None))(labels, jax.tree.map(lambda leaf: leaf[0], shared))
    return jax.lax.scan(step, first, (before, h[:-1], uniforms))[1]


def row_metrics(
    method: GeneralFirstOrderMethod, shared: PyTree, rows: Float[Array, "states rows units"], labels: Array
) -> tuple[Float[Array, "states rows"], Float[Array, "states rows"]]:
    """Return loss and error of rows of preactivations at every state."""

    def one(shared: PyTree, h: Array, label: Array) -> tuple[Array, Array]:
        prediction = method.output(method.head_of(shared), h)
        return method.loss(prediction, label), method.error(prediction, label)

    return jax.vmap(jax.vmap(one, in_axes=(None, 0, 0)), in_axes=(0, 0, None))(shared, rows, labels)


def _identity(shared: PyTree) -> PyTree:
    return shared

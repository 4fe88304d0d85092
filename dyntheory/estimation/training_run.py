"""One training run on given rows and labels, with everything that the maps saw: what an estimate is made of."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from dyntheory._typing import Array, Key, PyTree
from dyntheory.dynamics import Start, run
from dyntheory.law import TeacherStudent
from dyntheory.links import Link
from dyntheory.matrix.dense import DenseMatrix
from dyntheory.method import GeneralFirstOrderMethod


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
    """

    shared: PyTree
    preactivations: Float[Array, "states samples units"]
    weights: Float[Array, "states features units"]
    labels: Array
    uniforms: Float[Array, "steps samples uniforms"]
    train_loss: Float[Array, " states"]
    train_error: Float[Array, " states"]


def _given(z: Array, noise: Array, noise_std: Array) -> Array:
    del z, noise_std
    return noise


def _given_number(z: Array, noise: Array, noise_std: Array) -> Array:
    del z, noise_std
    return noise[0]


def train_on(
    method: GeneralFirstOrderMethod,
    inputs: Float[Array, "samples features"],
    labels: Array,
    head: PyTree,
    weights: Float[Array, "features units"],
    key: Key,
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
        key: of the uniforms that the maps ask for.
        num_steps: T.
    """
    (n, d), is_number = inputs.shape, labels.ndim == 1
    link = Link("given", _given_number if is_number else _given, smooth=False, takes_noise=True)
    recording = dataclasses.replace(
        method,
        head_of=_identity,
        output=lambda shared, h: method.output(method.head_of(shared), h),
    )
    uniforms = jax.random.uniform(key, (num_steps, n, method.sample_noise), float)
    start = Start(
        teacher_weights=jnp.zeros((d, 1)),
        weights=weights,
        label_noise=labels[:, None] if is_number else labels,
        head=head,
        samples_per_feature=jnp.asarray(n / d),
        sample_uniforms=uniforms,
    )
    records = run(
        TeacherStudent(1.0, link=link),
        recording,
        DenseMatrix(inputs),
        start,
        num_steps=num_steps,
        keep_preactivations=True,
        keep_weights=True,
    )
    if records.preactivations is None or records.weights is None:
        raise AssertionError("The run kept no rows.")
    return TrainingRun(
        records.head,
        records.preactivations,
        records.weights,
        labels,
        uniforms,
        records.train_loss,
        records.train_error,
    )


def _identity(shared: PyTree) -> PyTree:
    return shared

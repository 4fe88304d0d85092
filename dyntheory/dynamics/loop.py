"""The one loop: reveal the labels, iterate the maps, record the state before each update.

The loop asks a matrix its two questions and nothing else, so a simulation and a prediction are the same code.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from dyntheory.dynamics.class_means import ClassMeans
from dyntheory.dynamics.observables import Record, View
from dyntheory.ground.arrays import Array, PyTree
from dyntheory.matrix.answers import Matrix
from dyntheory.problem.laws.law import TeacherStudent
from dyntheory.problem.methods.method import GeneralFirstOrderMethod


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Start:
    """What a run starts from: rows on both sides, in whatever coordinates the matrix uses.

    Args:
        teacher_weights: W*, shape (features, r); may have no column where labels are given.
        weights: W⁰, shape (features, k).
        label_noise: ξ, shape (samples, outputs); not looked at where labels are given.
        head: the head θ⁰.
        samples_per_feature: α; the realised n/d at finite size.
        sample_uniforms: shape (T, samples, method.sample_noise), or None when the method asks for none.
        feature_uniforms: shape (T, features, method.feature_noise), or None.
    """

    teacher_weights: Float[Array, "features teacher_units"]
    weights: Float[Array, "features units"]
    label_noise: Float[Array, "samples outputs"]
    head: PyTree
    samples_per_feature: Array
    sample_uniforms: Array | None = None
    feature_uniforms: Array | None = None


class Records(NamedTuple):
    """States before each update, T + 1 of them (leading axis).

    `gram` is the second moment of the rows (w*, w^t), shape (T+1, r + k, r + k). `recorded` is what was asked for, by
    name. `residual_share` is the largest part of the train error that one sample carries.
    """

    train_loss: Float[Array, " states"]
    train_error: Float[Array, " states"]
    gram: Float[Array, "states m m"]
    head: PyTree
    labels: Array
    recorded: dict[str, PyTree]
    residual_share: Float[Array, " states"] | None = None


class Carry(NamedTuple):
    """A run between two updates: what it needs to go on. `preactivation` is that of the present weights."""

    matrix_state: Any
    sample_states: PyTree
    feature_states: PyTree
    weights: Array
    preactivation: Array
    shared: PyTree


class Fixed(NamedTuple):
    """What stays the same during a run: the maps, the matrix, the labels, the teacher and the means of classes."""

    method: GeneralFirstOrderMethod
    matrix: Matrix
    labels: Array
    teacher_weights: Array
    means: ClassMeans


def begin(
    law: TeacherStudent | Array, method: GeneralFirstOrderMethod, matrix: Matrix, start: Start, record: Record = ()
) -> tuple[Fixed, Carry, Records]:
    """Reveal the labels, if a law and not they are given, and the first preactivation; record state 0 as well."""
    rows = jnp.concatenate([start.teacher_weights, start.weights], axis=1)
    matrix_state, first = matrix.times(matrix.init(), rows)
    z, h = jnp.split(first, [start.teacher_weights.shape[1]], axis=1)
    if isinstance(law, TeacherStudent):
        labels, separation = jax.vmap(law.label)(z, start.label_noise), law.separation
    else:
        labels, separation = law, None
    means = ClassMeans(separation, labels, start.teacher_weights, start.samples_per_feature)
    shared = method.init_shared(start.head, start.samples_per_feature, method.hyperparameters)
    sample_states = jax.vmap(method.init_sample, in_axes=(0, None))(labels, shared)
    feature_states = jax.vmap(method.init_feature, in_axes=(0, None))(start.weights, shared)
    fixed = Fixed(method, matrix, labels, start.teacher_weights, means)
    h = h + means.of_samples(matrix, start.weights)
    carry = Carry(matrix_state, sample_states, feature_states, start.weights, h, shared)
    return fixed, carry, _recorded(fixed, carry, record)


def grow(fixed: Fixed, carry: Carry, *, num_steps: int) -> Carry:
    """Make room for that many more steps."""
    return carry._replace(matrix_state=fixed.matrix.grow(carry.matrix_state, num_steps))


def advance(
    fixed: Fixed,
    carry: Carry,
    uniforms: tuple[Array, Array],
    record: Record = (),
    *,
    num_steps: int,
    rematerialize: bool = False,
) -> tuple[Carry, Records]:
    """Make that many updates; return the records of the states after them."""

    def step(carry: Carry, uniforms: tuple[Array, Array]) -> tuple[Carry, Records]:
        carry = _update(fixed, carry, *uniforms)
        return carry, _recorded(fixed, carry, record)

    scan = _scan_in_blocks if rematerialize else jax.lax.scan
    return scan(step, carry, uniforms, length=num_steps)


def _scan_in_blocks(step: Any, carry: Any, xs: PyTree, *, length: int) -> tuple[Any, PyTree]:
    """Scan in blocks of √length steps, of which a derivative keeps the first carry and makes the others again.

    The carry holds the whole basis, so a derivative keeps about 2√length bases instead of several for every step.
    """
    size = math.isqrt(length)
    count = length // size

    def block(carry: Any, xs: PyTree) -> tuple[Any, PyTree]:
        return jax.lax.scan(jax.checkpoint(step), carry, xs)

    whole = jax.tree.map(lambda x: x[: count * size].reshape(count, size, *x.shape[1:]), xs)
    carry, blocks = jax.lax.scan(jax.checkpoint(block), carry, whole)
    if count * size == length:
        return carry, jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), blocks)
    carry, rest = block(carry, jax.tree.map(lambda x: x[count * size :], xs))
    return carry, jax.tree.map(lambda a, b: jnp.concatenate([a.reshape(-1, *b.shape[1:]), b]), blocks, rest)


def run(
    law: TeacherStudent | Array,
    method: GeneralFirstOrderMethod,
    matrix: Matrix,
    start: Start,
    *,
    num_steps: int,
    record: Record = (),
    rematerialize: bool = False,
) -> Records:
    """Run `method` on data of `law` for `num_steps` updates; pure, safe under jit, vmap and grad.

    Args:
        law: how labels are made, or the labels themselves, (samples,) or (samples, outputs).
        method: the row-wise maps.
        matrix: a dense, revealed or limit matrix.
        start: rows to start from.
        num_steps: T, static.
        record: what is recorded at every state beside the curves, see `dyntheory.dynamics.observables`; static.
        rematerialize: bound the memory of derivatives; values are the same, a gradient takes about twice the time.
    """
    fixed, carry, first = begin(law, method, matrix, start, record)
    uniforms = (
        _uniforms(start.sample_uniforms, num_steps, fixed.labels.shape[0], method.sample_noise, fixed.labels.dtype),
        _uniforms(start.feature_uniforms, num_steps, start.weights.shape[0], method.feature_noise, fixed.labels.dtype),
    )
    pieces, done = [jax.tree.map(lambda leaf: leaf[None], first)], 0
    for length in matrix.segments(num_steps):
        carry = grow(fixed, carry, num_steps=length)
        now = jax.tree.map(lambda u, a=done, b=done + length: u[a:b], uniforms)
        carry, records = advance(fixed, carry, now, record, num_steps=length, rematerialize=rematerialize)
        pieces.append(records)
        done += length
    stacked = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *pieces)
    return stacked._replace(labels=fixed.labels)


def _uniforms(given: Array | None, num_steps: int, rows: int, count: int, dtype: Any) -> Array:
    if given is None and count:
        raise ValueError(f"The method asks for {count} uniforms a row and step, and the start has none.")
    return jnp.zeros((num_steps, rows, 0), dtype) if given is None else given


def _recorded(fixed: Fixed, carry: Carry, record: Record) -> Records:
    method, matrix = fixed.method, fixed.matrix
    head, h = method.head_of(carry.shared), carry.preactivation

    def metrics(row: Array, label: Array) -> tuple[Array, Array]:
        prediction = method.output(head, row)
        return method.loss(prediction, label), method.error(prediction, label)

    losses, errors = jax.vmap(metrics)(h, fixed.labels)
    train_loss, train_error = matrix.row_mean((losses, errors))
    rows = jnp.concatenate([fixed.teacher_weights, carry.weights], axis=1)
    view = View(carry.shared, h, fixed.labels, fixed.teacher_weights, carry.weights, matrix)
    return Records(
        train_loss=train_loss,
        train_error=train_error,
        gram=matrix.column_gram(rows, rows),
        head=head,
        labels=jnp.zeros(()),
        recorded={name: observable(view) for name, observable in record},
        residual_share=_largest_share(matrix, errors, train_error),
    )


def _largest_share(matrix: Matrix, values: Array, mean: Array) -> Array:
    """Return max_i ω_i |v_i| / |Σ ω v|; a mean is linear, so its derivative is the weights ω of the samples."""
    weights = jax.grad(matrix.row_mean)(jnp.zeros_like(values))
    return jnp.max(jnp.abs(weights * values)) / jnp.maximum(jnp.abs(mean), jnp.finfo(values.dtype).tiny)


def _update(fixed: Fixed, carry: Carry, sample_uniforms: Array, feature_uniforms: Array) -> Carry:
    method, matrix = fixed.method, fixed.matrix
    sample_map = jax.vmap(method.sample_map, in_axes=(0, 0, 0, None, 0))
    sample_states, g, stats = sample_map(
        carry.sample_states, carry.preactivation, fixed.labels, carry.shared, sample_uniforms
    )
    shared = method.after_samples(carry.shared, matrix.row_mean(stats))
    matrix_state, p = matrix.transpose_times(carry.matrix_state, g)
    p = p + fixed.means.of_features(matrix, g)
    feature_map = jax.vmap(method.feature_map, in_axes=(0, 0, None, 0))
    feature_states, weights, stats = feature_map(carry.feature_states, p, shared, feature_uniforms)
    shared = method.after_features(shared, matrix.column_mean(stats))
    matrix_state, h = matrix.times(matrix_state, weights)
    h = h + fixed.means.of_samples(matrix, weights)
    return Carry(matrix_state, sample_states, feature_states, weights, h, shared)

"""One network of finite width, trained: the parametrisation of `dyntheory.wide.network`, without any theory.

Weights are kept as the optimizer of the limit sees them: W^0 and a as they are, hidden matrices times √N_l (for Adam a
step of size η on that is a step of size η/√N_l on W^l). Gradients are γ₀² N_L times those of the loss, and N_l times
more on a hidden matrix that is kept like this.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from dyntheory.ground.arrays import Array, Key, PyTree
from dyntheory.problem.methods.hyperparameters import build
from dyntheory.problem.methods.row_wise import update_row
from dyntheory.wide.moved import Rules, Task
from dyntheory.wide.step import alignment, tangent_kernel


class Record(NamedTuple):
    """What is recorded of a network at every state; kernels are () where they are not kept."""

    train_outputs: Float[Array, "states inputs outputs"]
    test_outputs: Float[Array, "states tests outputs"]
    alignment: Float[Array, " states"]
    feature_alignment: Float[Array, " states"]
    sharpness: Float[Array, " states"]
    forward_kernels: Any
    backward_kernels: Any
    ntk: Any


def initial_weights(rules: Rules, widths: tuple[int, ...], num_features: int, key: Key) -> PyTree:
    """Draw W^0, …, a; biases are zero."""
    sizes = [(widths[0], num_features), *((b, a) for a, b in itertools.pairwise(widths))]
    keys = jax.random.split(key, len(sizes) + 1)
    scales = [1.0, *(width**0.5 for width in widths[:-1])]
    matrices = [
        scale * jax.random.normal(one, size, float) for one, size, scale in zip(keys, sizes, scales, strict=False)
    ]
    matrices.append(jax.random.normal(keys[-1], (rules.num_outputs, widths[-1]), float))
    biases = [jnp.zeros(len(matrix)) for matrix in matrices] if rules.use_bias else []
    return {"matrices": matrices, "biases": biases}


def forward(rules: Rules, weights: PyTree, inputs: Array, richness: Array) -> tuple[Array, list[Array]]:
    """Return f (inputs, outputs) and the preactivations (inputs, N_l) of every layer, given x/√D."""
    signal, hidden, matrices = inputs, [], weights["matrices"]
    for index, matrix in enumerate(matrices):
        signal = signal @ matrix.T
        signal = signal / matrix.shape[1] if index else signal
        signal = signal + weights["biases"][index][None] if rules.use_bias else signal
        if index < len(matrices) - 1:
            hidden.append(signal)
            signal = rules.activation(signal)
    return signal / richness, hidden


def _multipliers(rules: Rules, task: Task, weights: PyTree) -> PyTree:
    """Return by what the gradient of the loss in every array is multiplied."""
    matrices = weights["matrices"]
    common = task.richness**2 * matrices[-1].shape[1]
    own = [1.0, *(matrix.shape[1] for matrix in matrices[1:-1]), 1.0]
    biases = [*(common * rate for rate in task.rates[:-1]), task.richness**2 * task.rates[-1]]
    return {
        "matrices": [common * size * rate for size, rate in zip(own, task.rates, strict=True)],
        "biases": biases if rules.use_bias else [],
    }


def train(
    rules: Rules, task: Task, tests: Float[Array, "tests entries"], widths: tuple[int, ...], is_centred: bool, key: Key
) -> Record:
    """Train one network and return its records.

    Args:
        rules: functions and flags.
        task: the training; its `entries` are x/√D.
        tests: test inputs, x/√D.
        widths: N_1, …, N_L.
        is_centred: whether outputs at the start are subtracted from all outputs.
        key: of the initial weights.
    """
    weights = initial_weights(rules, widths, task.entries.shape[1], key)
    rule = build(rules.optimizer, rules.static, task.numbers)
    both = jnp.concatenate([task.entries, tests])
    start = forward(rules, weights, both, task.richness)[0] * is_centred
    multipliers, count = _multipliers(rules, task, weights), len(task.entries)

    def loss(weights: PyTree, batch: Array) -> Array:
        outputs = forward(rules, weights, task.entries, task.richness)[0] - start[:count]
        return jnp.mean(batch * jax.vmap(rules.loss)(outputs, task.labels))

    def step(carry: tuple[PyTree, PyTree], batch: Array) -> tuple[tuple[PyTree, PyTree], Record]:
        gradient = jax.tree.map(jnp.multiply, jax.grad(loss)(carry[1], batch), multipliers)
        return update_row(rule, carry, gradient), _record(rules, task, carry[1], both, start)

    return jax.lax.scan(step, (rule.init(weights), weights), task.batches)[1]


def _record(rules: Rules, task: Task, weights: PyTree, both: Array, start: Array) -> Record:
    outputs, hidden = forward(rules, weights, both, task.richness)
    outputs, count = outputs - start, len(task.entries)
    empty = jnp.zeros(())
    if not rules.keeps_kernels and rules.num_outputs > 1:
        last = rules.activation(hidden[-1][:count])
        of_features = alignment(last @ last.T / last.shape[1], task.labels @ task.labels.T)
        return Record(outputs[:count], outputs[count:], empty, of_features, empty, (), (), ())
    forward_kernels, backward_kernels = _kernels(rules, weights, [h[:count] for h in hidden])
    widths = jnp.asarray([h.shape[1] for h in hidden], float)
    ratios, target = widths[1:] / widths[:-1], task.labels @ task.labels.T
    ntk = tangent_kernel(rules, task.entries @ task.entries.T, ratios, forward_kernels, backward_kernels)
    kernels = (jnp.stack(forward_kernels), jnp.stack(backward_kernels), ntk) if rules.keeps_kernels else ((), (), ())
    return Record(
        outputs[:count],
        outputs[count:],
        alignment(ntk, target),
        alignment(forward_kernels[-1], target),
        jnp.linalg.eigvalsh(ntk)[-1] / count,
        *kernels,
    )


def _kernels(rules: Rules, weights: PyTree, hidden: list[Array]) -> tuple[list[Array], list[Array]]:
    """Return Φ^l and G^l, the latter of one output (the first)."""
    slope = jax.vmap(jax.vmap(jax.grad(rules.activation)))
    forward_kernels = [_gram(rules.activation(h)) for h in hidden]
    signal, backward_kernels = weights["matrices"][-1][:1] * jnp.ones((len(hidden[0]), 1)), []
    for index in reversed(range(len(hidden))):
        signal = signal * slope(hidden[index])
        backward_kernels.insert(0, _gram(signal))
        if index:
            signal = signal @ weights["matrices"][index] / hidden[index - 1].shape[1]
    return forward_kernels, backward_kernels


def _gram(rows: Float[Array, "inputs neurons"]) -> Float[Array, "inputs inputs"]:
    return rows @ rows.T / rows.shape[1]

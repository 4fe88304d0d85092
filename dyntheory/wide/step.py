"""One step of training in the limit of infinite width: forward, loss, backward, update. Nothing is iterated.

With γ₀ the strength of feature learning, φ^0 the inputs, and ⟨·⟩ means over the neurons of a layer,

    h^{l+1} = W^l φ^l/√N_l,  φ^l = φ(h^l),  f = ⟨a φ^L⟩/γ₀,  z^L = a,  z^l = W^lᵀ g^{l+1}/√N_l,  g^l = z^l φ'(h^l),
    every weight moves by η γ₀² N_L times minus its gradient:  ΔW^l = η γ₀/√N_l Σ_ν D_ν g^{l+1}_ν φ^l_νᵀ,  D = −∂L/∂f.

All vectors live in the bases of their layers, so a layer costs four products of P vectors with its basis.

Reference: `bordelon2022self`; `yang2021tensor` for the limit; `bolthausen2014iterative` for the conditioning.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from dyntheory.ground.arrays import Array, PyTree
from dyntheory.wide.moved import (
    Rules,
    Sides,
    Task,
    Vectors,
    kept,
    lowered,
    raised,
    read_out,
    updated,
    without_bias,
)
from dyntheory.wide.neurons import Neurons, draw, expand, take_in
from dyntheory.wide.weights import Start, ask, downward, upward

Reserve = tuple[Array, Array]


class State(NamedTuple):
    """A run between two steps. Of the matrices the first is W^0, the last the readout.

    `first` and `readout` are their initial values in coordinates, `starts` what is known of the others'; `moved` is
    what training has added to each, see `dyntheory.wide.moved`, and `optimizer` the state of the rule for it.
    """

    neurons: tuple[Neurons, ...]
    starts: tuple[Start, ...]
    first: Float[Array, "capacity frame"]
    readout: Float[Array, "outputs capacity"]
    moved: tuple[Array, ...]
    optimizer: tuple[PyTree, ...]


class Seen(NamedTuple):
    """What is recorded of a state; kernels are () where they are not kept."""

    outputs: Float[Array, "inputs outputs"]
    alignment: Array
    feature_alignment: Array
    sharpness: Array
    forward_kernels: Any
    backward_kernels: Any
    ntk: Any


def advance(
    rules: Rules, task: Task, state: State, reserves: tuple[Reserve, ...], step: Array
) -> tuple[State, Seen, Sides]:
    """Return the state after one more step, what is seen before it, and the sides of its gradients."""
    state, hidden, activations, forward = _forward(rules, task, state, reserves, step)
    initial = task.decay[step] * state.readout
    scaled, readout = read_out(rules, state.neurons[-1], initial, state.moved[-1], activations[-1])
    outputs = scaled / task.richness
    along, weights = _residuals(rules, task, outputs, step)
    state, signals, backward = _backward(rules, task, state, reserves, step, hidden, along @ readout)
    sides = Sides(
        tuple(kept(rules, one) for one in activations), tuple(kept(rules, one) for one in signals), along, weights
    )
    moved, optimizer = updated(rules, task, state.moved, state.optimizer, sides)
    return state._replace(moved=moved, optimizer=optimizer), _seen(rules, task, outputs, forward, backward), sides


def first_layer(
    rules: Rules, task: Task, state: State, inputs: Array, entries: Array, step: Array
) -> Float[Array, "inputs nodes"]:
    """Return the preactivations of the first layer on the nodes, for inputs in the frame and as they are."""
    initial, moved = task.decay[step] * state.first, without_bias(rules, state.moved[0])
    bias = state.moved[0][:, : int(rules.use_bias)].sum(axis=1)[None]
    if rules.is_linear:
        return expand(state.neurons[0], inputs @ (initial + moved).T + bias)
    return expand(state.neurons[0], inputs @ initial.T) + entries @ moved.T + bias


def _forward(
    rules: Rules, task: Task, state: State, reserves: tuple[Reserve, ...], step: Array
) -> tuple[State, list[Array], list[Vectors], list[Array]]:
    """Return preactivations on the nodes, activations, and their kernels, layer by layer."""
    neurons, starts = list(state.neurons), list(state.starts)
    hidden: list[Array] = []
    activations: list[Vectors] = []
    kernels: list[Array] = []
    for layer in range(len(neurons)):
        if layer == 0:
            hidden.append(first_layer(rules, task, state, task.inputs, task.entries, step))
        else:
            below, start = activations[-1], starts[layer - 1]
            lower, neurons[layer] = ask(
                start.lower, below.coordinates, neurons[layer], reserves[layer], task.drop_below
            )
            starts[layer - 1] = start._replace(lower=lower)
            answer = upward(starts[layer - 1], task.ratios[layer - 1], rules.memory, below.coordinates)
            hidden.append(raised(rules, neurons[layer], task.decay[step] * answer, state.moved[layer], below))
        values = rules.activation(hidden[-1])
        neurons[layer], coordinates, kernel = take_in(neurons[layer], values, task.drop_below)
        activations.append(Vectors(values, coordinates))
        kernels.append(kernel)
    state = state._replace(neurons=tuple(neurons), starts=tuple(starts))
    return _with_readout(rules, state, reserves[-1], step), hidden, activations, kernels


def _with_readout(rules: Rules, state: State, reserve: Reserve, step: Array) -> State:
    """Return the state with a(0): drawn when the basis knows the first activations, so that ⟨a φ⟩ is zero then."""
    last, count = state.neurons[-1], rules.num_outputs
    place, is_first = last.num_used, step == 0
    last = draw(last, *reserve, is_first * jnp.asarray(count), count)
    own = jnp.arange(last.basis.shape[0])[None] == place + jnp.arange(count)[:, None]
    readout = jnp.where(is_first, jnp.asarray(own, float), state.readout)
    return state._replace(neurons=(*state.neurons[:-1], last), readout=readout)


def _residuals(rules: Rules, task: Task, outputs: Array, step: Array) -> tuple[Array, Array]:
    """Return the directions of the outputs along which signals run, and the weight of every input."""
    pull = -jax.vmap(jax.grad(rules.loss))(outputs, task.labels)
    weights = task.batches[step] / outputs.shape[0]
    if rules.num_outputs == 1:
        return jnp.ones_like(pull), weights * pull[:, 0]
    return pull, weights


def _backward(
    rules: Rules,
    task: Task,
    state: State,
    reserves: tuple[Reserve, ...],
    step: Array,
    hidden: list[Array],
    readout: Float[Array, "inputs nodes"],
) -> tuple[State, list[Vectors], list[Array]]:
    """Return the signals, and their kernels, layer by layer."""
    neurons, starts = list(state.neurons), list(state.starts)
    signals: list[Vectors] = []
    kernels: list[Array] = []
    z = readout
    for layer in reversed(range(len(neurons))):
        values = z * jax.vmap(jax.vmap(jax.grad(rules.activation)))(hidden[layer])
        neurons[layer], coordinates, kernel = take_in(neurons[layer], values, task.drop_below)
        signals.insert(0, Vectors(values, coordinates))
        kernels.insert(0, kernel)
        if layer == 0:
            break
        start, ratio = starts[layer - 1], task.ratios[layer - 1]
        upper, neurons[layer - 1] = ask(
            start.upper, coordinates, neurons[layer - 1], reserves[layer - 1], task.drop_below
        )
        starts[layer - 1] = start._replace(upper=upper)
        answer = task.decay[step] * downward(starts[layer - 1], ratio, rules.memory, coordinates)
        z = lowered(rules, neurons[layer - 1], answer, state.moved[layer], ratio, signals[0])
    return state._replace(neurons=tuple(neurons), starts=tuple(starts)), signals, kernels


def _seen(rules: Rules, task: Task, outputs: Array, forward: list[Array], backward: list[Array]) -> Seen:
    ntk = tangent_kernel(rules, task.inputs @ task.inputs.T, task.ratios, forward, backward)
    target = task.labels @ task.labels.T
    kernels = (jnp.stack(forward), jnp.stack(backward), ntk) if rules.keeps_kernels else ((), (), ())
    largest = jnp.linalg.eigvalsh(ntk)[-1] / outputs.shape[0]
    return Seen(outputs, alignment(ntk, target), alignment(forward[-1], target), largest, *kernels)


def alignment(kernel: Float[Array, "inputs inputs"], target: Float[Array, "inputs inputs"]) -> Array:
    """Return ⟨K, Y Yᵀ⟩/(|K| |Y Yᵀ|), zero where the labels are."""
    size = jnp.linalg.norm(kernel) * jnp.linalg.norm(target)
    return jnp.sum(kernel * target) / jnp.where(size > 0, size, 1.0)


def tangent_kernel(
    rules: Rules, inputs: Array, ratios: Array, forward: list[Array], backward: list[Array]
) -> Float[Array, "inputs inputs"]:
    """Return Θ = Σ_l (N_{l+1}/N_L) Φ^l G^{l+1}, along the directions of the signals."""
    below = [inputs, *forward]
    kernel = below[-1] + rules.use_bias
    for layer, signals in enumerate(backward):
        kernel = kernel + (below[layer] + rules.use_bias) * signals / jnp.prod(ratios[layer:])
    return kernel

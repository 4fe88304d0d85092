"""What training has added to a matrix, and how the optimizer moves it.

A rule that is linear in gradients and weights acts in any frame: what it adds stands in coordinates of the two bases.
Any other elementwise rule (Adam) makes of the history of a weight a function of both its neurons; what it adds stands
entry by entry, nodes by nodes, and multiplies vectors on the nodes: ΔW φ/√N = ⟨u_ij φ_j⟩_j with u = √N ΔW.

In either case a column for the bias, which begins at zero, stands before the others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from dyntheory.ground.arrays import Array, PyTree
from dyntheory.problem.methods.hyperparameters import Optimizer, StaticNumbers, build
from dyntheory.problem.methods.row_wise import update_row
from dyntheory.wide.neurons import Neurons, expand
from dyntheory.wide.weights import Memory


class Rules(NamedTuple):
    """What is static in a run: functions and flags."""

    activation: Callable[[Array], Array]
    loss: Callable[[Array, Array], Array]
    optimizer: Optimizer
    static: StaticNumbers
    num_outputs: int
    use_bias: bool
    is_linear: bool
    keeps_kernels: bool = True
    memory: Memory = Memory()


class Task(NamedTuple):
    """What is trained, as arrays.

    Args:
        inputs: x/√D in an orthonormal frame of them, so that inputs @ inputsᵀ is x·x/D.
        entries: x/√D as it is, for rules that act entry by entry; else the frame again.
        labels: (P, outputs).
        batches: weights of the inputs at every step, with mean one.
        decay: ρ_t, what is left of the initial weights.
        richness: γ₀.
        ratios: N_{l+1}/N_l of the hidden matrices.
        rates: factors of the gradients, matrix by matrix.
        numbers: those of the optimizer.
        drop_below: root mean square of what is new in a direction below which it is dropped.
    """

    inputs: Float[Array, "inputs frame"]
    entries: Float[Array, "inputs entries"]
    labels: Float[Array, "inputs outputs"]
    batches: Float[Array, "states inputs"]
    decay: Float[Array, " states"]
    richness: Array
    ratios: Float[Array, " hidden_matrices"]
    rates: Float[Array, " matrices"]
    numbers: PyTree
    drop_below: Array


class Vectors(NamedTuple):
    """Vectors on the neurons of a layer, on the nodes and in coordinates of the basis."""

    nodes: Float[Array, "vectors nodes"]
    coordinates: Float[Array, "vectors capacity"]


class Sides(NamedTuple):
    """Of one step: what stands below and above every matrix in its gradient, and D.

    The signals above belong to the directions `along` of the outputs, `weights` say how much of each moves the network.
    """

    below: tuple[Array, ...]
    above: tuple[Array, ...]
    along: Float[Array, "inputs outputs"]
    weights: Float[Array, " inputs"]


def with_one(rules: Rules, vectors: Float[Array, "vectors size"]) -> Array:
    """Return the vectors with a one before them where there are biases."""
    return jnp.pad(vectors, ((0, 0), (int(rules.use_bias), 0)), constant_values=1.0)


def without_bias(rules: Rules, matrix: Float[Array, "upper lower"]) -> Array:
    """Return the matrix without the column of the bias."""
    return matrix[:, int(rules.use_bias) :]


def kept(rules: Rules, vectors: Vectors) -> Array:
    """Return of the vectors what gradients need."""
    return vectors.coordinates if rules.is_linear else vectors.nodes


def raised(
    rules: Rules, upper: Neurons, start: Array, moved: Array, below: Vectors
) -> Float[Array, "vectors upper_nodes"]:
    """Return W φ/√N on the nodes of the upper layer, given that of W(0) in coordinates and what training has added."""
    if rules.is_linear:
        return expand(upper, start + with_one(rules, below.coordinates) @ moved.T)
    return expand(upper, start) + with_one(rules, below.nodes / below.nodes.shape[1]) @ moved.T


def lowered(
    rules: Rules, lower: Neurons, start: Array, moved: Array, ratio: Array, above: Vectors
) -> Float[Array, "vectors lower_nodes"]:
    """Return Wᵀ g/√N on the nodes of the lower layer, given that of W(0) in coordinates and what training has added."""
    if rules.is_linear:
        return expand(lower, start + ratio * above.coordinates @ without_bias(rules, moved))
    added = above.nodes @ without_bias(rules, moved) / above.nodes.shape[1]
    return expand(lower, start) + ratio * added


def read_out(
    rules: Rules, last: Neurons, initial: Array, moved: Array, activations: Vectors
) -> tuple[Float[Array, "vectors outputs"], Float[Array, "outputs nodes"]]:
    """Return γ₀ f, and the readout on the nodes."""
    bias = moved[:, : int(rules.use_bias)]
    if rules.is_linear:
        weights = initial + without_bias(rules, moved)
        scaled, on_nodes = activations.coordinates @ weights.T, expand(last, weights)
    else:
        on_nodes = expand(last, initial) + without_bias(rules, moved)
        scaled = activations.nodes @ on_nodes.T / on_nodes.shape[1]
    return scaled + bias.sum(axis=1)[None], on_nodes


def gradients(rules: Rules, task: Task, sides: Sides) -> list[Array]:
    """Return −γ₀ Σ_ν D_ν g_ν φ_νᵀ of every matrix."""
    first = with_one(rules, task.inputs if rules.is_linear else task.entries)
    below = [first, *(with_one(rules, side) for side in sides.below)]
    weights = sides.weights[:, None]
    above = [*(side * weights for side in sides.above), sides.along * weights]
    return [-task.richness * rate * g.T @ phi for rate, g, phi in zip(task.rates, above, below, strict=True)]


def updated(
    rules: Rules, task: Task, moved: tuple[Array, ...], optimizer: tuple[PyTree, ...], sides: Sides
) -> tuple[tuple[Array, ...], tuple[PyTree, ...]]:
    """Return what training has added to every matrix after one more step, and the states of the rule."""
    rule = build(rules.optimizer, rules.static, task.numbers)
    found = [
        update_row(rule, (state, weights), gradient)
        for state, weights, gradient in zip(optimizer, moved, gradients(rules, task, sides), strict=True)
    ]
    return tuple(weights for _, weights in found), tuple(state for state, _ in found)


def nothing_moved(
    rules: Rules, task: Task, *, depth: int, capacity: int, num_nodes: int
) -> tuple[tuple[Array, ...], tuple[Any, ...]]:
    """Return that training has added nothing, and the rule's states before it."""
    rule = build(rules.optimizer, rules.static, task.numbers)
    size, extra = capacity if rules.is_linear else num_nodes, int(rules.use_bias)
    first = (task.inputs if rules.is_linear else task.entries).shape[1] + extra
    shapes = [(size, first), *[(size, size + extra)] * (depth - 1), (rules.num_outputs, size + extra)]
    moved = tuple(jnp.zeros(shape, float) for shape in shapes)
    return moved, tuple(rule.init(weights) for weights in moved)


def left_of_start(rules: Rules, numbers: PyTree, num_states: int) -> Float[Array, " states"]:
    """Return ρ_t, what a rule leaves of a weight whose gradients are zero."""
    rule = build(rules.optimizer, rules.static, numbers)
    one = jnp.ones((1,), float)

    def step(carry: tuple[PyTree, Array], _: Any) -> tuple[tuple[PyTree, Array], Array]:
        return update_row(rule, carry, jnp.zeros_like(one)), carry[1][0]

    return jax.lax.scan(step, (rule.init(one), one), length=num_states)[1]

"""What `predict` and `simulate` are asked for, checked, and the arrays and functions that the run takes."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.ground.arrays import Array, ArrayLike, Key, PyTree
from dyntheory.ground.checks import check_count, check_key
from dyntheory.problem.methods.gradient_descent import gradient_descent
from dyntheory.problem.methods.hyperparameters import HEAD_PREFIX, Optimizer, build, shown, split_numbers
from dyntheory.problem.methods.label_kinds import check_labels
from dyntheory.problem.methods.linearity import feature_map_is_linear
from dyntheory.problem.methods.method import GeneralFirstOrderMethod
from dyntheory.problem.methods.row_wise import update_row
from dyntheory.problem.networks.activations import resolve_activation
from dyntheory.problem.networks.losses import resolve_loss
from dyntheory.problem.networks.network import LinearModel
from dyntheory.wide.data import FixedData, fixed_data
from dyntheory.wide.moved import Rules, Task, left_of_start
from dyntheory.wide.network import Scaling, WideNetwork

SIZES = (1.0, 1e4, 1e-3)
SEPARATE = 1e-9
PROBED = (2, 8)
KERNEL_BYTES = 2**26


class Prepared(NamedTuple):
    """A request that was checked.

    Args:
        network: the network.
        data: inputs, labels and test inputs.
        method: for loss, error and names.
        rules: static part of the run.
        task: arrays of the run; the inputs as they are, in no frame yet.
        scaling: γ₀ and factors of the rates.
        num_steps: T.
        key: the user's.
        loss_name: what the loss is called.
    """

    network: WideNetwork
    data: FixedData
    method: GeneralFirstOrderMethod
    rules: Rules
    task: Task
    scaling: Scaling
    num_steps: int
    key: Key
    loss_name: str


def prepared(given: Mapping[str, Any]) -> Prepared:
    """Check the arguments of `predict` or `simulate`, by name; call inside `double_precision`.

    Raises:
        TypeError: an argument of the wrong kind.
        ValueError: shapes or numbers that do not fit, or an optimizer that this limit does not have.
    """
    network, optimizer, loss = given["network"], given["optimizer"], given["loss"]
    rows = (given[name] for name in ("inputs", "labels", "test_inputs", "test_labels"))
    data = fixed_data(*rows, use_bias=network.use_bias)
    num_steps, key = check_count("num_steps", given["num_steps"], minimum=0), given["key"]
    check_key(key)
    numbers, static, is_linear, method = _rule(optimizer, loss, given["hyperparameters"], num_steps)
    check_labels(data.labels[:, 0] if data.is_scalar else data.labels, method, name="`labels`")
    if data.test_labels is not None:
        shaped = data.test_labels[:, 0] if data.is_scalar else data.test_labels
        check_labels(shaped, method, name="`test_labels`")
    scaling = network.scaling(data.num_features)
    if network.parametrisation != "mup" and not is_linear:
        raise ValueError(
            f'The parametrisation "{network.parametrisation}" is a scaling of learning rates that only rules linear in '
            f'the gradients share (SGD, momentum), got {shown(optimizer)}: use parametrisation="mup".'
        )
    rules = Rules(
        resolve_activation(network.activation),
        on_vectors(method.loss, data.is_scalar),
        optimizer,
        static,
        data.labels.shape[1],
        network.use_bias,
        is_linear,
    )
    entries = jnp.asarray(data.inputs) / np.sqrt(data.num_features)
    rates = scaling.rate * np.array([scaling.first_rate, *[1.0] * network.depth])
    task = Task(
        inputs=entries,
        entries=entries,
        labels=jnp.asarray(data.labels),
        batches=jnp.asarray(_batches(given["masks"], num_steps, len(data.inputs))),
        decay=left_of_start(rules, numbers, num_steps + 1),
        richness=jnp.asarray(scaling.richness, float),
        ratios=jnp.asarray(network.ratios, float),
        rates=jnp.asarray(rates),
        numbers=numbers,
        drop_below=jnp.zeros(()),
    )
    return Prepared(network, data, method, rules, task, scaling, num_steps, key, resolve_loss(loss).name)


def _rule(
    optimizer: Optimizer, loss: Any, hyperparameters: dict[str, Any], num_steps: int
) -> tuple[PyTree, tuple[tuple[str, Any], ...], bool, GeneralFirstOrderMethod]:
    """Return the numbers of the optimizer, its flags, whether it is linear, and the method that checked it."""
    for name in hyperparameters:
        if name.startswith(HEAD_PREFIX):
            raise ValueError(f"`{name}`: all layers of a wide network share one optimizer; leave it out.")
    method = gradient_descent(LinearModel(), optimizer, loss=loss, **hyperparameters)
    method = dataclasses.replace(method, description=f"this network ({resolve_loss(loss).name})")
    data, static = split_numbers("optimizer", optimizer, hyperparameters)
    numbers = {name: jnp.asarray(value, float) for name, value in data.items()}
    is_linear = feature_map_is_linear(method, {})
    if not is_linear:
        _check_separate(build(optimizer, static, numbers), shown(optimizer), num_steps)
    return numbers, static, is_linear, method


def _check_separate(rule: Any, name: str, num_steps: int) -> None:
    """Refuse a nonlinear rule that mixes initial weights with gradients: the limit knows W(0) by its products only.

    Asked over as many steps as the run has: a rate or a decay may begin at zero.
    """
    random = np.random.default_rng(0)
    draw = random.standard_normal((num_steps + 1, *PROBED)), random.standard_normal(PROBED)
    gradients, weights = (jnp.asarray(one) for one in draw)

    def path(start: Array, steps: Array) -> Array:
        def step(carry: Any, gradient: Array) -> tuple[Any, Array]:
            carry = update_row(rule, carry, gradient)
            return carry, carry[1]

        return jax.lax.scan(step, (rule.init(start), start), steps)[1]

    for size in SIZES:
        nothing, still = jnp.zeros_like(weights), jnp.zeros_like(gradients)
        together = path(weights, size * gradients)
        apart = path(nothing, size * gradients) + path(weights, still) - path(nothing, still)
        if not bool(jnp.all(jnp.abs(together - apart) <= SEPARATE * (1.0 + jnp.abs(together)))):
            raise ValueError(
                f"The optimizer {name} makes one nonlinear function of gradients and weights, so the initial weights "
                "do not stay a Gaussian matrix times a number. Where that is weight decay, decay them decoupled from "
                "the gradients (optax.adamw)."
            )


@functools.cache
def on_vectors(loss: Callable[[Array, Array], Array], is_scalar: bool) -> Callable[[Array, Array], Array]:
    """Return a loss of vectors (outputs,), whatever the shape it was written for."""
    return (lambda f, y: loss(f[0], y[0])) if is_scalar else loss


def _batches(masks: ArrayLike | None, num_steps: int, num_inputs: int) -> np.ndarray:
    """Return weights (T+1, P) of the inputs with mean one at every step.

    Raises:
        ValueError: another shape, entries other than 0 and 1, or a step without inputs.
    """
    if masks is None:
        return np.ones((num_steps + 1, num_inputs))
    array = np.asarray(masks)
    if array.shape != (num_steps, num_inputs):
        raise ValueError(
            f"`masks` must have shape (num_steps, inputs) = ({num_steps}, {num_inputs}), which inputs are in the batch "
            f"of every step, got {array.shape}."
        )
    if not np.isin(array, (0, 1)).all():
        raise ValueError("`masks` must hold True and False, or 1 and 0.")
    sizes = array.sum(axis=1, keepdims=True)
    if num_steps and not sizes.all():
        raise ValueError(f"`masks` has no input in the batch of step {int(np.argmin(sizes))}.")
    return np.concatenate([array * num_inputs / np.maximum(sizes, 1), np.ones((1, num_inputs))])


def keeps_kernels(one: Prepared, wanted: bool | None, num_runs: int = 1) -> bool:
    """Return whether kernels of all steps are kept: as wanted, else while they are small."""
    size = 8 * num_runs * (one.num_steps + 1) * (2 * one.network.depth + 1) * len(one.data.inputs) ** 2
    return size <= KERNEL_BYTES if wanted is None else wanted

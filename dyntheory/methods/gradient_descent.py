"""Full-batch gradient descent of the first layer and the head, with any row-wise optimizer.

The sample map is the gradient of the loss in the preactivation, `shared` holds the head with its optimizer state and is
fed the mean gradient, the feature map is the optimizer applied to the row p_j/α = d · ∂L/∂w_j, L = (1/n) Σ_i ℓ_i.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from dyntheory._checks import check_finite, check_name, is_concrete
from dyntheory._typing import Array, PyTree
from dyntheory.losses import Loss, resolve_loss
from dyntheory.method import GeneralFirstOrderMethod
from dyntheory.methods.row_wise import check_row_wise, init_row, update_row
from dyntheory.network import Network

HEAD_PREFIX = "head_"
OptimizerFactory = Callable[..., optax.GradientTransformation]
Optimizer = OptimizerFactory | optax.GradientTransformation


def gradient_descent(
    network: Network,
    optimizer: Optimizer = optax.sgd,
    *,
    loss: str | Callable[[Array, Array], Array] | Loss = "squared",
    head_optimizer: Optimizer | None = None,
    **hyperparameters: Any,
) -> GeneralFirstOrderMethod:
    """Train the first layer and the head of `network` by full-batch gradient descent.

    With plain SGD: W ← W − (η/α) Xᵀ g/√d and θ ← θ − η mean_i ∂_θ ℓ_i, one step per full pass over the n samples.

    Scaling:
        W has entries O(1) and inputs carry 1/√d; for SGD and momentum the learning rate is the one of a flax kernel
        K = W/√d, for Adam it is √d times that of K.

    Args:
        network: `MLP`, `FlaxNetwork`, `LinearModel`, or anything with the same four members.
        optimizer: an optax factory (`optax.sgd`) whose numbers are given as hyperparameters: new numbers do not
            recompile, can be swept and differentiated. Or a ready transformation (`optax.sgd(0.5)`): compiled once per
            instance. Must be row-wise.
        loss: "squared" is ½ ‖F − y‖²; or a JAX function (prediction, label) -> scalar.
        head_optimizer: the optimizer of the head; None means `optimizer`. `optax.set_to_zero()` freezes the head.
        **hyperparameters: numbers for the factories, `learning_rate=0.5`; with the prefix `head_` for the head only.

    Returns:
        The method; predict it, simulate it.

    Raises:
        TypeError: a hyperparameter is missing or given beside a ready transformation.
        ValueError: an optimizer that is not row-wise, an unknown hyperparameter, a number that is not finite.

    Example:
        >>> from dyntheory import MLP, gradient_descent
        >>> gradient_descent(MLP(hidden=(3,)), optax.sgd, learning_rate=0.5).num_units
        3

    Reference: `han2025precise`, whose step size φ⁻¹η on the first layer is our η/α.
    """
    own = {name: value for name, value in hyperparameters.items() if not _is_head_number(name, optimizer)}
    extra = {name.removeprefix(HEAD_PREFIX): v for name, v in hyperparameters.items() if name not in own}
    shared_numbers = own if head_optimizer is None else {}
    first_data, first_static = _split_numbers("optimizer", optimizer, own)
    head_factory = optimizer if head_optimizer is None else head_optimizer
    head_data, head_static = _split_numbers("head_optimizer", head_factory, {**shared_numbers, **extra})
    _check_optimizer(optimizer, first_data, first_static)
    template = _template(network, optimizer, first_static, head_factory, head_static, resolve_loss(loss))
    return dataclasses.replace(template, hyperparameters={"first_layer": first_data, "head": head_data})


def _shown(optimizer: Optimizer) -> str:
    return str(getattr(optimizer, "__name__", type(optimizer).__name__))


def _is_head_number(name: str, optimizer: Optimizer) -> bool:
    if not name.startswith(HEAD_PREFIX):
        return False
    is_ready = isinstance(optimizer, optax.GradientTransformation)
    return is_ready or name not in inspect.signature(optimizer).parameters


def _split_numbers(
    argument: str, optimizer: Optimizer, given: dict[str, Any]
) -> tuple[dict[str, Any], tuple[tuple[str, Any], ...]]:
    """Separate numbers (data) from flags, schedules and the like (static); check both."""
    if isinstance(optimizer, optax.GradientTransformation):
        if given:
            raise TypeError(
                f"`{argument}` is a ready optax transformation, its numbers are already inside; "
                f"got {', '.join(sorted(given))} as well. Pass the factory (optax.sgd) or drop them."
            )
        return {}, ()
    if not callable(optimizer):
        raise TypeError(f"`{argument}` must be an optax factory or transformation, got {optimizer!r}.")
    signature = inspect.signature(optimizer)
    for name in given:
        check_name(f"hyperparameter of `{argument}`", name, signature.parameters)
    missing = [
        name
        for name, parameter in signature.parameters.items()
        if parameter.default is inspect.Parameter.empty
        and parameter.kind in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        and name not in given
    ]
    if missing:
        raise TypeError(
            f"`{argument}` {_shown(optimizer)} needs {', '.join(missing)}: pass {missing[0]}=… as a keyword."
        )
    data, static = {}, {}
    for name, value in given.items():
        if _is_number(value, signature.parameters[name]):
            check_finite(name, value)
            data[name] = value
        else:
            static[name] = value
    return data, tuple(sorted(static.items()))


def _is_number(value: Any, parameter: inspect.Parameter) -> bool:
    counts = isinstance(parameter.default, int) and not isinstance(parameter.default, bool)
    if isinstance(value, bool) or (isinstance(value, int) and counts):
        return False
    return isinstance(value, jax.Array) or is_concrete(value)


def _build(optimizer: Optimizer, static: tuple[tuple[str, Any], ...], data: PyTree) -> optax.GradientTransformation:
    if isinstance(optimizer, optax.GradientTransformation):
        return optimizer
    return optimizer(**dict(static), **data)


def _check_optimizer(optimizer: Optimizer, data: dict[str, Any], static: tuple[tuple[str, Any], ...]) -> None:
    generic = {name: value if is_concrete(value) else 0.37 for name, value in data.items()}
    check_row_wise(_build(optimizer, static, generic), _shown(optimizer))


@functools.cache
def _template(
    network: Network,
    optimizer: Optimizer,
    static: tuple[tuple[str, Any], ...],
    head_optimizer: Optimizer,
    head_static: tuple[tuple[str, Any], ...],
    loss: Loss,
) -> GeneralFirstOrderMethod:
    """Return the method without its numbers: the same functions for the same problem, so nothing recompiles."""

    def first_layer_optimizer(shared: PyTree) -> optax.GradientTransformation:
        return _build(optimizer, static, shared["hyperparameters"]["first_layer"])

    def init_shared(head: PyTree, samples_per_feature: Array, hyperparameters: PyTree) -> PyTree:
        numbers = jax.tree.map(lambda number: jnp.asarray(number, dtype=float), hyperparameters)
        return {
            "head": head,
            "head_state": _build(head_optimizer, head_static, numbers["head"]).init(head),
            "samples_per_feature": jnp.asarray(samples_per_feature, dtype=float),
            "hyperparameters": numbers,
        }

    def sample_map(state: PyTree, h: Array, label: Array, shared: PyTree, u: Array) -> tuple[PyTree, Array, PyTree]:
        del u

        def row_loss(preactivation: Array, head: PyTree) -> Array:
            return loss.value(network.apply_head(head, preactivation), label)

        residual, head_gradient = jax.grad(row_loss, argnums=(0, 1))(h, shared["head"])
        return state, residual, head_gradient

    def after_samples(shared: PyTree, head_gradient: PyTree) -> PyTree:
        transformation = _build(head_optimizer, head_static, shared["hyperparameters"]["head"])
        head_state, head = update_row(transformation, (shared["head_state"], shared["head"]), head_gradient)
        return {**shared, "head": head, "head_state": head_state}

    def feature_map(state: PyTree, p: Array, shared: PyTree, u: Array) -> tuple[PyTree, Array, PyTree]:
        del u
        state = update_row(first_layer_optimizer(shared), state, p / shared["samples_per_feature"])
        return state, state[1], ()

    return GeneralFirstOrderMethod(
        name="gradient_descent",
        num_units=network.num_units,
        init_head=network.init_head,
        init_shared=init_shared,
        init_sample=lambda label, shared: (),
        init_feature=lambda row, shared: init_row(first_layer_optimizer(shared), row),
        sample_map=sample_map,
        feature_map=feature_map,
        output=network.apply_head,
        loss=loss.value,
        error=loss.error,
        head_of=lambda shared: shared["head"],
        after_samples=after_samples,
        noise_coefficients=loss.noise_coefficients,
        smooth=network.smooth,
        description=f"{network}, {_shown(optimizer)}, {loss.name} loss, head {_shown(head_optimizer)}",
    )

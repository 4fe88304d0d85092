"""Full-batch gradient descent of the first layer and the head, with any row-wise optimizer.

The sample map is the gradient of the loss in the preactivation, `shared` holds the head with its optimizer state and is
fed the mean gradient, the feature map is the optimizer applied to the row p_j/α = d · ∂L/∂w_j, L = (1/n) Σ_i ℓ_i.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from dyntheory.ground.arrays import Array, PyTree
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.smoothness import either, known_kink
from dyntheory.problem.methods.hyperparameters import (
    HEAD_PREFIX,
    Optimizer,
    StaticNumbers,
    build,
    check_optimizer,
    is_head_number,
    shown,
    split_numbers,
)
from dyntheory.problem.methods.method import GeneralFirstOrderMethod
from dyntheory.problem.methods.row_wise import init_row, update_row
from dyntheory.problem.networks.losses import Loss, resolve_loss
from dyntheory.problem.networks.network import Network


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
        loss: "squared" is ½ ‖F − y‖², others are listed in `dyntheory.problem.networks.losses`; or a JAX function
            (prediction, label) -> scalar.
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
    check_arguments(gradient_descent, locals())
    if isinstance(network, type) or not isinstance(network, Network):
        raise TypeError(f"`network` must be a network such as MLP(hidden=(3,)), got {network!r}.")
    own = {name: value for name, value in hyperparameters.items() if not is_head_number(name, optimizer)}
    extra = {name.removeprefix(HEAD_PREFIX): v for name, v in hyperparameters.items() if name not in own}
    shared_numbers = own if head_optimizer is None else {}
    first_data, first_static = split_numbers("optimizer", optimizer, own)
    head_factory = optimizer if head_optimizer is None else head_optimizer
    prefix = HEAD_PREFIX if head_optimizer is not None else ""
    head_data, head_static = split_numbers("head_optimizer", head_factory, {**shared_numbers, **extra}, prefix=prefix)
    check_optimizer(optimizer, first_data, first_static)
    check_optimizer(head_factory, head_data, head_static, is_row_wise=False)
    plain = all(
        rule is optax.sgd and set(data) == {"learning_rate"} and not static
        for rule, data, static in ((optimizer, first_data, first_static), (head_factory, head_data, head_static))
    )
    template = _template(network, optimizer, first_static, head_factory, head_static, resolve_loss(loss), plain)
    return dataclasses.replace(template, hyperparameters={"first_layer": first_data, "head": head_data})


@dataclasses.dataclass(frozen=True)
class _Maps:
    """The row-wise maps of gradient descent for one network, one pair of optimizers and one loss."""

    network: Network
    optimizer: Optimizer
    static: StaticNumbers
    head_optimizer: Optimizer
    head_static: StaticNumbers
    loss: Loss
    is_plain: bool

    def _first_layer(self, shared: PyTree) -> optax.GradientTransformation:
        return build(self.optimizer, self.static, shared["hyperparameters"]["first_layer"])

    def _head(self, numbers: PyTree) -> optax.GradientTransformation:
        return build(self.head_optimizer, self.head_static, numbers["head"])

    def init_shared(self, head: PyTree, samples_per_feature: Array, hyperparameters: PyTree) -> PyTree:
        """Return the head with its optimizer state, α and the numbers."""
        numbers = jax.tree.map(lambda number: jnp.asarray(number, dtype=float), hyperparameters)
        return {
            "head": head,
            "head_state": self._head(numbers).init(head),
            "samples_per_feature": jnp.asarray(samples_per_feature, dtype=float),
            "hyperparameters": numbers,
        }

    def init_feature(self, row: Array, shared: PyTree) -> PyTree:
        """Return the optimizer state of a weight row, and the row."""
        return init_row(self._first_layer(shared), row)

    def sample_map(
        self, state: PyTree, h: Array, label: Array, shared: PyTree, u: Array
    ) -> tuple[PyTree, Array, PyTree]:
        """Return g = ∂_h ℓ(F(θ, h), y) and ∂_θ ℓ."""
        del u

        def row_loss(preactivation: Array, head: PyTree) -> Array:
            return self.loss.value(self.network.apply_head(head, preactivation), label)

        residual, head_gradient = jax.grad(row_loss, argnums=(0, 1))(h, shared["head"])
        return state, residual, head_gradient

    def after_samples(self, shared: PyTree, head_gradient: PyTree) -> PyTree:
        """Update the head with the mean gradient."""
        transformation = self._head(shared["hyperparameters"])
        head_state, head = update_row(transformation, (shared["head_state"], shared["head"]), head_gradient)
        return {**shared, "head": head, "head_state": head_state}

    def feature_map(self, state: PyTree, p: Array, shared: PyTree, u: Array) -> tuple[PyTree, Array, PyTree]:
        """Update a weight row with the gradient row p/α."""
        del u
        state = update_row(self._first_layer(shared), state, p / shared["samples_per_feature"])
        return state, state[1], ()

    def head_of(self, shared: PyTree) -> PyTree:
        """Return the head."""
        return shared["head"]


def _both(first: bool | None, second: bool | None) -> bool | None:
    """Return whether both hold: no if one does not, unknown if one is unknown."""
    if first is False or second is False:
        return False
    return None if first is None or second is None else True


def _network_kink(network: Network) -> bool | None:
    """Return what a network says of its kinks; one that says nothing of them is judged by its smoothness."""
    return known_kink(getattr(network, "has_kink", None), network.smooth)


@functools.cache
def _template(*parts: Any) -> GeneralFirstOrderMethod:
    """Return the method without its numbers: the same functions for the same problem, so nothing recompiles."""
    maps = _Maps(*parts)
    return GeneralFirstOrderMethod(
        name="gradient_descent",
        num_units=maps.network.num_units,
        init_head=maps.network.init_head,
        init_shared=maps.init_shared,
        init_feature=maps.init_feature,
        sample_map=maps.sample_map,
        feature_map=maps.feature_map,
        output=maps.network.apply_head,
        loss=maps.loss.value,
        error=maps.loss.error,
        head_of=maps.head_of,
        after_samples=maps.after_samples,
        noise_coefficients=maps.loss.noise_coefficients,
        smooth=_both(maps.network.smooth, maps.loss.smooth),
        has_kink=either(_network_kink(maps.network), maps.loss.is_kinked),
        is_in_theorem=maps.is_plain,
        label_kind=maps.loss.label_kind,
        description=(
            f"{maps.network}, {shown(maps.optimizer)}, {maps.loss.name} loss, head {shown(maps.head_optimizer)}"
        ),
    )

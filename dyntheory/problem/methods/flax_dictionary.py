"""Numbers of an optimizer on a flax kernel K (d, k) and on our first layer W = √d K, in either direction.

A row of our gradient is √d ∂L/∂K. A rule that is linear in gradients therefore moves W by √d times the step of K with
the same learning rate; one that divides by the size of gradients (Adam) does so with √d times the rate, and ε, being
added to gradients, grows with them.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import optax

from dyntheory.ground.checks import check_count
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.names import check_name
from dyntheory.problem.methods.hyperparameters import HEAD_PREFIX, OptimizerFactory, shown

ADAM = {"learning_rate": 1, "eps": 1, "eps_root": 2}
DECAYED = {"weight_decay": -1}
POWERS: dict[OptimizerFactory, dict[str, int]] = {
    optax.sgd: {},
    optax.adam: ADAM,
    optax.nadam: ADAM,
    optax.adamw: ADAM | DECAYED,
    optax.nadamw: ADAM | DECAYED,
    optax.lion: {"learning_rate": 1} | DECAYED,
}
"""Powers of √d by which a number on W exceeds that on K; all others are the same."""


class FlaxHyperparameters(NamedTuple):
    """Keywords of an optax factory in a flax training script.

    `kernel` is for the kernel of the first layer, `rest` for all other parameters.
    """

    kernel: dict[str, Any]
    rest: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class ScaledSchedule:
    """A schedule times a factor; equal to another one of the same schedule and factor, so nothing recompiles."""

    schedule: Callable[[Any], Any]
    factor: float

    def __call__(self, step: Any) -> Any:
        """Return the value at a step; optax makes it in float32, the factor must not round it again."""
        return self.factor * jnp.asarray(self.schedule(step), float)


def from_flax_hyperparameters(optimizer: OptimizerFactory, *, num_features: int, **numbers: Any) -> dict[str, Any]:
    """Return the keywords of `gradient_descent` that do what a flax script does with these numbers.

    W = √d K, with K the kernel of the first layer on inputs of unit variance and the loss a mean over samples. SGD,
    momentum and Nesterov keep their numbers; for Adam η and ε become √d η and √d ε on the first layer, for AdamW the
    decay λ becomes λ/√d; the head keeps all of them, by keywords that begin with `head_`.

    Args:
        optimizer: the factory of the script: optax.sgd, adam, adamw, nadam, nadamw, lion.
        num_features: d.
        **numbers: what the script gives it; what it leaves out has optax's default, which is converted as well.

    Returns:
        Keywords: `gradient_descent(network, optimizer, **keywords)`.

    Raises:
        TypeError: a number that the optimizer needs is missing.
        ValueError: an optimizer without a dictionary, or a number it does not have.

    Example:
        >>> import optax, dyntheory as dt
        >>> dt.from_flax_hyperparameters(optax.adam, num_features=400, learning_rate=0.01, eps=1e-6)["learning_rate"]
        0.2
    """
    check_arguments(from_flax_hyperparameters, locals())
    given = _complete(optimizer, numbers)
    factors = _factors(optimizer, num_features)
    scaled = {name: _times(given[name], factor) for name, factor in factors.items()}
    return {**given, **scaled, **{HEAD_PREFIX + name: given[name] for name in factors}}


def flax_hyperparameters(optimizer: OptimizerFactory, *, num_features: int, **keywords: Any) -> FlaxHyperparameters:
    """Return the numbers with which a flax script does what `gradient_descent` does with these keywords.

    The inverse of `from_flax_hyperparameters`. Where the two groups differ, the script needs two transformations
    (`optax.multi_transform`): one for the kernel of the first layer, one for all other parameters.

    Args:
        optimizer: the factory given to `gradient_descent`.
        num_features: d.
        **keywords: its keywords, those of the head with the prefix `head_`.

    Returns:
        Keywords of the factory for the first kernel, and for the rest.

    Raises:
        TypeError: a number that the optimizer needs is missing.
        ValueError: an optimizer without a dictionary, or a number it does not have.

    Example:
        >>> import optax, dyntheory as dt
        >>> dt.flax_hyperparameters(optax.adam, num_features=400, learning_rate=0.2).kernel["learning_rate"]
        0.01
    """
    check_arguments(flax_hyperparameters, locals())
    of_head = {name: value for name, value in keywords.items() if name.startswith(HEAD_PREFIX)}
    own = _complete(optimizer, {name: value for name, value in keywords.items() if name not in of_head})
    rest = _complete(optimizer, own | {name.removeprefix(HEAD_PREFIX): value for name, value in of_head.items()})
    factors = _factors(optimizer, num_features)
    kernel = {name: _over(value, factors.get(name, 1.0)) for name, value in own.items()}
    return FlaxHyperparameters(kernel, rest)


def _factors(optimizer: OptimizerFactory, num_features: int) -> dict[str, float]:
    root = math.sqrt(check_count("num_features", num_features))
    return {name: root**power for name, power in POWERS[optimizer].items()}


def _complete(optimizer: OptimizerFactory, numbers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the numbers with the defaults of those that depend on d."""
    if not any(optimizer is known for known in POWERS):
        names = ", ".join(f"optax.{name}" for name in ("sgd", "adam", "adamw", "nadam", "nadamw", "lion"))
        raise ValueError(f"`optimizer` must be a factory with a dictionary ({names}), got {shown(optimizer)}.")
    parameters = inspect.signature(optimizer).parameters
    for name in numbers:
        check_name("hyperparameter", name, parameters)
    if "learning_rate" not in numbers:
        raise TypeError(f"{shown(optimizer)} needs learning_rate: pass learning_rate=… as a keyword.")
    return {**{name: parameters[name].default for name in POWERS[optimizer]}, **numbers}


def _times(value: Any, factor: float) -> Any:
    if factor == 1:
        return value
    return ScaledSchedule(value, factor) if callable(value) else value * factor


def _over(value: Any, factor: float) -> Any:
    return _times(value, 1 / factor) if callable(value) else value if factor == 1 else value / factor

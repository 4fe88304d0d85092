"""Numbers of an optimizer in a flax script and here, in either direction, and from one width to another.

First layer: W = √d K, K the flax kernel (d, k). A row of our gradient is √d ∂L/∂K. A rule that is linear in gradients
therefore moves W by √d times the step of K with the same learning rate; one that divides by the size of gradients
(Adam) does so with √d times the rate, and ε, being added to gradients, grows with them.

Output: a script may write F = m Σ_j ã_j φ(h_j); here a = m ã, and ∂L/∂ã = m ∂L/∂a. SGD moves a by m² of its step,
Adam by m of its step, whose ε is 1/m of that of the script.

Width: with a_j ~ 1/k (mean-field scaling) the gradient of w_j is a_j times what does not depend on k, that of a_j does
not depend on k, and w_j is to move by O(1), a_j by O(1/k). So the rates of SGD go as k and 1/k, those of Adam as 1 and
1/k.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import optax

from dyntheory.ground.checks import check_count, check_positive, check_scalar
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

OUTPUT_ADAM = {"learning_rate": 1, "eps": -1, "eps_root": -2}
OUTPUT_POWERS: dict[OptimizerFactory, dict[str, int]] = {
    optax.sgd: {"learning_rate": 2},
    optax.adam: OUTPUT_ADAM,
    optax.nadam: OUTPUT_ADAM,
    optax.adamw: OUTPUT_ADAM | DECAYED,
    optax.nadamw: OUTPUT_ADAM | DECAYED,
    optax.lion: {"learning_rate": 1} | DECAYED,
}
"""Powers of the multiplier m by which a number on the output weights a = m ã exceeds that on ã."""


class WidthPowers(NamedTuple):
    """Powers of the width k in mean-field scaling, of the numbers on W and on the output weights."""

    first: dict[str, int]
    output: dict[str, int]


WIDTH_ADAM = WidthPowers({"eps": -1, "eps_root": -2}, {"learning_rate": -1})
WIDTH_ADAMW = WidthPowers(WIDTH_ADAM.first, {"learning_rate": -1, "weight_decay": 1})
WIDTH_POWERS: dict[OptimizerFactory, WidthPowers] = {
    optax.sgd: WidthPowers({"learning_rate": 1}, {"learning_rate": -1}),
    optax.adam: WIDTH_ADAM,
    optax.nadam: WIDTH_ADAM,
    optax.adamw: WIDTH_ADAMW,
    optax.nadamw: WIDTH_ADAMW,
    optax.lion: WidthPowers({}, WIDTH_ADAMW.output),
}


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


def from_flax_hyperparameters(
    optimizer: OptimizerFactory, *, num_features: int, output_multiplier: float = 1.0, **numbers: Any
) -> dict[str, Any]:
    """Return the keywords of `gradient_descent` that do what a flax script does with these numbers.

    W = √d K, with K the kernel of the first layer on inputs of unit variance and the loss a mean over samples. SGD,
    momentum and Nesterov keep their numbers; for Adam η and ε become √d η and √d ε on the first layer, for AdamW the
    decay λ becomes λ/√d; the head keeps all of them, by keywords that begin with `head_`.

    Args:
        optimizer: the factory of the script: optax.sgd, adam, adamw, nadam, nadamw, lion.
        num_features: d.
        output_multiplier: m of a script that writes F = m Σ_j ã_j φ(h_j), two layers without biases; here the output
            weights are a = m ã, the whole head. A `FlaxNetwork` that holds the factor itself keeps ã: leave it 1.
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
    given = complete_numbers(optimizer, numbers)
    factors, of_output = _factors(optimizer, num_features), _output_factors(optimizer, output_multiplier)
    scaled = {name: times(given[name], factor) for name, factor in factors.items()}
    of_head = {name: times(given[name], of_output.get(name, 1.0)) for name in {**factors, **of_output}}
    return {**given, **scaled, **{HEAD_PREFIX + name: value for name, value in of_head.items()}}


def flax_hyperparameters(
    optimizer: OptimizerFactory, *, num_features: int, output_multiplier: float = 1.0, **keywords: Any
) -> FlaxHyperparameters:
    """Return the numbers with which a flax script does what `gradient_descent` does with these keywords.

    The inverse of `from_flax_hyperparameters`. Where the two groups differ, the script needs two transformations
    (`optax.multi_transform`): one for the kernel of the first layer, one for all other parameters.

    Args:
        optimizer: the factory given to `gradient_descent`.
        num_features: d.
        output_multiplier: m, see `from_flax_hyperparameters`; `rest` is then for ã.
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
    own, rest = _both_layers(optimizer, keywords)
    factors, of_output = _factors(optimizer, num_features), _output_factors(optimizer, output_multiplier)
    kernel = {name: _over(value, factors.get(name, 1.0)) for name, value in own.items()}
    return FlaxHyperparameters(kernel, {name: _over(value, of_output.get(name, 1.0)) for name, value in rest.items()})


def hyperparameters_at_width(
    optimizer: OptimizerFactory, *, from_width: int, to_width: int, **keywords: Any
) -> dict[str, Any]:
    """Return the keywords of `gradient_descent` that do at one width what these do at another, in mean-field scaling.

    Two layers without biases, F = Σ_j a_j φ(h_j) with a_j ~ 1/k: `MLP((k,), initialization="mean_field")`. Doubling
    every unit and halving its output weight changes no prediction, and with these numbers none ever after. In standard
    scaling, a_j ~ k^(−1/2), scripts keep their numbers from width to width; what these do then changes.

    Scaling:
        With a_j ~ 1/k. SGD: η ∝ k on W and 1/k on a. Adam, Lion: η the same on W, ∝ 1/k on a; ε ∝ 1/k on W, the same
        on a. Decoupled decay λ: the same on W, ∝ k on a.

    Args:
        optimizer: the factory given to `gradient_descent`: optax.sgd, adam, adamw, nadam, nadamw, lion.
        from_width: k of the keywords.
        to_width: k of what is returned.
        **keywords: those of `gradient_descent`, those of the head with the prefix `head_`.

    Returns:
        Keywords: `gradient_descent(network, optimizer, **keywords)`.

    Raises:
        TypeError: a number that the optimizer needs is missing.
        ValueError: an optimizer without a dictionary, or a number it does not have.

    Example:
        >>> import optax, dyntheory as dt
        >>> dt.hyperparameters_at_width(optax.sgd, from_width=8, to_width=64, learning_rate=4.0, head_learning_rate=0.5)
        {'learning_rate': 32.0, 'head_learning_rate': 0.0625}

    Reference: `yang2021tuning`, table 3.
    """
    check_arguments(hyperparameters_at_width, locals())
    ratio = check_count("to_width", to_width) / check_count("from_width", from_width)
    own, rest = _both_layers(optimizer, keywords)
    first, output = WIDTH_POWERS[optimizer]
    names = {**first, **output, **{name.removeprefix(HEAD_PREFIX): 0 for name in keywords if name not in own}}
    scaled = {name: times(own[name], ratio ** first.get(name, 0)) for name in own}
    return scaled | {HEAD_PREFIX + name: times(rest[name], ratio ** output.get(name, 0)) for name in names}


def _both_layers(optimizer: OptimizerFactory, keywords: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the numbers of the first layer and those of the head, by the names that the optimizer has for them."""
    of_head = {name: value for name, value in keywords.items() if name.startswith(HEAD_PREFIX)}
    own = complete_numbers(optimizer, {name: value for name, value in keywords.items() if name not in of_head})
    return own, complete_numbers(
        optimizer, own | {name.removeprefix(HEAD_PREFIX): value for name, value in of_head.items()}
    )


def _output_factors(optimizer: OptimizerFactory, multiplier: float) -> dict[str, float]:
    check_scalar("output_multiplier", multiplier)
    check_positive("output_multiplier", multiplier)
    return {} if multiplier == 1 else {name: multiplier**power for name, power in OUTPUT_POWERS[optimizer].items()}


def _factors(optimizer: OptimizerFactory, num_features: int) -> dict[str, float]:
    root = math.sqrt(check_count("num_features", num_features))
    return {name: root**power for name, power in POWERS[optimizer].items()}


def complete_numbers(optimizer: OptimizerFactory, numbers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the numbers with the defaults of those that depend on sizes.

    Raises:
        TypeError: no learning rate, or text where a number is needed.
        ValueError: an optimizer without a dictionary, or a number it does not have.
    """
    if not any(optimizer is known for known in POWERS):
        names = ", ".join(f"optax.{name}" for name in ("sgd", "adam", "adamw", "nadam", "nadamw", "lion"))
        raise ValueError(f"`optimizer` must be a factory with a dictionary ({names}), got {shown(optimizer)}.")
    parameters = inspect.signature(optimizer).parameters
    for name, value in numbers.items():
        check_name("hyperparameter", name, parameters)
        if isinstance(value, str):
            raise TypeError(f"`{name}` must be a number, got {value!r}.")
    if "learning_rate" not in numbers:
        raise TypeError(f"{shown(optimizer)} needs learning_rate: pass learning_rate=… as a keyword.")
    return {**{name: parameters[name].default for name in POWERS[optimizer]}, **numbers}


def times(value: Any, factor: float) -> Any:
    """Return a number or a schedule times a factor."""
    if factor == 1:
        return value
    return ScaledSchedule(value, factor) if callable(value) else value * factor


def _over(value: Any, factor: float) -> Any:
    return times(value, 1 / factor) if callable(value) else value if factor == 1 else value / factor

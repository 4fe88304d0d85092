"""Numbers of a flax script at one width that do at another what they did: maximal-update scaling from a base width.

A script of dense layers with kernels of standard deviation 1/√fan_in and one optimizer is, at its width n₀, the
standard parametrisation of `dyntheory.wide.network`: γ₀ = 1/√n₀. At width n the same γ₀ asks for an output kernel that
begins √(n₀/n) times smaller. Gradients of the output kernel and bias then do not depend on n, all others go as 1/n;
kernels of the first layer, and biases, are to move by O(1), entries of hidden and output kernels by O(1/n). So SGD has
rates n, 1, 1/n on first, hidden and output kernels; Adam, blind to the size of gradients, 1, 1/n, 1/n.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from dyntheory.ground.checks import check_count, check_nonnegative, is_concrete, is_number
from dyntheory.ground.kinds import check_arguments
from dyntheory.problem.methods.flax_dictionary import WIDTH_POWERS, complete_numbers, times
from dyntheory.problem.methods.hyperparameters import OptimizerFactory

RATE, DECAY = "learning_rate", "weight_decay"


class Transferred(NamedTuple):
    """Keywords of an optax factory at another width, for every group of parameters of a flax script.

    Args:
        first: for the kernel of the first layer, on the inputs.
        hidden: for kernels between hidden layers.
        readout: for the output kernel.
        bias: for biases of hidden layers.
        output_bias: for the bias of the output.
        readout_scale: factor on the initial standard deviation 1/√fan_in of the output kernel at the new width.
    """

    first: dict[str, Any]
    hidden: dict[str, Any]
    readout: dict[str, Any]
    bias: dict[str, Any]
    output_bias: dict[str, Any]
    readout_scale: float


def transfer(optimizer: OptimizerFactory, *, from_width: int, to_width: int, **numbers: Any) -> Transferred:
    """Return the numbers with which a flax script at another width learns as it does with these at its own.

    The script: dense layers of n₀ = `from_width` neurons, kernels with standard deviation 1/√fan_in, biases zero, and
    one optimizer for everything, tuned there. Wider layers with the same numbers would learn less features, or blow up.
    With those returned, and the output kernel times `readout_scale`, outputs and features at n = `to_width` move as
    they do at n₀: a network of n₀ neurons, each copied n/n₀ times, exactly; random ones as `dyntheory.wide.predict`
    says with γ₀ = 1/√n₀, up to O(1/√n) in one network and O(1/n) in the mean. Outputs before training, O(1) at n₀, go
    down as √(n₀/n).

    Scaling:
        SGD: η ∝ n on the first kernel and on biases, 1 on hidden ones, 1/n on the output kernel. Adam, Lion: η ∝ 1/n on
        hidden and output kernels, else the same. ε ∝ 1/n on all but output kernel and output bias. Decoupled decay λ:
        λη keeps its value. The output bias keeps its numbers.

    Args:
        optimizer: the factory of the script: optax.sgd, adam, adamw, nadam, nadamw, lion.
        from_width: n₀ at least 1, at which the numbers were found.
        to_width: n at least 1. With layers of different widths, one factor n/n₀ for all of them.
        **numbers: what the script gives it, schedules too; what it leaves out has optax's default, which is converted
            as well.

    Returns:
        Keywords by group, for `optax.multi_transform`, and the factor on the output kernel at the start.

    Raises:
        TypeError: a number that the optimizer needs is missing, or an argument of the wrong kind.
        ValueError: an optimizer without a dictionary, a number it does not have or below zero, or a width
            below 1.

    Example:
        >>> import optax, dyntheory as dt
        >>> found = dt.wide.transfer(optax.sgd, from_width=256, to_width=1024, learning_rate=0.1)
        >>> [group["learning_rate"] for group in (found.first, found.hidden, found.readout)]
        [0.4, 0.1, 0.025]
        >>> found.readout_scale
        0.5

    Reference: `yang2021tuning`, table 3; `yang2021tensor`.
    """
    check_arguments(transfer, locals())
    ratio = check_count("to_width", to_width) / check_count("from_width", from_width)
    given = complete_numbers(optimizer, numbers)
    for name, value in given.items():
        if is_number(value) and is_concrete(value):
            check_nonnegative(name, value)

    def at(powers: dict[str, int]) -> dict[str, Any]:
        return {name: times(value, ratio ** powers.get(name, 0)) for name, value in given.items()}

    first, readout = WIDTH_POWERS[optimizer]
    return Transferred(
        first=at(first),
        hidden=at(_hidden(first, has_decay=DECAY in readout)),
        readout=at(readout),
        bias=at(first),
        output_bias=at({}),
        readout_scale=math.sqrt(1.0 / ratio),
    )


def _hidden(first: dict[str, int], *, has_decay: bool) -> dict[str, int]:
    """Return the powers of a hidden kernel: gradients as those of the first layer, entries that move by 1/n of them."""
    rate = first.get(RATE, 0) - 1
    return {**first, RATE: rate} | ({DECAY: -rate} if has_decay else {})

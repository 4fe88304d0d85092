"""Numbers of an optimizer: which are data (traced, swept, differentiated) and which are static (flags, schedules)."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
import optax

from dyntheory.ground.arrays import PyTree
from dyntheory.ground.checks import check_finite, is_concrete
from dyntheory.ground.names import check_name
from dyntheory.problem.methods.row_wise import check_descends, check_row_wise

HEAD_PREFIX = "head_"
GENERIC_NUMBER = 0.37
OptimizerFactory = Callable[..., optax.GradientTransformation]
Optimizer = OptimizerFactory | optax.GradientTransformation
StaticNumbers = tuple[tuple[str, Any], ...]


def shown(optimizer: Optimizer) -> str:
    """Return what an optimizer is called in messages."""
    return str(getattr(optimizer, "__name__", type(optimizer).__name__))


def is_head_number(name: str, optimizer: Optimizer) -> bool:
    """Return whether a keyword belongs to the head alone."""
    if not name.startswith(HEAD_PREFIX):
        return False
    is_ready = isinstance(optimizer, optax.GradientTransformation)
    return is_ready or name not in inspect.signature(optimizer).parameters


def split_numbers(
    argument: str, optimizer: Optimizer, given: dict[str, Any], *, prefix: str = ""
) -> tuple[dict[str, Any], StaticNumbers]:
    """Separate numbers (data) from flags, schedules and the like (static); check both.

    Args:
        argument: the argument that `optimizer` was given as, for messages.
        optimizer: a factory, or a ready transformation that takes no numbers.
        given: the keywords for it.
        prefix: what the user writes before their names.

    Raises:
        TypeError: a number is missing, of the wrong kind, or given beside a ready transformation.
        ValueError: an unknown name, or a number that is not finite.
    """
    if isinstance(optimizer, optax.GradientTransformation):
        if given:
            raise TypeError(
                f"`{argument}` is a ready optax transformation, its numbers are already inside; got "
                f"{', '.join(prefix + name for name in sorted(given))} as well. Pass the factory or drop them."
            )
        return {}, ()
    if not callable(optimizer):
        raise TypeError(f"`{argument}` must be an optax factory or transformation, got {optimizer!r}.")
    parameters = inspect.signature(optimizer).parameters
    for name in given:
        check_name(f"hyperparameter of `{argument}`", prefix + name, [prefix + known for known in parameters])
    _check_complete(argument, optimizer, parameters, given, prefix)
    data = {name: value for name, value in given.items() if _is_number(prefix + name, value, parameters[name])}
    static = {name: value for name, value in given.items() if name not in data}
    return data, tuple(sorted(static.items()))


def _check_complete(
    argument: str,
    optimizer: Optimizer,
    parameters: Mapping[str, inspect.Parameter],
    given: dict[str, Any],
    prefix: str,
) -> None:
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    required = [n for n, p in parameters.items() if p.default is inspect.Parameter.empty and p.kind in named]
    missing = [prefix + name for name in required if name not in given]
    if missing:
        raise TypeError(
            f"`{argument}` {shown(optimizer)} needs {', '.join(missing)}: pass {missing[0]}=… as a keyword."
        )


def _is_number(name: str, value: Any, parameter: inspect.Parameter) -> bool:
    """Return whether a hyperparameter is data; refuse what is neither data nor of the kind of its default."""
    default = parameter.default
    for kind in (bool, int, str):
        if isinstance(default, kind):
            wanted = "True or False" if kind is bool else f"of type {kind.__name__}"
            if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
                raise TypeError(f"`{name}` must be {wanted}, got {value!r}.")
            return False
    if (value is None and default is None) or (callable(value) and not isinstance(value, jax.Array)):
        return False
    is_scalar = isinstance(value, jax.Array | np.ndarray | np.generic | int | float) and np.shape(value) == ()
    if isinstance(value, bool) or not is_scalar:
        if isinstance(default, float) or default is inspect.Parameter.empty:
            raise TypeError(f"`{name}` must be a number or a schedule, got {value!r}.")
        return False
    check_finite(name, value)
    if name.endswith("learning_rate") and is_concrete(value) and np.asarray(value) < 0:
        raise ValueError(
            f"`{name}` must be zero or positive, got {value}: steps go against the gradient, and a negative one would "
            "raise the loss."
        )
    return True


def build(optimizer: Optimizer, static: StaticNumbers, data: PyTree) -> optax.GradientTransformation:
    """Return the transformation with its numbers filled in; cheap, done while tracing."""
    if isinstance(optimizer, optax.GradientTransformation):
        return optimizer
    return optimizer(**dict(static), **data)


def check_optimizer(
    optimizer: Optimizer, data: dict[str, Any], static: StaticNumbers, *, is_row_wise: bool = True
) -> None:
    """Refuse an optimizer that draws random numbers, needs more than gradients, or is not row-wise.

    Traced numbers are replaced by a generic one. The head is seen whole: its optimizer may couple its entries.

    Raises:
        ValueError: see `check_row_wise`.
    """
    generic = {name: value if is_concrete(value) else GENERIC_NUMBER for name, value in data.items()}
    with jax.enable_x64(True), jax.ensure_compile_time_eval():
        built = _built(optimizer, static, generic)
        check_row_wise(built, shown(optimizer), is_row_wise=is_row_wise)
        check_descends(built, shown(optimizer))


def _built(optimizer: Optimizer, static: StaticNumbers, data: PyTree) -> optax.GradientTransformation:
    """Return the transformation that a factory makes; refuse what makes none, or none of these numbers."""
    try:
        rule = build(optimizer, static, data)
    except Exception as error:
        raise TypeError(f"The `optimizer` {shown(optimizer)} does not take its arguments: {error}") from error
    if not hasattr(rule, "init") or not hasattr(rule, "update"):
        raise TypeError(f"`optimizer` must make an optax transformation; {shown(optimizer)} made {rule!r}.")
    return rule

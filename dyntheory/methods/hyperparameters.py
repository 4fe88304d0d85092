"""Numbers of an optimizer: which are data (traced, swept, differentiated) and which are static (flags, schedules)."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import jax
import optax

from dyntheory._checks import check_finite, check_name, is_concrete
from dyntheory._typing import PyTree
from dyntheory.methods.row_wise import check_row_wise

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


def split_numbers(argument: str, optimizer: Optimizer, given: dict[str, Any]) -> tuple[dict[str, Any], StaticNumbers]:
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
            f"`{argument}` {shown(optimizer)} needs {', '.join(missing)}: pass {missing[0]}=… as a keyword."
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


def build(optimizer: Optimizer, static: StaticNumbers, data: PyTree) -> optax.GradientTransformation:
    """Return the transformation with its numbers filled in; cheap, done while tracing."""
    if isinstance(optimizer, optax.GradientTransformation):
        return optimizer
    return optimizer(**dict(static), **data)


def check_optimizer(optimizer: Optimizer, data: dict[str, Any], static: StaticNumbers) -> None:
    """Refuse an optimizer that is not row-wise; traced numbers are replaced by a generic one.

    Raises:
        ValueError: see `check_row_wise`.
    """
    generic = {name: value if is_concrete(value) else GENERIC_NUMBER for name, value in data.items()}
    with jax.ensure_compile_time_eval():
        check_row_wise(build(optimizer, static, generic), shown(optimizer))

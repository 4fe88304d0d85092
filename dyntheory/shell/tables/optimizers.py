"""Optimizers and schedules by name, with the kinds of their numbers read off optax's signatures.

Only row-wise optimizers are listed; whether a prediction exists for one is decided by `predict`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import optax

from dyntheory.ground.names import check_name
from dyntheory.problem.methods.schedules import RATE, piecewise_sgd

FROZEN = "frozen"
OPTIMIZER_NAMES = (
    *("adabelief", "adadelta", "adagrad", "adam", "adamax", "adamaxw", "adamw", "adan", "amsgrad", "lion", "nadam"),
    *("nadamw", "optimistic_gradient_descent", "radam", "rmsprop", "rprop", "sgd", "sign_sgd"),
    *("signum", "yogi"),
)
SCHEDULE_FACTORIES = {
    "constant": "constant_schedule",
    "cosine_decay": "cosine_decay_schedule",
    "cosine_onecycle": "cosine_onecycle_schedule",
    "exponential_decay": "exponential_decay",
    "linear": "linear_schedule",
    "linear_onecycle": "linear_onecycle_schedule",
    "piecewise_constant": "piecewise_constant_schedule",
    "polynomial": "polynomial_schedule",
    "warmup_constant": "warmup_constant_schedule",
    "warmup_cosine_decay": "warmup_cosine_decay_schedule",
    "warmup_exponential_decay": "warmup_exponential_decay_schedule",
}
OPTIMIZERS: dict[str, Callable[..., Any]] = {
    **{name: getattr(optax, name) for name in OPTIMIZER_NAMES if hasattr(optax, name)},
    FROZEN: optax.set_to_zero,
}
SCHEDULES: dict[str, Callable[..., Any]] = {
    name: getattr(optax, factory) for name, factory in SCHEDULE_FACTORIES.items() if hasattr(optax, factory)
}
NOT_NUMBERS = ("dtype", "mask")
PIECEWISE = "piecewise_linear"  # whose rates are numbers of the method, for designs: see `piecewise`


def numbers_of(factory: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return the parameters of an optax factory that can be written down: numbers, flags and tables of them."""
    parameters = inspect.signature(factory).parameters
    return {name: parameter for name, parameter in parameters.items() if not name.endswith(NOT_NUMBERS)}


def is_flag(parameter: inspect.Parameter) -> bool:
    """Return whether a parameter is true or false."""
    return isinstance(parameter.default, bool)


def missing_numbers(factory: Callable[..., Any], given: Mapping[str, Any]) -> list[str]:
    """Return the names of the numbers that have no default and are not given."""
    return [
        name
        for name, parameter in numbers_of(factory).items()
        if parameter.default is inspect.Parameter.empty and name not in given
    ]


def build_schedule(argument: str, entries: Mapping[str, Any]) -> Callable[[Any], Any]:
    """Return the schedule described by {"schedule": name, number: value, …}.

    Args:
        argument: what the schedule is for, named in errors.
        entries: the name and its numbers; `boundaries_and_scales` of "piecewise_constant" is a table {"30" = 0.1}.

    Raises:
        ValueError: an unknown schedule or number, one that is missing, or boundaries that are not steps.
        TypeError: a number that is none.
    """
    if "schedule" not in entries:
        raise ValueError(f'`{argument}` is a table without `schedule`: write {{ schedule = "cosine_decay", … }}.')
    factory = SCHEDULES[check_name(f"schedule of `{argument}`", entries["schedule"], [*SCHEDULES, PIECEWISE])]
    given = {name: value for name, value in entries.items() if name != "schedule"}
    for name, value in given.items():
        check_name(f"number of `{argument}`", name, numbers_of(factory))
        given[name] = _schedule_number(f"{argument}.{name}", value)
    missing = missing_numbers(factory, given)
    if missing:
        raise ValueError(f"`{argument}.{missing[0]}` is missing: the schedule {entries['schedule']!r} needs it.")
    return factory(**given)


def piecewise(method: Mapping[str, Any]) -> tuple[Callable[..., Any], dict[str, float]] | None:
    """Return the factory and rates of { schedule = "piecewise_linear", num_steps = 20, rates = [0.1, 0.5] }, if any.

    Args:
        method: a table [method].

    Raises:
        TypeError: rates that are no numbers.
        ValueError: an entry that is missing or unknown, another optimizer than plain sgd, rates that do not fit.
    """
    entries = method.get("learning_rate")
    if not isinstance(entries, Mapping) or entries.get("schedule") != PIECEWISE:
        return None
    others = [name for name in ("momentum", "nesterov", "head_learning_rate") if name in method]
    if method.get("optimizer", "sgd") != "sgd" or others:
        raise ValueError(
            f"The schedule {PIECEWISE!r} is for plain sgd: leave out {others[0] if others else 'optimizer'}."
        )
    for name in entries:
        check_name("number of `learning_rate`", name, ("schedule", "num_steps", "rates"))
    rates = entries.get("rates")
    if not isinstance(rates, list) or not all(isinstance(rate, int | float) for rate in rates):
        raise TypeError(f"`learning_rate.rates` must be a list of numbers, one for each knot, got {rates!r}.")
    if "num_steps" not in entries:
        raise ValueError("`learning_rate.num_steps` is missing: over how many steps the knots are spread.")
    return piecewise_sgd(entries["num_steps"], len(rates)), {f"{RATE}{knot}": rate for knot, rate in enumerate(rates)}


def _schedule_number(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        if not all(str(step).isdecimal() for step in value):
            raise ValueError(f'`{name}` must map steps to factors, {{ "30" = 0.1 }}, got {dict(value)!r}.')
        return {int(step): _schedule_number(f"{name}.{step}", factor) for step, factor in value.items()}
    if not isinstance(value, int | float):
        raise TypeError(f"`{name}` must be a number, got {value!r}.")
    return value

"""The tables [network] and [method]: networks, optimizers, algorithms without a network, and what wraps them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dyntheory.ground.names import check_name
from dyntheory.problem.methods.amp import bayes_amp, lasso_amp
from dyntheory.problem.methods.generalized_amp import generalized_amp
from dyntheory.problem.methods.gradient_descent import gradient_descent
from dyntheory.problem.methods.method import GeneralFirstOrderMethod
from dyntheory.problem.methods.proximal import proximal_gradient
from dyntheory.problem.methods.randomised import dropout, label_noise, mini_batches
from dyntheory.problem.networks.losses import resolve_loss
from dyntheory.problem.networks.network import MLP, LinearModel, Network
from dyntheory.shell.tables.entries import (
    COUNT,
    COUNTS,
    FLAG,
    NAME,
    NUMBER,
    Choice,
    Kind,
    build,
    check_entries,
    read_entries,
)
from dyntheory.shell.tables.law_table import PRIOR
from dyntheory.shell.tables.optimizers import (
    FROZEN,
    OPTIMIZERS,
    build_schedule,
    is_flag,
    missing_numbers,
    numbers_of,
    piecewise,
)

NETWORKS = {
    "mlp": Choice(
        MLP,
        {"hidden": COUNTS, "activation": NAME, "num_outputs": COUNT, "use_bias": FLAG, "initialization": NAME},
        {"hidden": "the widths of the hidden layers, such as [3, 3]"},
    ),
    "linear": Choice(LinearModel, {}),
}
TRAINED = "gradient_descent"
METHODS = {
    "proximal_gradient": Choice(
        proximal_gradient,
        {"learning_rate": NUMBER, "penalty": NUMBER, "ridge": NUMBER, "accelerated": FLAG},
        {"learning_rate": "the size of a step", "penalty": "λ of the sum of absolute values"},
    ),
    "lasso_amp": Choice(lasso_amp, {"threshold": NUMBER}, {"threshold": "in units of the effective noise"}),
    "bayes_amp": Choice(bayes_amp, {"prior": PRIOR}, {"prior": "of the teacher's entries, as the estimate has it"}),
    "generalized_amp": Choice(
        generalized_amp,
        {"channel": NAME, "prior": PRIOR, "noise_std": NUMBER},
        {"channel": "the law of a label given z, such as probit"},
    ),
}
METHOD_NAMES = (TRAINED, *METHODS)
WRAPPERS: dict[str, Choice] = {
    "mini_batches": Choice(
        mini_batches, {"fraction": NUMBER, "replacement": FLAG}, {"fraction": "the part of the samples in a batch"}
    ),
    "label_noise": Choice(label_noise, {"std": NUMBER}, {"std": "the standard deviation of the noise"}),
    "dropout": Choice(dropout, {"rate": NUMBER}, {"rate": "the part that is dropped"}),
}
WRAPPER_KINDS = {
    name: Kind(f"a table such as {{ {next(iter(choice.kinds))} = 0.5 }}", lambda value: isinstance(value, dict))
    for name, choice in WRAPPERS.items()
}
RATE = Kind(
    "a number or a schedule",
    lambda value: NUMBER.holds(value) or isinstance(value, dict),
    lambda name, value: build_schedule(name, value) if isinstance(value, dict) else value,
)


def has_network(entries: Mapping[str, Any]) -> bool:
    """Return whether a table [method] trains what [network] describes."""
    return entries.get("kind", TRAINED) == TRAINED


def method_kinds(entries: Mapping[str, Any]) -> dict[str, Kind]:
    """Return what may be written in a table [method], given its kind and its optimizers."""
    if not has_network(entries):
        choice = METHODS.get(str(entries["kind"]))
        return {"kind": NAME, **(choice.kinds if choice else {}), **WRAPPER_KINDS}
    names = (str(entries["optimizer"]), str(entries.get("head_optimizer", entries["optimizer"])))
    first, head = (OPTIMIZERS.get(name, OPTIMIZERS["sgd"]) for name in names)
    named = {"kind": NAME, "optimizer": NAME, "head_optimizer": NAME, "loss": NAME}
    return {**named, **_numbers("", first), **_numbers("head_", head), **WRAPPER_KINDS}


def read_network(entries: Mapping[str, Any], method: Mapping[str, Any]) -> Network | None:
    """Return the network of a table [network]; None beside a table [method] that has none.

    Raises:
        TypeError: a value of the wrong kind.
        ValueError: an unknown kind or key, one that is missing, a network beside a method without one.
    """
    if has_network(method):
        return build("network", entries, NETWORKS)
    if entries:
        raise ValueError(f"[network] must be left out: the method {method['kind']!r} has no network.")
    return None


def read_method(entries: Mapping[str, Any], network: Network | None, *, num_outputs: int) -> GeneralFirstOrderMethod:
    """Return the method of a table.

    Args:
        entries: the table [method], defaults filled in.
        network: what it trains.
        num_outputs: numbers in one label.

    Raises:
        TypeError: a value of the wrong kind.
        ValueError: an unknown name or key, one that is missing, a number outside its range.
    """
    if network is not None:
        method = _gradient_descent(entries, network)
    else:
        choice = METHODS[entries["kind"]]
        check_entries("method", entries, method_kinds(entries), required=choice.needed, choice="kind")
        method = choice.make(**read_entries("method", entries, choice.kinds))
    for name in WRAPPERS:
        if name in entries:
            method = _wrapped(method, name, entries[name], num_outputs)
    return method


def _numbers(prefix: str, factory: Callable[..., Any]) -> dict[str, Kind]:
    return {
        prefix + name: FLAG if is_flag(parameter) else RATE if name == "learning_rate" else NUMBER
        for name, parameter in numbers_of(factory).items()
    }


def _gradient_descent(entries: Mapping[str, Any], network: Network) -> GeneralFirstOrderMethod:
    choices = {name for name in OPTIMIZERS if name != FROZEN}
    first = OPTIMIZERS[check_name("`method.optimizer`", entries["optimizer"], choices)]
    name = entries.get("head_optimizer")
    head = first if name is None else OPTIMIZERS[check_name("`method.head_optimizer`", name, OPTIMIZERS)]
    needed = dict.fromkeys(missing_numbers(first, {}), f"the optimizer {entries['optimizer']!r} needs it")
    if name is not None:
        needed |= {f"head_{number}": f"the optimizer {name!r} needs it" for number in missing_numbers(head, {})}
    check_entries("method", entries, method_kinds(entries), required=needed, choice="optimizer")
    kinds = {**_numbers("", first), **_numbers("head_", head)}
    numbers: dict[str, Any]
    if (scheduled := piecewise(entries)) is not None:
        first, numbers = scheduled
    else:
        numbers = read_entries("method", entries, kinds)
    loss = resolve_loss(entries["loss"])
    return gradient_descent(network, first, loss=loss, head_optimizer=None if name is None else head, **numbers)


def _wrapped(
    method: GeneralFirstOrderMethod, name: str, entries: Mapping[str, Any], num_outputs: int
) -> GeneralFirstOrderMethod:
    table, choice = f"method.{name}", WRAPPERS[name]
    check_entries(table, entries, choice.kinds, required=choice.needed)
    numbers = read_entries(table, entries, choice.kinds)
    if choice.make is label_noise:
        numbers["num_outputs"] = num_outputs
    return choice.make(method, **numbers)

"""Factories whose results are known by what they were asked for; see `request`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import jax
import numpy as np
from jax.core import Tracer

from dyntheory.ground.identity.fingerprint import fingerprint
from dyntheory.ground.identity.request import remember

Arguments = ParamSpec("Arguments")
Made = TypeVar("Made")


def requested(factory: Callable[..., Any], *arguments: Any, **keywords: Any) -> str | None:
    """Return the fingerprint of a call; None under a trace, where arguments have no values."""
    bound = inspect.signature(factory).bind(*arguments, **keywords)
    bound.apply_defaults()
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(bound.arguments)):
        return None
    given = {name: _number(value) for name, value in bound.arguments.items()}
    return fingerprint([f"{factory.__module__}.{factory.__qualname__}", given])


def known_by_arguments(factory: Callable[Arguments, Made]) -> Callable[Arguments, Made]:
    """Let the dataclass that a factory makes of numbers and arrays be known by them."""

    @functools.wraps(factory)
    def remembering(*arguments: Arguments.args, **keywords: Arguments.kwargs) -> Made:
        return remember(factory(*arguments, **keywords), requested(factory, *arguments, **keywords))

    return remembering


def _number(value: Any) -> Any:
    """Return a number or numbers in the form that factories compute with."""
    if isinstance(value, bool | str | type(None)):
        return value
    array = np.asarray(value)
    return array.astype(float) if array.dtype.kind in "iuf" else value

"""Learning rates that change along a run, as numbers: swept and designed like any other, without compiling anew."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax

from dyntheory.ground.checks import check_count
from dyntheory.ground.kinds import check_arguments

RATE = "rate_"


def piecewise_sgd(num_steps: int, num_knots: int = 5) -> Callable[..., optax.GradientTransformation]:
    """Return an optimizer factory: SGD whose learning rate is linear between knots spread evenly over the run.

    Its numbers are `rate_0`, …, `rate_{K−1}`, the rates at steps 0, …, T − 1.

    Args:
        num_steps: T, the number of steps of the run; later steps have the last rate.
        num_knots: K, two or more, at most T.

    Raises:
        ValueError: too few knots, or more than steps.

    Example:
        >>> import dyntheory as dt
        >>> rates = {"rate_0": 0.1, "rate_1": 0.5, "rate_2": 0.1}  # up and down again
        >>> dt.gradient_descent(dt.MLP((2,)), dt.piecewise_sgd(20, 3), **rates).num_units
        2
    """
    check_arguments(piecewise_sgd, locals())
    num_steps, num_knots = check_count("num_steps", num_steps), check_count("num_knots", num_knots, minimum=2)
    if num_knots > num_steps:
        raise ValueError(f"`num_knots` must be at most `num_steps`, got {num_knots} knots for {num_steps} steps.")
    return _factory(num_steps, num_knots)


@functools.cache
def _factory(num_steps: int, num_knots: int) -> Callable[..., optax.GradientTransformation]:
    names = [f"{RATE}{knot}" for knot in range(num_knots)]
    places = np.linspace(0.0, num_steps - 1.0, num_knots)

    def piecewise(**rates: Any) -> optax.GradientTransformation:
        values = jnp.stack([jnp.asarray(rates[name]) for name in names])
        return optax.sgd(lambda count: jnp.interp(jnp.asarray(count, values.dtype), places, values))

    parameters = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in names]
    piecewise.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportFunctionMemberAccess]
    return piecewise

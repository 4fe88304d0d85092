"""Learning rates that change along a run, as numbers: swept and designed like any other, without compiling anew."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax

from dyntheory.ground.checks import check_count, check_nonnegative, is_concrete
from dyntheory.ground.kinds import check_arguments

RATE = "rate_"
SHORT = 1e-9  # the part of a run that is none


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


def cosine_sgd(num_steps: int) -> Callable[..., optax.GradientTransformation]:
    """Return an optimizer factory: SGD whose learning rate rises to a peak and falls to a part of it along a cosine.

    Its numbers are `peak`, `warmup`, the part of the run in which the rate rises in proportion to the step, and
    `final`, the last rate over the peak. With u = (t + 1)/T the rate of step t is peak · u/warmup up to u = warmup,
    then peak · (final + (1 − final)(1 + cos π(u − warmup)/(1 − warmup))/2). With warmup 0 and final 1 it is constant.

    Args:
        num_steps: T, the number of steps of the run; later steps have the last rate.

    Raises:
        ValueError: `num_steps` is no count.

    Example:
        >>> import dyntheory as dt
        >>> numbers = {"peak": 0.5, "warmup": 0.2, "final": 0.1}
        >>> dt.gradient_descent(dt.MLP((2,)), dt.cosine_sgd(20), **numbers).num_units
        2
    """
    check_arguments(cosine_sgd, locals())
    return _cosine(check_count("num_steps", num_steps))


def check_part(name: str, value: Any) -> None:
    """Require a part of a run, where the value is known.

    Raises:
        ValueError: it is below zero or above one.
    """
    if is_concrete(value) and not 0.0 <= float(value) <= 1.0:
        raise ValueError(f"`{name}` is a part of the run and must lie between 0 and 1, got {value}.")


@functools.cache
def _cosine(num_steps: int) -> Callable[..., optax.GradientTransformation]:
    def cosine(peak: Any, warmup: Any, final: Any) -> optax.GradientTransformation:
        check_part("warmup", warmup)
        check_nonnegative("final", final)
        peak, warmup, final = (jnp.asarray(number) for number in (peak, warmup, final))

        def rate(count: Any) -> Any:
            part = jnp.minimum((jnp.asarray(count, peak.dtype) + 1) / num_steps, 1.0)
            fall = jnp.clip((part - warmup) / jnp.maximum(1.0 - warmup, SHORT), 0.0, 1.0)
            rise = jnp.minimum(part / jnp.maximum(warmup, SHORT), 1.0)
            return peak * jnp.where(part < warmup, rise, final + (1.0 - final) * (1.0 + jnp.cos(jnp.pi * fall)) / 2)

        return optax.sgd(rate)

    return cosine


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

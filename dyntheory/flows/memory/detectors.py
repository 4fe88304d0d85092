"""Detectors beside the optimal one, matched filter and best linear one, and where the optimal one has two states.

All leave a Gaussian interference of which the signal-to-interference ratio E says everything: Φ(−√E) bits are wrong.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp

from dyntheory.closed_forms.evaluation import evaluate, over_leading_axes
from dyntheory.flows.memory.iteration import wrong_signs
from dyntheory.flows.memory.multi_user_branches import check_channel, noise_at, transition, turning_points
from dyntheory.flows.memory.programs import by_size
from dyntheory.ground.arrays import Array, ArrayLike
from dyntheory.ground.kinds import check_arguments


class LinearDetection(NamedTuple):
    """Arrays of one shape.

    Args:
        ratio: E, signal-to-interference ratio.
        bit_error: Φ(−√E).
    """

    ratio: Any
    bit_error: Any


def matched_filter(load: ArrayLike, noise_variance: ArrayLike) -> LinearDetection:
    """Return how well bits are detected by the sign of s_k·y, as if the other users were noise: E = 1/(σ² + β).

    Scaling:
        That of `multi_user`.

    Args:
        load: β, positive.
        noise_variance: σ², positive.

    Returns:
        E and the bit error.

    Raises:
        ValueError: a number outside its range.

    Example:
        >>> import dyntheory as dt
        >>> dt.memory.matched_filter(0.5, 0.5).ratio.item()
        1.0

    Reference: `verdu1999spectral`.
    """
    check_arguments(matched_filter, locals())
    check_channel(load, noise_variance)
    return evaluate(lambda beta, variance: _detection(1 / (variance + beta)), load, noise_variance)


def linear_detector(load: ArrayLike, noise_variance: ArrayLike) -> LinearDetection:
    """Return how well bits are detected by the linear filter of least mean square error.

    σ²E² + (σ² + β − 1)E − 1 = 0.

    Scaling:
        That of `multi_user`.

    Args:
        load: β, positive.
        noise_variance: σ², positive.

    Returns:
        E and the bit error.

    Raises:
        ValueError: a number outside its range.

    Example:
        >>> import dyntheory as dt
        >>> round(dt.memory.linear_detector(0.5, 0.5).ratio.item(), 12)
        1.414213562373

    Reference: `tse1999linear`; `verdu1999spectral`.
    """
    check_arguments(linear_detector, locals())
    check_channel(load, noise_variance)

    def formula(beta: Array, variance: Array) -> LinearDetection:
        half = (variance + beta - 1) / 2
        root = jnp.hypot(half, jnp.sqrt(variance))
        # One of two forms of the positive root does not cancel.
        return _detection(jnp.where(half > 0, 1 / (half + root), (root - half) / variance))

    return evaluate(formula, load, noise_variance)


class DetectionLines(NamedTuple):
    """Noise variances at given loads, arrays of one shape; NaN at loads with one solution at any noise.

    Args:
        uninformed: σ² from which on the solution of little knowledge is there; below it message passing reaches the
            optimum. Not positive where even without noise it is stuck.
        transition: σ² at which both solutions are as good; equilibrium is the informed one below.
        informed: σ² up to which the solution of much knowledge is there.
    """

    uninformed: Any
    transition: Any
    informed: Any


def detection_lines(load: ArrayLike) -> DetectionLines:
    """Return the noise variances between which optimal detection of many users has two stable solutions.

    Scaling:
        That of `multi_user`.

    Args:
        load: β, positive.

    Returns:
        Three lines, in the shape of β.

    Raises:
        ValueError: a load outside its range.

    Example:
        >>> import dyntheory as dt
        >>> lines = dt.memory.detection_lines([1.0, 2.0])
        >>> bool(lines.uninformed[1] < lines.transition[1] < lines.informed[1]), lines.transition[0].item()
        (True, nan)

    Reference: `tanaka2002statistical`; `guo2005randomly`.
    """
    check_arguments(detection_lines, locals())
    check_channel(load, 1.0)
    return DetectionLines(*evaluate(_lines, load))


@by_size
def _lines(load: Array) -> tuple[Array, ...]:
    def at(beta: Array) -> tuple[Array, Array, Array]:
        turning = turning_points(beta)
        held = jnp.where(turning.has_two, beta, 2.0)
        known = turning_points(held)
        lines = noise_at(known.low, held), transition(held, known), noise_at(known.high, held)
        low, middle, high = (jnp.where(turning.has_two, line, jnp.nan) for line in lines)
        return low, middle, high

    return over_leading_axes(at, "()->(),(),()")(load)


def _detection(ratio: Array) -> LinearDetection:
    return LinearDetection(ratio, wrong_signs(jnp.sqrt(ratio)))

"""Learning of a perceptron from a teacher in the limit of many features: three rules as flows of an angle and a length.

J ← J + (η/√d) F x with F of the student's field h = J·x/√d and the teacher's v = B·x/√d, |B|² = d. With θ the angle
between both and ℓ = |J|/√d, α = examples/d,

    dℓ/dα = η ⟨F h⟩/ℓ + η² ⟨F²⟩/(2ℓ),      d cos θ/dα = η ⟨F v⟩/ℓ − cos θ (dℓ/dα)/ℓ.

    rule          F                      ⟨F v⟩                    ⟨F h⟩                       ⟨F²⟩
    Hebb          sgn v                  √(2/π)                   ℓ cos θ √(2/π)              1
    perceptron    sgn v [h v < 0]        (1 − cos θ)/√(2π)        −ℓ (1 − cos θ)/√(2π)        θ/π
    AdaTron       |h| sgn v [h v < 0]    ℓ (sin θ − θ cos θ)/π    −ℓ² (θ − sin θ cos θ)/π     ℓ² (θ − sin θ cos θ)/π

Below, what d cos θ/dα is after division by −sin θ, where terms of small angles do not cancel.

Reference: `vallet1989hebb`; `anlauf1989adatron`; `biehl1994online`; `kinouchi1992optimal`.
"""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp
import numpy as np

from dyntheory.flows.perceptron.online_results import OnlineCurve
from dyntheory.flows.solving import Field, check_times, solve_flow
from dyntheory.ground.arrays import Array, ArrayLike, PyTree
from dyntheory.ground.checks import check_positive, check_scalar
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.names import check_name
from dyntheory.ground.status import Outcome, Status

SMALL = 0.1  # an angle below which sin θ − θ cos θ and θ − sin θ cos θ are series


def predict(
    rule: str,
    times: ArrayLike,
    *,
    learning_rate: float = 1.0,
    initial_overlap: float = 0.0,
    initial_length: float = 1.0,
    rtol: float = 1e-8,
) -> OnlineCurve:
    """Predict how a perceptron learns a teacher perceptron from examples that it sees once, as the dimension grows.

    Scaling:
        d inputs of unit variance, α = examples/d is the time; lengths are |J|/√d, so only η/ℓ matters to Hebb's and
        the perceptron rule, and only η to AdaTron.

    Args:
        rule: "hebb", "perceptron" (learns from mistakes) or "adatron" (learns from mistakes by their size).
        times: α, increasing, zero or later, (T,).
        learning_rate: η, positive; AdaTron converges below 3.
        initial_overlap: cosine with the teacher at the start, above −1 and below 1.
        initial_length: ℓ at the start, positive: a student of length zero has no direction.
        rtol: tolerance of angle and length.

    Returns:
        Test error, overlap and length, with the error of the solver and a status.

    Raises:
        ImportError: without diffrax.
        ValueError: an unknown rule or a number outside its range.

    Example:
        >>> import dyntheory as dt
        >>> curve = dt.perceptron.predict("hebb", [0.0, 1000.0], initial_length=1e-3)
        >>> curve.test_error.round(5)  # 1/√(2πα) late
        array([0.5    , 0.01261])

    Reference: `vallet1989hebb`; `biehl1994online`; `anlauf1989adatron`.
    """
    check_arguments(predict, locals())
    moments, start = checked_start(rule, times, learning_rate, initial_overlap, initial_length)
    flow = solve_flow(FIELDS[rule], start, moments, np.asarray(float(learning_rate)), rtol=rtol)
    angle, off, status = flow.states["angle"], flow.error["angle"], flow.status
    with np.errstate(over="ignore"):
        length = np.exp(flow.states["log_length"])
    if status.ok and not np.isfinite(length).all():
        status = Status(Outcome.DIVERGED, "The length is above any number, angles are right: lower `learning_rate`.")
    of_length = np.where(np.isfinite(length), length, 0.0) * flow.error["log_length"]
    errors = OnlineCurve(moments, off / math.pi, np.abs(np.sin(angle)) * off, of_length)
    return OnlineCurve(moments, angle / math.pi, np.cos(angle), length, errors, None, status)


def checked_start(
    rule: str, times: ArrayLike, learning_rate: float, overlap: float, length: float
) -> tuple[np.ndarray, dict[str, Any]]:
    """Return times and the state at the start, or say what is wrong with them."""
    check_name("rule", rule, FIELDS)
    for name, value in (("learning_rate", learning_rate), ("initial_length", length)):
        check_scalar(name, value)
        check_positive(name, value)
    check_scalar("initial_overlap", overlap)
    if not -1 < float(overlap) < 1:
        raise ValueError(f"`initial_overlap` must be above −1 and below 1, got {overlap!r}.")
    start = {"angle": np.asarray(math.acos(float(overlap))), "log_length": np.asarray(math.log(float(length)))}
    return check_times(times), start


def _hebb(_: Array, state: PyTree, rate: PyTree) -> PyTree:
    angle, small = state["angle"], rate * jnp.exp(-state["log_length"])
    pull = small * math.sqrt(2 / math.pi)
    turn = -pull * jnp.sin(angle) + small**2 * jnp.cos(angle) / (2 * jnp.sin(angle))
    return {"angle": turn, "log_length": pull * jnp.cos(angle) + small**2 / 2}


def _perceptron(_: Array, state: PyTree, rate: PyTree) -> PyTree:
    angle, small = state["angle"], rate * jnp.exp(-state["log_length"])
    pull, noise = small / math.sqrt(2 * math.pi), small**2 * angle / (2 * math.pi)
    turn = -pull * jnp.sin(angle) + noise * jnp.cos(angle) / jnp.sin(angle)
    return {"angle": turn, "log_length": -pull * 2 * jnp.sin(angle / 2) ** 2 + noise}


def _adatron(_: Array, state: PyTree, rate: PyTree) -> PyTree:
    angle = state["angle"]
    along, across = _cubic(angle)
    grows = (rate**2 / 2 - rate) * across / math.pi
    turn = -(rate * along / math.pi - jnp.cos(angle) * grows) / jnp.sin(angle)
    return {"angle": turn, "log_length": grows}


def _cubic(angle: Array) -> tuple[Array, Array]:
    """Return sin θ − θ cos θ and θ − sin θ cos θ, to all digits at small angles."""
    held = jnp.where(angle < SMALL, angle, 0.0)
    square = held**2
    along = held**3 / 3 * (1 - square / 10 * (1 - square / 28 * (1 - square / 54 * (1 - square / 88))))
    across = 2 * held**3 / 3 * (1 - square / 5 * (1 - 2 * square / 21 * (1 - square / 18 * (1 - 2 * square / 55))))
    wide_along = jnp.sin(angle) - angle * jnp.cos(angle)
    wide_across = angle - jnp.sin(angle) * jnp.cos(angle)
    is_small = angle < SMALL
    return jnp.where(is_small, along, wide_along), jnp.where(is_small, across, wide_across)


FIELDS: dict[str, Field] = {"hebb": _hebb, "perceptron": _perceptron, "adatron": _adatron}

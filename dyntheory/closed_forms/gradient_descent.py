"""Gradient descent and gradient flow on Gaussian least squares, exact in time.

y = X w*/√d + σξ with X (n, d) of independent standard entries, α = n/d, w ← w − (η/α) Xᵀ(X w/√d − y)/√d. The
eigenvalues h of XᵀX/n follow Marchenko and Pastur's law ν at c = 1/α, and with D(h) = (1 − ηh)^t, for the flow
ẇ = −(1/α) Xᵀ(X w/√d − y)/√d with D(h) = e^{−ht},

    test  = σ² + Δ (∫_{h>0} D² dν + (1 − α)₊) + (σ²/α) ∫_{h>0} (1 − D)²/h dν,      Δ = E(w⁰ − w*)²,
    train = ∫_{h>0} D² (Δh + σ²/α) dν + σ² (1 − 1/α)₊.

Every integrand is a polynomial of degree 2t + 1, or as good as one of degree O(√t): Gauss's rule has no error.

Reference: `advani2020high`; `ali2019continuous` for the flow.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.closed_forms.evaluation import evaluate, over_leading_axes
from dyntheory.closed_forms.marchenko_pastur import Angles, gauss_angles
from dyntheory.ground.arrays import Array, ArrayLike
from dyntheory.ground.checks import check_count, check_nonnegative, check_positive, is_concrete
from dyntheory.ground.kinds import check_arguments

MOST_NODES = 1_000_000
LOG_ACCURACY = 64.0  # e^{-64}: what a polynomial of the degree that the rule integrates leaves of D²


class Curve(NamedTuple):
    """Errors along the last axis of `steps` or `times`.

    Args:
        train_error: (1/n)‖y − Xw/√d‖².
        test_error: mean squared error on a fresh sample, its label noise included.
    """

    train_error: Any
    test_error: Any


def least_squares_gd(
    samples_per_feature: ArrayLike,
    learning_rate: ArrayLike,
    *,
    steps: ArrayLike | range,
    signal_power: ArrayLike = 1.0,
    initial_power: ArrayLike = 0.0,
    noise_std: ArrayLike = 0.0,
    num_nodes: int | None = None,
) -> Curve:
    """Return the errors of least squares after t steps of gradient descent.

    Exact for every integer t, convergent or not: training converges for η < 2/(1 + 1/√α)². `rational_gd` gives the
    same as fractions.

    Scaling:
        The time unit is a step; w* and w⁰ have entries O(1) with powers `signal_power` and `initial_power`,
        independent of each other (else only E(w⁰ − w*)² matters: put it into `initial_power` with no signal).

    Args:
        samples_per_feature: α = n/d, positive.
        learning_rate: η, zero or positive.
        steps: t, integers, zero or positive, (..., T); a `range` too.
        signal_power: E w*².
        initial_power: E w⁰².
        noise_std: σ.
        num_nodes: of the rule; default enough for every t, which needs `steps` to be known before tracing.

    Returns:
        The curve; the parameters broadcast against the leading axes of `steps`.

    Raises:
        ValueError: a number outside its range, or `steps` are traced and `num_nodes` is not given.
        TypeError: steps that are not integers.

    Example:
        >>> from dyntheory import closed_forms
        >>> curve = closed_forms.least_squares_gd(2.0, 0.5, steps=[0, 1, 2], noise_std=0.5)
        >>> curve.test_error.round(12).tolist()
        [1.25, 0.65625, 0.529296875]

    Reference: `advani2020high` (their flow in discrete time; derived here).
    """
    check_arguments(least_squares_gd, locals())
    _check(samples_per_feature, signal_power, initial_power, noise_std)
    check_nonnegative("learning_rate", learning_rate)
    steps = np.asarray(steps) if isinstance(steps, range) else steps
    _check_steps(steps)
    if num_nodes is None:
        last = _largest("steps", steps)
        num_nodes = min(int(last) + 1, math.ceil(math.sqrt(LOG_ACCURACY * last)) + 32)
    return _curve("gd", num_nodes, samples_per_feature, learning_rate, steps, signal_power, initial_power, noise_std)


def least_squares_flow(
    samples_per_feature: ArrayLike,
    *,
    times: ArrayLike,
    signal_power: ArrayLike = 1.0,
    initial_power: ArrayLike = 0.0,
    noise_std: ArrayLike = 0.0,
    num_nodes: int | None = None,
) -> Curve:
    """Return the errors of least squares along the gradient flow.

    Scaling:
        t = η · step as η → 0, which is `least_squares_gd` at a small learning rate.

    Args:
        samples_per_feature: α = n/d, positive.
        times: t, zero or positive, (..., T).
        signal_power: E w*².
        initial_power: E w⁰².
        noise_std: σ.
        num_nodes: of the rule; default enough for every t, which needs `times` and α to be known before tracing.

    Returns:
        The curve; the parameters broadcast against the leading axes of `times`.

    Raises:
        ValueError: a number outside its range, or times are traced and `num_nodes` is not given.

    Example:
        >>> from dyntheory import closed_forms
        >>> curve = closed_forms.least_squares_flow(2.0, times=[0.0, 1.0, 100.0], noise_std=0.5)
        >>> curve.test_error.round(6).tolist()
        [1.25, 0.557932, 0.499998]

    Reference: `ali2019continuous`; `advani2020high`.
    """
    check_arguments(least_squares_flow, locals())
    _check(samples_per_feature, signal_power, initial_power, noise_std)
    check_nonnegative("times", times)
    if num_nodes is None:
        smallest = float(np.min(np.asarray(_known("samples_per_feature", samples_per_feature), dtype=float)))
        width = 4 * _largest("times", times) / math.sqrt(smallest)  # of the exponent 2ht over the spectrum
        num_nodes = math.ceil(math.sqrt(LOG_ACCURACY * max(width, LOG_ACCURACY)) / 2) + 32
    return _curve("flow", num_nodes, samples_per_feature, 1.0, times, signal_power, initial_power, noise_std)


def _check(alpha: ArrayLike, signal: ArrayLike, initial: ArrayLike, sigma: ArrayLike) -> None:
    check_positive("samples_per_feature", alpha, "it is n/d")
    check_nonnegative("signal_power", signal)
    check_nonnegative("initial_power", initial)
    check_nonnegative("noise_std", sigma)


def _check_steps(steps: ArrayLike) -> None:
    check_nonnegative("steps", steps)
    if is_concrete(steps) and not np.all(np.asarray(steps) == np.round(np.asarray(steps, dtype=float))):
        raise TypeError(f"`steps` must be integers, got {steps!r}: `least_squares_flow` takes times.")


def _known(name: str, value: ArrayLike) -> ArrayLike:
    if not is_concrete(value):
        raise ValueError(f"The number of nodes follows from `{name}`, which is traced here: give `num_nodes`.")
    return value


def _largest(name: str, value: ArrayLike) -> float:
    return float(np.max(np.asarray(_known(name, value), dtype=float)))


def _curve(kind: str, num_nodes: int, *arguments: ArrayLike) -> Curve:
    count = check_count("num_nodes", num_nodes)
    if count > MOST_NODES:
        raise ValueError(
            f"The rule would need {count} nodes, more than {MOST_NODES}: so late, `ridgeless` is the answer."
        )
    return evaluate(functools.partial(_errors, kind, count), *arguments, broadcast=False)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _errors(kind: str, num_nodes: int, *arguments: Array) -> Curve:
    alpha, rate, steps, signal, initial, sigma = arguments
    at_once = over_leading_axes(functools.partial(_errors_of_one, kind, num_nodes), "(),(),(t),(),(),()->(t),(t)")
    is_single = steps.ndim == 0
    curve = Curve(*at_once(alpha, rate, jnp.atleast_1d(steps), signal, initial, sigma))
    return Curve(curve.train_error[..., 0], curve.test_error[..., 0]) if is_single else curve


def _errors_of_one(
    kind: str,
    num_nodes: int,
    alpha: Array,
    rate: Array,
    steps: Array,
    signal: Array,
    initial: Array,
    sigma: Array,
) -> Curve:
    """Return both errors at all steps for one set of numbers."""
    root = jnp.sqrt(jnp.minimum(alpha, 1 / alpha))
    scale = jnp.where(alpha > 1, alpha + jnp.sqrt(alpha), 1 + jnp.sqrt(alpha))
    angles = gauss_angles(num_nodes, 1 / alpha, root, jnp.abs(alpha - 1) / scale)
    decay: Callable[[Angles, Array, Array], tuple[Array, Array]] = DECAYS[kind]
    distance, noise = signal + initial, sigma**2
    untouched = jnp.maximum(1 - alpha, 0.0)
    unfitted = noise * jnp.maximum(alpha - 1, 0.0) / alpha

    def at(step: Array) -> Curve:
        left, learned = decay(angles, rate, step)
        kept = angles.weights * jnp.square(left)
        gained = jnp.sum(angles.weights * jnp.square(learned) / angles.nodes)
        test = noise + distance * (jnp.sum(kept) + untouched) + noise / alpha * gained
        train = distance * jnp.sum(kept * angles.nodes) + noise / alpha * jnp.sum(kept)
        return Curve(train + unfitted, test)

    return jax.lax.map(at, steps)


def _descent(angles: Angles, rate: Array, step: Array) -> tuple[Array, Array]:
    """Return (1 − ηh)^t and one minus it.

    Where ηh is small through log1p; beside ηh = 1 through h − 1, which is known to all digits.
    """
    moved = rate * angles.nodes
    is_slow = moved < 0.5
    base = jnp.where(is_slow, 1.0, (1 - rate) - rate * angles.offsets)
    is_zero = base == 0
    logarithm = jnp.where(
        is_slow, jnp.log1p(-jnp.where(is_slow, moved, 0.0)), jnp.log(jnp.abs(jnp.where(is_zero, 1.0, base)))
    )
    sign = jnp.where((base < 0) & (step % 2 == 1), -1.0, 1.0)
    power = jnp.where(is_zero & (step > 0), 0.0, sign * jnp.exp(step * logarithm))
    return power, jnp.where(is_slow, -jnp.expm1(step * logarithm), 1 - power)


def _flow(angles: Angles, rate: Array, time: Array) -> tuple[Array, Array]:
    exponent = -rate * time * angles.nodes
    return jnp.exp(exponent), -jnp.expm1(exponent)


DECAYS = {"gd": _descent, "flow": _flow}

"""Modes of deep linear networks: strengths of single singular directions, in closed form or by their own equation.

With aligned layers a mode of input variance c and correlation s has layers a_1, …, a_L and strength u = Π a_l,

    ȧ_l = (s − c u) Π_{k≠l} a_k,     balanced: u̇ = L u^{2−2/L} (s − c u).

Two layers, any start: with p = a + b, m = a − b, p² grows by a factor G and m² falls by it, Ġ = m²/2 + 2sG − p²G²/2 at
c = 1, so u = (p²G − m²/G)/4 in closed form; the logistic curve s/(1 + (s/u₀ − 1) e^{−2st}) is the balanced case.
More layers: balanced modes pass u = s x/c at the time T(x) − T(u₀ c/s) with a = u^{1/L} and

    T = [a^{2−L}/(2 − L) + c a²/(2s) F(1, 2/L; 1 + 2/L; c a^L/s)]/s.

Reference: `saxe2014exact`; `braun2022exact` for starts that are not balanced.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from dyntheory.flows.deep_linear.network import checked
from dyntheory.flows.solving import check_times, solve_flow
from dyntheory.ground.arrays import Array, ArrayLike, PyTree
from dyntheory.ground.checks import check_count, check_finite, check_nonnegative, check_positive, check_scalar
from dyntheory.ground.kinds import check_arguments

TWO = 2
SMALL = 0.1
APART = 1e-12
LEAST_RTOL, MOST_RTOL = 1e-12, 0.1  # of a layer, of all of them


def modes(
    strengths: ArrayLike,
    *,
    initial: ArrayLike,
    times: ArrayLike,
    depth: int = 2,
    input_variance: ArrayLike = 1.0,
    rtol: float = 1e-9,
) -> np.ndarray:
    """Return how strong every mode is along time under gradient flow, from layers that are aligned with the modes.

    Scaling:
        L = ½E|y − Wx|² with a half; t is learning rate times steps.

    Args:
        strengths: s, singular values of Σ_yx = E y xᵀ, zero or positive, (modes,).
        initial: u₀ ≥ 0 of balanced layers, (modes,) or one number; or the layers a_1, …, a_L themselves, balanced or
            not and of any sign, (modes, L).
        times: increasing, zero or later, (T,).
        depth: L, number of layers.
        input_variance: c of each mode's input direction, positive; one for whitened inputs.
        rtol: where an equation is solved: three layers and more.

    Returns:
        u, (modes, T).

    Raises:
        ArithmeticError: the equation was not solved to `rtol`.
        ValueError: a number or a shape outside its range.

    Example:
        >>> float(modes([2.0], initial=0.01, times=[0.0, 5.0])[0, 1].round(6))
        1.999999

    Reference: `saxe2014exact`.
    """
    check_arguments(modes, locals())
    check_scalar("rtol", rtol)
    moments, depth = check_times(times), check_count("depth", depth)
    if not LEAST_RTOL * depth <= rtol <= MOST_RTOL:
        raise ValueError(f"`rtol` must be from {LEAST_RTOL * depth:g} to {MOST_RTOL}, got {rtol!r}.")
    targets, layers, variance = _checked(strengths, initial, depth, input_variance)
    paced = variance[:, None] * moments
    if depth == 1:
        return targets[:, None] - (targets - layers[:, 0])[:, None] * np.exp(-paced)
    if depth == TWO:
        return two_layers(targets[:, None], layers[:, :1], layers[:, 1:], paced)
    smallest = np.min(np.abs(layers[layers != 0]), initial=1.0)
    found = solve_flow(_field, layers, moments, (targets, variance), rtol=rtol / depth, atol=smallest * rtol / depth)
    if not found.status.ok:
        raise ArithmeticError(f"Modes of depth {depth} were not solved: {found.status.message}")
    return np.prod(found.states, axis=-1).T


def _checked(
    strengths: ArrayLike, initial: ArrayLike, depth: int, input_variance: ArrayLike
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return s/c and c, (modes,), and the layers, (modes, L)."""
    check_nonnegative("strengths", strengths)
    check_positive("input_variance", input_variance)
    check_finite("initial", initial)
    given = np.asarray(strengths, float)
    if given.ndim != 1:
        raise ValueError(f"`strengths` must have shape (modes,), got {given.shape}.")
    variance, start = np.asarray(input_variance, float), np.asarray(initial, float)
    if variance.shape not in ((), given.shape):
        raise ValueError(f"`input_variance` must be one number or have shape {given.shape}, got {variance.shape}.")
    variance = np.broadcast_to(variance, given.shape)
    if start.ndim == TWO:
        if start.shape != (len(given), depth):
            raise ValueError(
                f"`initial` must have shape {(len(given), depth)} where it holds layers, got {start.shape}."
            )
        return given / variance, start, variance
    check_nonnegative("initial", initial, "layers of any sign have shape (modes, depth)")
    if start.shape not in ((), given.shape):
        raise ValueError(f"`initial` must be one number or have shape {given.shape}, got {start.shape}.")
    balanced = np.broadcast_to(start, given.shape)[:, None] ** (1 / depth)
    return given / variance, np.repeat(balanced, depth, axis=1), variance


def _field(_: Array, layers: PyTree, numbers: PyTree) -> PyTree:
    targets, variance = numbers
    depth = layers.shape[1]
    others = jnp.stack([jnp.prod(jnp.delete(layers, one, axis=1), axis=1) for one in range(depth)], axis=1)
    return (variance * (targets - jnp.prod(layers, axis=1)))[:, None] * others


def two_layers(target: Any, one: Any, other: Any, time: Any) -> np.ndarray:
    """Return u = ab after a time, ȧ = b(s − ab), ḃ = a(s − ab), from any a and b.

    With |p|√G ± |m|/√G in the place of their squares' difference, and sums that are written as positive terms, no
    differences of near numbers are taken: small, late and very unequal starts keep their digits. Everything is divided
    by 2r, r² = s² + (a² − b²)²/4.
    """
    plus, minus, most, least = np.abs(one + other), np.abs(one - other), *_by_size(one, other)
    half, opposite = plus * minus / 2, one * other < 0
    root = np.hypot(target, half)
    decay, twice = np.exp(-2 * root * time), 2 * root
    pace = _ratio(-np.expm1(-twice * time), twice, time)
    gap = half * _ratio(half, root + target, 0.0)  # r − s
    slow, mean = twice * time < SMALL, (1 + decay) / 2
    below = np.where(slow, mean - target * pace, _ratio(gap + decay * (root + target), twice, 0.0))
    bent = target * _ratio(target, root + half, 0.0) + decay * (root + half)
    turned = target * _ratio(half + gap, root + half, 0.0) - decay * (target + root + half)
    bent = np.where(slow, mean - half * pace, _ratio(bent, twice, 0.0))
    turned = np.where(slow, (target + half) * pace - mean, _ratio(turned, twice, 0.0))
    gone = target * pace
    difference = np.where(opposite, gone * plus + least * turned, gone * most + least * bent)
    total = most * half * pace + np.where(opposite, gone * plus + most * below, most * mean + least * gone)
    top, bottom = minus * (minus * pace) / 2 + mean + gone, plus * (plus * pace) / 2 + below
    return _ratio(difference, bottom, 0.0) * (total / top)


def _by_size(one: Any, other: Any) -> tuple[np.ndarray, np.ndarray]:
    sizes = np.abs(one), np.abs(other)
    return np.maximum(*sizes), np.minimum(*sizes)


def _ratio(top: Any, bottom: Any, otherwise: Any) -> np.ndarray:
    """Return top/bottom, and something else where the bottom is zero."""
    is_there = bottom > 0
    return np.where(is_there, top / np.where(is_there, bottom, 1.0), otherwise)


def half_time(
    strengths: ArrayLike, *, initial: ArrayLike, depth: int = 2, input_variance: ArrayLike = 1.0, share: float = 0.5
) -> np.ndarray:
    """Return when balanced modes reach half of what they end at, u = s/(2c), or another share of it.

    Two layers: t½ = ln(s/(c u₀) − 1)/(2s), so larger s come first, one after the other where starts are small.

    Args:
        strengths: s, positive, (modes,) or one number.
        initial: u₀, positive and below the share of s/c.
        depth: L.
        input_variance: c, positive.
        share: of the last strength, between 0 and 1.

    Returns:
        Times in the shape to which the arguments broadcast.

    Raises:
        ValueError: a number outside its range.

    Example:
        >>> float(half_time(2.0, initial=0.01).round(6))
        1.323326

    Reference: `saxe2014exact`.
    """
    check_arguments(half_time, locals())
    depth = check_count("depth", depth)
    for name, value in (("strengths", strengths), ("initial", initial), ("input_variance", input_variance)):
        check_positive(name, value)
    if np.ndim(share) or not 0 < share < 1:
        raise ValueError(f"`share` must be between 0 and 1, got {share!r}.")
    s, start, c = np.broadcast_arrays(*(np.asarray(one, float) for one in (strengths, initial, input_variance)))
    if np.any(start >= share * s / c):
        raise ValueError(f"`initial` must be below {share} of the last strength, {share * s / c}, got {initial!r}.")
    begin, end = start * c / s, np.full_like(s, share)
    if depth == 1:
        return np.log((1 - begin) / (1 - end)) / c
    if depth == TWO:
        return (np.log(end / begin) + np.log((1 - begin) / (1 - end))) / (2 * s)
    return _passage(s, c, depth, end) - _passage(s, c, depth, begin)


def _passage(s: np.ndarray, c: np.ndarray, depth: int, level: np.ndarray) -> np.ndarray:
    """Return T at u = s · level/c, three layers and more."""
    from scipy.special import hyp2f1

    layer = (s * level / c) ** (1 / depth)
    power = 2 / depth
    rest = c * layer**2 / (2 * s) * hyp2f1(1.0, power, 1 + power, level)
    return (layer ** (2 - depth) / (2 - depth) + rest) / s


def effective_start(correlation: ArrayLike, weights: Sequence[ArrayLike]) -> np.ndarray:
    """Return the u₀ of aligned balanced modes that grow as those of two small layers that are not aligned.

    While layers are small, h_α = ½(W₂ᵀu_α + W₁v_α) grows as e^{s_α t} and the difference dies. Stronger modes take
    their hidden directions first, so u₀ is the square of what is left of h_α orthogonal to theirs: a diagonal entry of
    R in H = QR. It is exact as the layers get small and strengths are apart; inputs are whitened.

    Args:
        correlation: Σ_yx = Σ_α s_α u_α v_αᵀ, (outputs, inputs).
        weights: W₁ and W₂ at the start.

    Returns:
        u₀ of every mode, the strongest first, (modes,).

    Raises:
        ValueError: another depth, equal strengths, or shapes that do not match.

    Example:
        >>> effective_start(np.diag([3.0, 1.0]), [0.1 * np.eye(2)] * 2).round(4).tolist()
        [0.01, 0.01]

    Reference: `saxe2014exact`; `atanasov2022neural` for the alignment of small starts.
    """
    check_arguments(effective_start, locals())
    task, layers = checked(correlation, weights, None)
    if len(layers) != TWO:
        raise ValueError(f"`weights` must be two layers, got {len(layers)}.")
    left, strengths, right = np.linalg.svd(np.asarray(task.correlation), full_matrices=False)
    if np.any((strengths[1:] > 0) & (strengths[:-1] - strengths[1:] <= APART * strengths[0])):
        raise ValueError(
            f"`correlation` must have strengths that are apart, or directions of modes mean nothing: got {strengths}."
        )
    hidden = 0.5 * (left.T @ layers[1] + right @ layers[0].T)
    found = np.zeros(len(hidden))  # zero for modes that no hidden direction is left for
    sizes = np.square(np.diagonal(np.linalg.qr(hidden.T)[1]))
    found[: len(sizes)] = sizes
    return found

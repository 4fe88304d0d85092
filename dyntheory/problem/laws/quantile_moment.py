"""E w² of a law given by its quantile function q: by adaptive quadrature, with its error, and how heavy the tails are.

E w² = ∫ q(Φ(z))² φ(z) dz over panels in z, halved where two rules of Gauss differ, so a jump costs no accuracy. Numbers
in double precision end at levels of 1e-16, and heavy tails do not: where that leaves more, the integral stops at 1e-10
and both tails go on as q = A ε^{−β} + B through the values at ε = 1e-6, 1e-8, 1e-10. The same a hundred times
nearer to the body tells the error. The second moment is infinite from β = 1/2 on, the fourth from β = 1/4 on.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import ndtr, ndtri

from dyntheory.ground.arrays import Array
from dyntheory.ground.precision import double_precision

COARSE, FINE = np.polynomial.legendre.leggauss(7), np.polynomial.legendre.leggauss(15)
NUM_PANELS = 64
FEWEST = 1024  # levels of one call
NUM_ROUNDS = 48
ROUNDING = 1e-12
RATIO = 100.0
CUT, FAR = 1e-10, 2.0**-51
INFINITE, HEAVY = 0.499, 0.24

Quantile = Callable[[np.ndarray], np.ndarray]


class QuantileMoment(NamedTuple):
    """A second moment.

    Args:
        value: E w², infinite where the tails say so.
        error: of the value, absolute.
        tail: β, |q| grows as ε^{−β} at the heavier end; negative for bounded laws.
    """

    value: float
    error: float
    tail: float

    @property
    def is_heavy(self) -> bool:
        """Whether the fourth moment is infinite: few entries carry the second."""
        return self.tail >= HEAVY


@functools.lru_cache(maxsize=64)
def quantile_moment(function: Callable[[Array], Array]) -> QuantileMoment:
    """Return the second moment of the law with this quantile function.

    Raises:
        jax.errors.TracerArrayConversionError: the function depends on numbers that are being traced.
        ValueError: it is not finite inside (0, 1).
    """
    program = jax.jit(function)

    def quantile(levels: np.ndarray) -> np.ndarray:
        """Return the quantiles; levels are filled up to one of a few sizes, so that programs are shared."""
        filled = np.full(max(1 << (levels.size - 1).bit_length(), FEWEST), 0.5)
        filled[: levels.size] = levels.reshape(-1)
        found = np.asarray(program(jnp.asarray(filled, float)), dtype=float)
        return found[: levels.size].reshape(levels.shape)

    with double_precision(), jax.ensure_compile_time_eval(), np.errstate(all="ignore"):
        if not np.all(np.isfinite(quantile(ndtr(np.linspace(-6.0, 6.0, 1001))))):
            raise ValueError("The quantile function of a prior must be finite for every u inside (0, 1).")
        return _moment(quantile)


def _moment(quantile: Quantile) -> QuantileMoment:
    inner, cut, far = (-float(ndtri(level)) for level in (RATIO * CUT, CUT, FAR))
    body, ring, rest = (
        _integral(quantile, edges)
        for edges in ([(-inner, inner)], [(-cut, -inner), (inner, cut)], [(-far, -cut), (cut, far)])
    )
    levels = CUT * RATIO ** np.arange(4.0)
    sides = [quantile(levels)[::-1], quantile(1.0 - levels)[::-1]]
    tails = [_tail(side[1:], CUT) for side in sides]
    earlier = [_tail(side[:-1], RATIO * CUT) for side in sides]
    exponent = max(tail[1] for tail in tails)
    if not exponent < INFINITE:
        return QuantileMoment(math.inf, math.inf, exponent)
    plain = body + ring + rest
    ends = np.square(quantile(np.array([FAR, 1.0 - FAR]))).sum()
    unseen = 2.0 * FAR * float(ends) / (1.0 - 2.0 * max(exponent, 0.0))
    extended = body + ring + sum(tail[0] for tail in tails)
    doubt = abs(extended - body - sum(tail[0] for tail in earlier))
    value, error = (plain, unseen) if unseen <= doubt else (extended, doubt)
    error += ROUNDING * value
    return QuantileMoment(value, error if error > 2.0 * ROUNDING * value else 0.0, exponent)


def _tail(values: np.ndarray, level: float) -> tuple[float, float]:
    """Return ∫ q² over levels below `level`, and β, from the values of q at `level` times 100², 100 and 1."""
    first, last = values[1] - values[0], values[2] - values[1]
    if last == 0.0 or first == 0.0:
        return level * float(values[2]) ** 2, -1.0
    exponent = float(np.log(max(last / first, RATIO**-2)) / np.log(RATIO))
    if abs(exponent) < 1e-3:
        slope = last / np.log(RATIO)
        return level * float(values[2] ** 2 + 2.0 * values[2] * slope + 2.0 * slope**2), exponent
    power = last / (1.0 - RATIO**-exponent)
    shift = values[2] - power
    below = power**2 / (1.0 - 2.0 * exponent) + 2.0 * power * shift / (1.0 - exponent) + shift**2
    return level * float(below), exponent


def _integral(quantile: Quantile, edges: list[tuple[float, float]]) -> float:
    """Return the integral of q(Φ(z))² φ(z) over the intervals."""
    cuts = [np.linspace(low, high, NUM_PANELS // len(edges) + 1) for low, high in edges]
    low, high = (np.concatenate([cut[part] for cut in cuts]) for part in (slice(None, -1), slice(1, None)))
    value, error = _panels(quantile, low, high)
    for _ in range(NUM_ROUNDS):
        allowed = ROUNDING * max(float(value.sum()), 1e-300)
        worst = np.argsort(-error, kind="stable")[: NUM_PANELS // 2]
        worst = worst[error[worst] > allowed / len(error)]
        if error.sum() <= allowed or not len(worst):
            break
        middle = 0.5 * (low[worst] + high[worst])
        new = [np.concatenate(pair) for pair in ((low[worst], middle), (middle, high[worst]))]
        kept = np.delete(np.arange(len(low)), worst)
        found = _panels(quantile, *new)
        low, high, value, error = (
            np.concatenate([old[kept], more])
            for old, more in zip((low, high, value, error), (*new, *found), strict=True)
        )
    return float(value.sum())


def _panels(quantile: Quantile, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return Gauss's rule of 15 points on every panel, and by how much that of 7 differs."""
    wanted = len(low)
    low, high = (np.pad(edge, (0, NUM_PANELS - wanted), mode="edge") for edge in (low, high))  # one shape, one program
    middle, half = 0.5 * (low + high), 0.5 * (high - low)
    points = [middle[:, None] + half[:, None] * rule[0][None] for rule in (COARSE, FINE)]
    together = np.concatenate(points, axis=1)
    values = np.square(quantile(ndtr(together))) * np.exp(-0.5 * together**2) / np.sqrt(2.0 * np.pi)
    coarse = half * (values[:, : len(COARSE[0])] @ COARSE[1])
    fine = half * (values[:, len(COARSE[0]) :] @ FINE[1])
    return fine[:wanted], np.abs(fine - coarse)[:wanted]

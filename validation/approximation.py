"""Claim: Depth buys pieces: ReLU networks approximate at the stated rates, and some functions need depth.

(i) sin 2πx on [0, 1] by a network of n ReLUs that interpolates at multiples of 1/n, and by n steps at the middles of
cells: largest error over 40,000 points against max|f″|/(8n²) and L/(2n).
(ii) Telgarsky's sawtooth, the tent map composed m times, as a network of m layers of two ReLUs: crossings of ½.
(iii) Yarotsky's x² = x − Σ_j tent∘…∘tent(x)/4^j, m layers, against the interpolation with as many units.
(iv) On 2^m alternating points every function of q linear pieces errs on a share of at least (1 − 2q/2^m)/2 of them,
more than the (2^m − 4q)/(3·2^m) of the paper: the least share by dynamic programming.
(v) Learned: a board of 4 × 4 fields of ±1 on [−1, 1]², networks of one and of three hidden layers with as many
parameters, Adam with the better of two rates.

PASS RULE.

1. Errors of (i) are below their bounds and above 60 % of them at n = 4 … 256, and fall by 4 and by 2 per doubling from
   n = 16 on (5 %).
2. (ii) crosses ½ exactly 2^m times for m = 1 … 12, on a grid that avoids dyadic points.
3. The error of (iii) is 4^{−(m+1)} to 1 %; that of interpolation with 2m units is larger from m = 4 on.
4. Least shares of (iv) are at least what is said, for all q at m = 4, 6.
5. The mean test error of three layers of (v) is below that of one by 3 standard errors of the difference.

NEGATIVE CONTROLS, each of which must break its rule: half of each bound in 1; crossings counted on a dyadic grid in 2;
x² without the last layer in 3.

    python -m validation.approximation [--quick]    # one minute

Reference: `telgarsky2016benefits`, `yarotsky2017error`.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib.figure import Figure

from dyntheory.plot.style import WIDTH, finish, new_figure
from validation.claim import Claim, Verdict
from validation.record import Outcome

CELLS, LAYERS, TIGHT, HALVING, SQUARE = (4, 8, 16, 32, 64, 128, 256), range(1, 13), 0.6, 0.05, 0.01
GRID = (np.arange(40_000) + 0.5 / np.sqrt(2)) / 40_000  # no dyadic points
SHAPES = {"one layer": (130,), "three layers": (14, 14, 14)}  # 521 and 477 parameters
COLORS = ("#0b3c78", "#e8743b", "#3f7f5f")


@dataclasses.dataclass(frozen=True)
class Settings:
    """Runs of (v)."""

    num_runs: int = 12
    num_steps: int = 3000
    batch: int = 256
    seed: int = 0


class Found(NamedTuple):
    """Errors by number of cells, crossings and errors by depth, shares by (m, q), test errors by shape."""

    ramps: np.ndarray
    steps: np.ndarray
    crossings: np.ndarray
    dyadic: np.ndarray
    squares: np.ndarray
    shares: dict[int, np.ndarray]
    learned: dict[str, np.ndarray]


def relu(x: np.ndarray) -> np.ndarray:
    """Return max(x, 0)."""
    return np.maximum(x, 0)


def interpolation(f: Any, cells: int, x: np.ndarray) -> np.ndarray:
    """Return f(0) + Σ_k c_k relu(x − k/n), which is f at multiples of 1/n."""
    knots = np.arange(cells + 1) / cells
    slopes = np.diff(f(knots)) * cells
    return f(knots)[0] + sum(c * relu(x - k) for c, k in zip(np.diff(slopes, prepend=0.0), knots[:-1], strict=True))


def tent(x: np.ndarray) -> np.ndarray:
    """Return a layer of two ReLUs."""
    return 2 * relu(x) - 4 * relu(x - 0.5)


def sawtooth(depth: int, x: np.ndarray) -> np.ndarray:
    """Return the tent composed with itself."""
    for _ in range(depth):
        x = tent(x)
    return x


def crossings(values: np.ndarray) -> int:
    """Return how often neighbours lie on different sides of ½; a value of ½ belongs to no side."""
    return int(np.sum(np.diff(np.sign(values - 0.5)) != 0))


def square(depth: int, x: np.ndarray) -> np.ndarray:
    """Return x − Σ_{j ≤ m} tent^j(x)/4^j."""
    return x - sum(sawtooth(j, x) / 4.0**j for j in range(1, depth + 1))


def least_share(depth: int, pieces: int) -> float:
    """Return the least share of 2^m alternating labels that a function of q linear pieces gets wrong.

    A piece crosses ½ at most once, so there are at most 2q runs of one sign; the best runs by dynamic programming.
    """
    labels = np.arange(2**depth) % 2
    wrong = np.full((2 * pieces + 1, 2), 10**9)
    wrong[1] = 0
    for label in labels:
        switched = np.full_like(wrong, 10**9)
        switched[1:] = wrong[:-1, ::-1]
        wrong = np.minimum(wrong, switched) + np.array([label == 1, label == 0])[None]
    return float(wrong[1:].min()) / len(labels)


def measure(settings: Settings) -> Found:
    """Compute and train."""

    def f(x: np.ndarray) -> np.ndarray:
        return np.sin(2 * np.pi * x)

    ramps = np.array([np.max(np.abs(interpolation(f, n, GRID) - f(GRID))) for n in CELLS])
    steps = np.array([np.max(np.abs(f((np.floor(GRID * n) + 0.5) / n) - f(GRID))) for n in CELLS])
    dyadic = np.arange(2**14 + 1) / 2**14
    deep = [np.max(np.abs(square(m, GRID) - GRID**2)) for m in LAYERS]
    flat = [np.max(np.abs(interpolation(np.square, 2 * m, GRID) - GRID**2)) for m in LAYERS]
    return Found(
        ramps,
        steps,
        np.array([crossings(sawtooth(m, GRID)) for m in LAYERS]),
        np.array([crossings(sawtooth(m, dyadic)) for m in LAYERS]),
        np.array([deep, flat]),
        {m: np.array([least_share(m, q) for q in range(1, 2**m // 2 + 1)]) for m in (4, 6)},
        {name: _learned(shape, settings) for name, shape in SHAPES.items()},
    )


def _board(x: jax.Array) -> jax.Array:
    """Return ±1 on 4 × 4 fields."""
    return jnp.prod(jnp.sign(jnp.sin(2 * jnp.pi * x)), axis=-1)


def _learned(shape: tuple[int, ...], settings: Settings) -> np.ndarray:
    """Return the test error of every run, at the rate whose mean is lower."""
    rates = jnp.array([3e-3, 1e-2])
    keys = jax.random.split(jax.random.key(settings.seed), settings.num_runs)
    run = functools.partial(_train, (2, *shape, 1), settings)
    errors = np.asarray(jax.jit(jax.vmap(jax.vmap(run, (None, 0)), (0, None)))(rates, keys))
    return errors[int(np.argmin(errors.mean(axis=1)))]


def _train(sizes: tuple[int, ...], settings: Settings, rate: jax.Array, key: jax.Array) -> jax.Array:
    start, run, test = jax.random.split(key, 3)
    params = [
        (jax.random.normal(k, (a, b)) * jnp.sqrt(2 / a), 0.5 * jax.random.normal(jax.random.fold_in(k, 1), (b,)))
        for k, a, b in zip(jax.random.split(start, len(sizes)), sizes[:-1], sizes[1:], strict=False)
    ]
    optimizer = optax.adam(optax.cosine_decay_schedule(1.0, settings.num_steps))

    def network(params: Any, x: jax.Array) -> jax.Array:
        for w, b in params[:-1]:
            x = jax.nn.relu(x @ w + b[None])
        return (x @ params[-1][0] + params[-1][1][None])[:, 0]

    def loss(params: Any, x: jax.Array) -> jax.Array:
        return jnp.mean(jnp.square(network(params, x) - _board(x)))

    def step(carry: Any, key: jax.Array) -> tuple[Any, None]:
        params, state = carry
        x = jax.random.uniform(key, (settings.batch, 2), minval=-1.0, maxval=1.0)
        updates, state = optimizer.update(jax.grad(loss)(params, x), state)
        return (jax.tree.map(lambda p, u: p + rate * u, params, updates), state), None

    (params, _), _ = jax.lax.scan(step, (params, optimizer.init(params)), jax.random.split(run, settings.num_steps))
    return loss(params, jax.random.uniform(test, (4096, 2), minval=-1.0, maxval=1.0))


def judge(found: Found, settings: Settings) -> Verdict:
    """Apply the rules and the controls."""
    cells, depths = np.array(CELLS), np.array(LAYERS)
    bounds = np.array([(2 * np.pi) ** 2 / (8 * cells**2), 2 * np.pi / (2 * cells)])
    parts = np.array([found.ramps, found.steps]) / bounds
    falls = np.array([found.ramps[2:-1] / found.ramps[3:] / 4, found.steps[2:-1] / found.steps[3:] / 2])
    deep, flat = found.squares
    exact = np.abs(deep * 4.0 ** (depths + 1) - 1)
    shares = {
        m: float(np.min(one - (1 - 2 * np.arange(1, len(one) + 1) / 2**m) / 2)) for m, one in found.shares.items()
    }
    one, three = (found.learned[name] for name in SHAPES)
    error = np.hypot(one.std(ddof=1), three.std(ddof=1)) / np.sqrt(settings.num_runs)
    z = float((one.mean() - three.mean()) / error)
    rules = {
        "bounds": bool(parts.max() <= 1 and parts.min() >= TIGHT and np.abs(falls - 1).max() <= HALVING),
        "crossings": bool(np.all(found.crossings == 2**depths)),
        "squares": bool(exact.max() <= SQUARE and np.all(flat[3:] > deep[3:])),
        "shares": min(shares.values()) >= -1e-12,
        "learned": z > 3,
    }
    controls = {
        "half the bounds": bool(parts.max() > 0.5),
        "dyadic grid": bool(np.any(found.dyadic != 2**depths)),
        "one layer less": bool(np.abs(deep[:-1] * 4.0 ** (depths[1:] + 1) - 1).min() > SQUARE),
    }
    numbers: dict[str, Any] = {
        "rules": rules,
        "controls": controls,
        "error of ramps": found.ramps,
        "bound of ramps": bounds[0],
        "error of steps": found.steps,
        "bound of steps": bounds[1],
        "crossings": found.crossings,
        "x² by depth": deep,
        "x² by cells": flat,
        "share above what is said": {str(m): value for m, value in shares.items()},
        "test error of one layer": one.mean(),
        "test error of three layers": three.mean(),
        "z of their difference": z,
    }
    return Outcome.PASSED if all(rules.values()) and all(controls.values()) else Outcome.FAILED, numbers


def draw(found: Found, settings: Settings) -> Figure:
    """Draw errors by units, a sawtooth, and what was learned."""
    figure = new_figure(10.8, 3.6)
    left, middle, right = figure.subplots(1, 3)
    cells = np.array(CELLS)
    for error, bound, name, color in (
        (found.steps, np.pi / cells, "steps", COLORS[0]),
        (found.ramps, np.pi**2 / (2 * cells**2), "ReLU", COLORS[1]),
    ):
        left.plot(cells, bound, color=color, lw=1.0, ls=":")
        left.plot(cells, error, "o-", color=color, ms=4, mfc="white", lw=1.2, label=f"{name}, sin 2πx")
    units = 2 * np.array(LAYERS)
    left.plot(units, found.squares[1], "s--", color=COLORS[2], ms=4, mfc="white", lw=1.2, label="one layer, x²")
    left.plot(units, found.squares[0], "D-", color=COLORS[2], ms=4, mfc="white", lw=1.2, label="two units a layer, x²")
    left.set(xscale="log", yscale="log", ylim=(1e-8, 5))
    left.legend(frameon=False, fontsize="x-small")
    finish(left, "hidden units", "largest error", "(a) dotted: bounds")
    for depth, color in zip((1, 3, 5), COLORS, strict=True):
        middle.plot(GRID, sawtooth(depth, GRID) + 1.2 * (2 - (depth - 1) / 2), color=color, lw=1.0)
        middle.text(1.02, 1.2 * (2 - (depth - 1) / 2) + 0.4, f"{depth}", color=color, fontsize="small")
    middle.set_yticks([])
    finish(middle, "$x$", "", "(b) layers of two ReLUs: $2^m$ pieces")
    for place, errors in enumerate(found.learned.values()):
        right.plot(np.full(len(errors), place), errors, "o", color=COLORS[place], ms=4, mfc="white")
        mean, error = errors.mean(), errors.std(ddof=1) / np.sqrt(len(errors))
        right.errorbar(place + 0.15, mean, WIDTH * error, fmt="D", color=COLORS[place], ms=5, capsize=3)
    right.set_xticks(range(len(SHAPES)), [f"{name}\n{'·'.join(map(str, shape))}" for name, shape in SHAPES.items()])
    right.set(xlim=(-0.5, 1.6), ylim=(0, 1.05))
    finish(right, "", "test error", "(c) a board of 4 × 4 fields, learned")
    return figure


CLAIM = Claim(
    "approximation",
    __doc__,
    pass_rule=(
        "Ramps and steps stay below their bounds and above 60 % of them; m layers of two units have 2^m pieces; the "
        "error of x² is 4^{−(m+1)}; no function of q pieces beats the stated share; three layers learn a board better "
        "than one; three controls fail."
    ),
    settings=Settings,
    quick=Settings(num_runs=6, num_steps=1500),
    measure=measure,
    judge=judge,
    draw=draw,
    dtype="float64, training in float32",
)


if __name__ == "__main__":
    raise SystemExit(CLAIM.command())

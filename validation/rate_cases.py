"""The runs of `validation.optimisation_rates`: quadratics in NumPy, with noise and without, and optax.sgd."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from dyntheory import closed_forms
from dyntheory.ground.precision import double_precision

NUM_CURVATURES, NOISE, CONDITIONS = 40, 0.05, (10.0, 100.0, 1000.0, 10_000.0)


@dataclasses.dataclass(frozen=True)
class Settings:
    """Sizes and runs."""

    condition: float = 200.0
    num_steps: int = 400
    num_runs: int = 2000
    num_noisy_steps: int = 1200
    seed: int = 0


class Method(NamedTuple):
    """η, β and which kind."""

    rate: float
    momentum: float
    nesterov: bool


def spectrum(settings: Settings) -> tuple[np.ndarray, np.ndarray]:
    """Return curvatures and start."""
    curvatures = np.geomspace(1 / settings.condition, 1.0, NUM_CURVATURES)
    return curvatures, np.random.default_rng(settings.seed).normal(size=NUM_CURVATURES)


def methods(condition: float) -> dict[str, Method]:
    """Return the methods with their numbers."""
    best = {
        name: closed_forms.optimal_momentum(1 / condition, 1.0, method=name)
        for name in ("gradient_descent", "heavy_ball", "nesterov")
    }
    found = {
        name.replace("_", " "): Method(float(one.learning_rate), float(one.momentum), name == "nesterov")
        for name, one in best.items()
    }
    root = np.sqrt(condition)
    return found | {"nesterov, usual": Method(1.0, float((root - 1) / (root + 1)), True)}


def expected(method: Method, settings: Settings, steps: Any, *, noise: float = 0.0) -> np.ndarray:
    """Return the loss of theory at the steps."""
    curvatures, start = spectrum(settings)
    squares = closed_forms.quadratic_descent(
        curvatures,
        method.rate,
        steps=np.asarray(steps)[:, None],
        momentum=method.momentum,
        nesterov=method.nesterov,
        initial=start,
        noise_std=noise,
    )
    return np.sum(curvatures * squares, axis=-1) / 2


def run(gradient: Callable[[np.ndarray], np.ndarray], start: np.ndarray, method: Method, num_steps: int) -> np.ndarray:
    """Return all iterates of a method, from rest."""
    x, before, path = start.copy(), start.copy(), [start]
    for _ in range(num_steps):
        ahead = x + method.momentum * (x - before)
        new = ahead - method.rate * gradient(ahead if method.nesterov else x)
        x, before = new, x
        path.append(x)
    return np.stack(path)


def slow_methods(settings: Settings) -> dict[str, Method]:
    """Return the methods that are run with noise: at a tenth of 1/L, with and without momentum."""
    del settings
    return {"gradient descent": Method(0.1, 0.0, False), "heavy ball": Method(0.1, 0.8, False)}


def noisy_run(method: Method, settings: Settings) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Return mean losses and their errors, and mean and error of the late ones."""
    curvatures, start = spectrum(settings)
    rng = np.random.default_rng(settings.seed + 1)
    shape = (settings.num_runs, NUM_CURVATURES)
    x, before = np.broadcast_to(start, shape), np.broadcast_to(start, shape)
    losses = np.empty((settings.num_noisy_steps + 1, settings.num_runs))
    losses[0] = np.sum(curvatures * x**2, axis=-1) / 2
    for step in range(1, settings.num_noisy_steps + 1):
        g = curvatures * x + NOISE * rng.normal(size=shape)
        x, before = x - method.rate * g + method.momentum * (x - before), x
        losses[step] = np.sum(curvatures * x**2, axis=-1) / 2
    late = losses[-(settings.num_noisy_steps * 3 // 10) :].mean(axis=0)
    root = np.sqrt(settings.num_runs)
    return losses.mean(axis=1), losses.std(axis=1, ddof=1) / root, float(late.mean()), float(late.std(ddof=1) / root)


def parts_of_bounds(losses: dict[str, np.ndarray], noisy: dict[str, Any], settings: Settings) -> dict[str, float]:
    """Return the largest loss over its bound, of every method; at most one."""
    curvatures, start = spectrum(settings)
    steps, mu = np.arange(1, settings.num_steps + 1), 1 / settings.condition
    sizes: dict[str, Any] = {"gap": float(losses["heavy ball"][0]), "distance": float(np.linalg.norm(start))}
    plain = run(lambda x: curvatures * x, start, Method(1.0, 0.0, False), settings.num_steps)
    loss = np.sum(curvatures * plain**2, axis=-1)[1:] / 2
    bound = closed_forms.descent_bounds(steps, 1.0, strong_convexity=mu, **sizes)
    usual = closed_forms.accelerated_bounds(steps, strong_convexity=mu, **sizes)
    many = np.arange(1, settings.num_noisy_steps + 1)
    total = NOISE * np.sqrt(NUM_CURVATURES)
    above = closed_forms.descent_bounds(many, 0.1, strong_convexity=mu, noise_std=total, **sizes).strongly_convex
    found = {
        "descent, strongly convex": loss / bound.strongly_convex,
        "descent, convex": loss / bound.convex,
        "nesterov, usual": losses["nesterov, usual"][1:] / usual.strongly_convex,
        "descent with noise": noisy["gradient descent"][0][1:] / above,
        "not convex": _of_function(lambda x: x**2 / (1 + x**2), lambda x: 2 * x / (1 + x**2) ** 2, 2.0, settings),
        "log cosh": _of_function(lambda x: np.logaddexp(x, -x) - np.log(2), np.tanh, 1.0, settings),
    }
    wrong = np.exp(steps * np.log1p(-np.sqrt(mu))) * sizes["gap"]
    return {name: float(np.max(one)) for name, one in found.items()} | {"control": float(np.max(loss / wrong))}


def _of_function(f: Any, slope: Any, smoothness: float, settings: Settings) -> np.ndarray:
    """Return, for a sum of one function over directions, the mean squared gradient, or the loss, over the bound."""
    rng, start = np.random.default_rng(settings.seed + 2), 2 * np.ones(NUM_CURVATURES)
    rate, total = 0.5 / smoothness, 0.3 * np.sqrt(NUM_CURVATURES)
    path = run(lambda x: slope(x) + 0.3 * rng.normal(size=x.shape), start, Method(rate, 0.0, False), settings.num_steps)
    steps = np.arange(1, settings.num_steps + 1)
    sizes: dict[str, Any] = {"gap": float(np.sum(f(start))), "distance": float(np.linalg.norm(start))}
    bounds = closed_forms.descent_bounds(steps, rate, smoothness=smoothness, noise_std=total, **sizes)
    gradients = np.cumsum(np.sum(slope(path[:-1]) ** 2, axis=-1)) / steps
    means = np.cumsum(path[1:], axis=0) / steps[:, None]
    of_loss = np.sum(f(means), axis=-1) / bounds.convex if f(1e3) > 2 else 0 * gradients  # x²/(1 + x²) is below one
    return np.maximum(gradients / bounds.stationary, of_loss)


def fitted_rate(name: str, condition: float) -> float:
    """Return the factor by which |x| shrinks per step of optax.sgd: late steps, over whole turns of the phase."""
    method = methods(condition)[name]
    optimizer = optax.sgd(method.rate, momentum=method.momentum or None, nesterov=method.nesterov)
    curvatures = np.array([1 / condition, 1.0])
    count = int(40 * np.sqrt(condition)) if method.momentum else int(8 * condition)
    with double_precision():
        values = jnp.asarray(curvatures)

        def step(carry: Any, _: None) -> tuple[Any, jax.Array]:
            x, state = carry
            update, state = optimizer.update(values * x, state, x)
            return (x + update, state), jnp.max(jnp.abs(x))

        begin = jnp.ones(2)
        sizes = np.asarray(jax.lax.scan(step, (begin, optimizer.init(begin)), length=count)[1])
    logs, half = np.log(sizes), count // 2
    # A double root multiplies the power by t: that factor is fitted beside the rate.
    times = np.arange(half, count, dtype=float)
    design = np.stack([np.ones_like(times), times, np.log(times)], axis=-1)
    return float(np.exp(np.linalg.lstsq(design, logs[half:], rcond=None)[0][1]))


def theory_rates(name: str) -> np.ndarray:
    found = []
    for kappa in CONDITIONS:
        one = methods(kappa)[name]
        ends = np.array([1 / kappa, 1.0])
        found.append(closed_forms.momentum_rate(ends, one.rate, momentum=one.momentum, nesterov=one.nesterov).max())
    return np.array(found)

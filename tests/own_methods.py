"""Methods as a user writes them, whose shared value changes along the run, and the same as plain NumPy loops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

import dyntheory as dt

RATE = 0.3
Threshold = Callable[[Any, Any], Any]  # (number of updates so far, τ̂) -> θ of this update


def estimated_noise(step: Any, tau: Any) -> Any:
    """Return half of the effective noise, which only the run knows; zero before it began."""
    return 0.5 * tau + 0.0 * step


def wakes_up(step: Any, tau: Any) -> Any:
    """Return a threshold that is zero for the first three updates."""
    return 0.3 * (step >= 3) + 0.0 * tau


def wakes_up_on_data(step: Any, tau: Any) -> Any:
    """Return a threshold that is zero until the run has become good."""
    return 0.3 * (tau < 0.6) * (step > 0)


def thresholded(threshold: Threshold) -> dt.GeneralFirstOrderMethod:
    """Return least squares with w ← soft(w − η p/α, θ), θ from what `after_samples` has put into the shared value."""

    def init_shared(head: Any, samples_per_feature: Any, hyperparameters: Any) -> Any:
        del head, hyperparameters
        return {"alpha": jnp.asarray(samples_per_feature), "step": jnp.zeros(()), "threshold": jnp.zeros(())}

    def sample_map(state: Any, h: Any, label: Any, shared: Any, u: Any) -> Any:
        del shared, u
        residual = h[0] - label
        return state, residual[None], residual**2

    def after_samples(shared: Any, square: Any) -> Any:
        found = threshold(shared["step"], jnp.sqrt(square / shared["alpha"]))
        return {**shared, "threshold": found, "step": shared["step"] + 1.0}

    def feature_map(state: Any, p: Any, shared: Any, u: Any) -> Any:
        del u
        moved = state - RATE * p / shared["alpha"]
        row = jnp.sign(moved) * jnp.maximum(jnp.abs(moved) - shared["threshold"], 0.0)
        return row, row, ()

    return dt.GeneralFirstOrderMethod(
        name="own thresholds",
        num_units=1,
        init_shared=init_shared,
        sample_map=sample_map,
        after_samples=after_samples,
        feature_map=feature_map,
        loss=lambda prediction, label: 0.5 * (prediction - label) ** 2,
        error=lambda prediction, label: (prediction - label) ** 2,
        starts_at_zero=True,
        has_kink=False,
    )


def thresholded_by_hand(
    threshold: Threshold, alpha: float, noise_std: float, teacher: np.ndarray, num_steps: int, seed: int
) -> np.ndarray:
    """Return the test error of every step of one dense run on a linear teacher."""
    random, d = np.random.default_rng(seed), len(teacher)
    inputs = random.standard_normal((int(alpha * d), d))
    labels = inputs @ teacher / np.sqrt(d) + noise_std * random.standard_normal(len(inputs))
    weights, errors = np.zeros(d), []
    for step in range(num_steps + 1):
        errors.append(np.mean((weights - teacher) ** 2) + noise_std**2)
        residual = inputs @ weights / np.sqrt(d) - labels
        moved = weights - RATE * inputs.T @ residual / np.sqrt(d) / alpha
        theta = threshold(step, np.sqrt(np.mean(residual**2) / alpha))
        weights = np.sign(moved) * np.maximum(np.abs(moved) - theta, 0.0)
    return np.asarray(errors)


def warming(rates: tuple[float, ...], *, momentum: float = 0.0) -> dt.GeneralFirstOrderMethod:
    """Return least squares whose rate is taken from a list, step after step, by way of the shared value."""
    table = np.asarray(rates)

    def init_shared(head: Any, samples_per_feature: Any, hyperparameters: Any) -> Any:
        del head, hyperparameters
        return {"alpha": jnp.asarray(samples_per_feature), "step": jnp.zeros((), int), "rate": jnp.zeros(())}

    def sample_map(state: Any, h: Any, label: Any, shared: Any, u: Any) -> Any:
        del shared, u
        return state, h - label, ()

    def after_samples(shared: Any, stats: Any) -> Any:
        del stats
        return {**shared, "rate": jnp.asarray(table)[shared["step"]], "step": shared["step"] + 1}

    def feature_map(state: Any, p: Any, shared: Any, u: Any) -> Any:
        del u
        row, velocity = state
        velocity = momentum * velocity + p / shared["alpha"]
        row = row - shared["rate"] * velocity
        return (row, velocity), row, ()

    return dt.GeneralFirstOrderMethod(
        name="own rates",
        num_units=1,
        init_shared=init_shared,
        init_feature=lambda row, shared: (row, jnp.zeros_like(row)),
        sample_map=sample_map,
        after_samples=after_samples,
        feature_map=feature_map,
        loss=lambda prediction, label: 0.5 * (prediction - label) ** 2,
        error=lambda prediction, label: (prediction - label) ** 2,
        smooth=True,
        has_kink=False,
    )


def warmed_by_hand(
    rates: tuple[float, ...],
    momentum: float,
    inputs: np.ndarray,
    labels: np.ndarray,
    weights: np.ndarray,
    keep: np.ndarray,
) -> np.ndarray:
    """Return w^t, (T+1, d), of a run in which only the rows in `keep` pull; α is that of all rows."""
    n, d = inputs.shape
    x, y, w, velocity = inputs[keep], labels[keep], weights.copy(), np.zeros(d)
    path = [w]
    for rate in rates:
        velocity = momentum * velocity + x.T @ (x @ w / np.sqrt(d) - y) / np.sqrt(d) / (n / d)
        w = w - rate * velocity
        path.append(w)
    return np.stack(path)

"""Means of one-pass least squares by modes of the covariance: in the limit a flow, at finite d a recursion.

D = w − w*, v = E D² along an eigenvalue λ, P = E[λ v] the excess error, c and u of velocities V:

    limit     dv/dα = −2ηλ v + (η²/B) λ (P + σ²)
    finite d  E g² = (λ (P + σ²)/B + (1 + 1/B) λ² v/d)/d,  E g D = λ v/d,  E g V = λ c/d,  V' = βV + g,  D' = D − ηV'.

The recursion is exact for Gaussian inputs at any d: fourth moments of Gaussians are all that it takes. Without momentum
and with a constant rate both are symmetric in the right coordinates, and solved by their eigenvectors at any time.

Reference: `paquette2021sgd`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.flows.online.prepared import longest_step
from dyntheory.flows.solving import solve_flow
from dyntheory.ground.arrays import Array, PyTree
from dyntheory.ground.status import Status


class Modes(NamedTuple):
    """A problem by modes, all (p,): λ, shares, E D² and E D w* at the start, E w*²."""

    eigenvalues: np.ndarray
    shares: np.ndarray
    distance: np.ndarray
    along_teacher: np.ndarray
    teacher: np.ndarray


class Numbers(NamedTuple):
    """η (zero beside a schedule), β, B, σ²."""

    learning_rate: float
    momentum: float
    batch_size: float
    noise_variance: float


class Means(NamedTuple):
    """P and E λ D w* at every time, (T,) each."""

    excess: np.ndarray
    along_teacher: np.ndarray


def limit_means(modes: Modes, one: Numbers, times: np.ndarray) -> Means:
    """Return means in the limit at a constant rate."""
    values, root, rate = modes.eigenvalues, np.sqrt(modes.shares), one.learning_rate / (1.0 - one.momentum)
    second = rate**2 / one.batch_size
    matrix = -2.0 * rate * np.diag(values) + second * np.outer(root * values, root * values)
    push = second * one.noise_variance * root * values
    grown, vectors = np.linalg.eigh(matrix)
    with np.errstate(over="ignore", invalid="ignore"):
        powers = np.exp(grown * times[:, None])
        sums = _integral(grown, times[:, None])
        excess = _along(vectors, root * values, root * modes.distance, push, powers, sums)
    along = np.exp(-rate * values * times[:, None]) @ (modes.shares * values * modes.along_teacher)
    return Means(excess, along)


def _integral(grown: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return ∫_0^t e^{gs} ds."""
    near = np.abs(grown * times) < 1e-12
    return np.where(near, times, np.expm1(grown * times) / np.where(near, 1.0, grown))


def _along(
    vectors: np.ndarray, left: np.ndarray, start: np.ndarray, push: np.ndarray, *parts: np.ndarray
) -> np.ndarray:
    """Return left · (f(M) start + h(M) push) for f and h given at the eigenvalues of M, (T,)."""
    powers, sums = parts
    weights = left @ vectors
    return powers @ (weights * (vectors.T @ start)) + sums @ (weights * (vectors.T @ push))


def finite_means(modes: Modes, one: Numbers, d: int, steps: np.ndarray) -> Means:
    """Return exact means at finite d without momentum at a constant rate; modes stand for one feature each."""
    values, rate = modes.eigenvalues, one.learning_rate
    second = rate**2 / (one.batch_size * d)
    decay = 1.0 - 2.0 * rate * values / d + (1.0 + 1.0 / one.batch_size) * (rate * values / d) ** 2
    matrix = np.diag(decay) + second / d * np.outer(values, values)
    grown, vectors = np.linalg.eigh(matrix)
    count = steps[:, None].astype(float)
    with np.errstate(over="ignore", invalid="ignore"):
        powers = np.sign(grown) ** steps[:, None] * np.abs(grown) ** count
        near = np.abs(grown - 1.0) < 1e-14
        sums = np.where(near, count, (powers - 1.0) / np.where(near, 1.0, grown - 1.0))
        push = second * one.noise_variance * values
        excess = _along(vectors, values / d, modes.distance, push, powers, sums)
        along = (1.0 - rate * values / d) ** count @ (values * modes.along_teacher) / d
    return Means(excess, along)


def stepwise_means(
    modes: Modes, one: Numbers, d: int, steps: np.ndarray, schedule: Callable[[Any], Any] | None
) -> Means:
    """Return exact means at finite d step by step: with momentum, or with a rate that changes."""
    zeros = np.zeros(d)
    state = tuple(map(jnp.asarray, (modes.distance, zeros, zeros, modes.along_teacher, zeros)))
    numbers = jax.tree.map(jnp.asarray, (modes.eigenvalues, Numbers(*map(float, one))))
    found, done = [], 0
    for step in steps:
        state = _advance(schedule, state, jnp.asarray(done), jnp.asarray(int(step)), numbers)
        done = int(step)
        found.append([float(jnp.mean(modes.eigenvalues * state[place])) for place in (0, 3)])
    return Means(*np.asarray(found).T)


@functools.partial(jax.jit, static_argnums=0)
def _advance(schedule: Any, state: PyTree, start: Array, stop: Array, numbers: PyTree) -> PyTree:
    values, one = numbers
    d = values.shape[0]

    def step(number: Array, state: PyTree) -> PyTree:
        v, c, u, m, s = state
        rate = one.learning_rate if schedule is None else schedule(number / d)
        squares = values * (jnp.mean(values * v) + one.noise_variance) / one.batch_size
        squares = (squares + (1.0 + 1.0 / one.batch_size) * values**2 * v / d) / d
        velocity = one.momentum**2 * u + 2.0 * one.momentum * values * c / d + squares
        cross = one.momentum * c + values * v / d
        speed = one.momentum * s + values * m / d
        distance = v - 2.0 * rate * cross + rate**2 * velocity
        return distance, cross - rate * velocity, velocity, m - rate * speed, speed

    return jax.lax.fori_loop(start, stop, step, state)


def scheduled_means(
    modes: Modes, one: Numbers, times: np.ndarray, schedule: Callable[[Any], Any], rtol: float
) -> tuple[Means, np.ndarray, Status]:
    """Return means in the limit with a rate that changes, the error of P, and how the flow ended."""
    numbers = {"modes": modes, "one": one}
    start = {"v": modes.distance, "m": modes.along_teacher}
    flow = solve_flow(_field_of(schedule), start, times, numbers, rtol=rtol, max_step=longest_step(times))
    weights = modes.shares * modes.eigenvalues
    error = flow.error["v"] @ weights
    return Means(flow.states["v"] @ weights, flow.states["m"] @ weights), error, flow.status


@functools.lru_cache(maxsize=64)
def _field_of(schedule: Callable[[Any], Any]) -> Callable[[Any, PyTree, PyTree], PyTree]:
    def field(time: Any, state: PyTree, numbers: PyTree) -> PyTree:
        modes, one = numbers["modes"], numbers["one"]
        rate, values = schedule(time) / (1.0 - one.momentum), modes.eigenvalues
        excess = jnp.sum(modes.shares * values * state["v"])
        push = rate**2 / one.batch_size * values * (excess + one.noise_variance)
        return {"v": push - 2.0 * rate * values * state["v"], "m": -rate * values * state["m"]}

    return field

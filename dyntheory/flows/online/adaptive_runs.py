"""Runs of one-pass least squares by any row-wise optimizer, beside their prediction."""

from __future__ import annotations

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.flows.online.adaptive import Rule, checked_rule
from dyntheory.flows.online.correlated import checked, of_runs
from dyntheory.flows.online.prepared import keys_of_runs
from dyntheory.flows.online.results import OnlineTrajectory
from dyntheory.ground.arrays import Array, ArrayLike, Key, Progress, PyTree
from dyntheory.ground.checks import check_count
from dyntheory.ground.compiling import compiled
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.precision import double_precision
from dyntheory.ground.resources import Resources
from dyntheory.ground.status import DyntheoryWarning
from dyntheory.problem.laws.first_layer import FirstLayer, starting_rows
from dyntheory.problem.laws.law import TeacherStudent
from dyntheory.problem.methods.hyperparameters import Optimizer, StaticNumbers, build
from dyntheory.problem.prepared import environment

ROWS = 16  # rows of d numbers that a run takes: teacher, weights, inputs, states of the optimizer, copies


def simulate_adaptive_least_squares(
    law: TeacherStudent,
    optimizer: Optimizer,
    *,
    num_features: int,
    learning_rate: float,
    time: ArrayLike,
    num_runs: int,
    key: Key,
    first_layer: FirstLayer | None = None,
    max_memory: float | None = None,
    progress: Progress | None = None,
    **hyperparameters: Any,
) -> OnlineTrajectory:
    """Train a linear unit on a stream by a row-wise optimizer, and report means over runs.

    Args:
        law: as in `adaptive_least_squares`.
        optimizer: the same.
        num_features: d.
        learning_rate: η; the optimizer's own rate in K = W/√d is η/d.
        time: the grid of α, or its last value.
        num_runs: R; standard errors need two or more.
        key: decides everything.
        first_layer: moments of w at the start.
        max_memory: bytes that may be used.
        progress: called with (fraction done, what is being done).
        **hyperparameters: of the optimizer.

    Returns:
        Means over runs, `standard_error`, `.per_run`, `num_diverged`, `status`.

    Raises:
        ValueError: as `adaptive_least_squares`, or too little memory.

    Example:
        >>> import jax, optax, dyntheory as dt
        >>> runs = dt.online.simulate_adaptive_least_squares(dt.TeacherStudent(1.0), optax.adam, num_features=20,
        ...     learning_rate=0.5, time=[0.0, 1.0], num_runs=3, key=jax.random.key(0))
        >>> runs.per_run.test_error.shape
        (3, 2)
    """
    given = locals()
    check_arguments(simulate_adaptive_least_squares, given)
    d, num_runs = check_count("num_features", num_features), check_count("num_runs", num_runs)
    resources = Resources.checked(max_memory=max_memory, progress=progress)
    if 8 * ROWS * num_runs * d > resources.max_memory:
        raise ValueError(f"`num_runs` = {num_runs} at d = {d} does not fit the memory: lower one of them.")
    rule = checked_rule(optimizer, hyperparameters)
    with double_precision():
        one = checked({**given, "momentum": 0.0, "batch_size": 1})
        amplitudes = one.spectrum.amplitudes(one.spectrum.modes_of(d), 1)
        keys, steps = keys_of_runs(key, d, num_runs), np.rint(one.times * d).astype(int)
        known = (jnp.asarray(one.joint), one.law.teacher_priors, amplitudes)
        numbers = {"rate": one.rates.learning_rate, "noise_std": float(one.law.noise_std), **rule._asdict()}
        found = _trained(known, rule, numbers, keys, steps, resources.report)
        result = of_runs(one, found, {"num_features": d, "num_runs": num_runs, **environment(key)})
    if not result.status.ok:
        warnings.warn(str(result.status), DyntheoryWarning, stacklevel=2)
    return result


def _trained(
    known: tuple[Any, ...], rule: Rule, numbers: PyTree, keys: Key, steps: np.ndarray, report: Progress
) -> dict[str, np.ndarray]:
    moment, priors, amplitudes = known
    d = amplitudes.shape[0]

    def begin(key: Key) -> tuple[Array, Array]:
        normals = jax.random.normal(jax.random.fold_in(key, 0), (d, 2))
        rows = starting_rows(moment, priors, normals, amplitudes=amplitudes)
        return rows[:, 0], rows[:, 1]

    teacher, weights = jax.vmap(begin)(keys)
    inner = build(rule.optimizer, rule.static, rule.numbers).init(weights)
    data = {"rate": jnp.asarray(numbers["rate"]), "noise_std": jnp.asarray(numbers["noise_std"]), "own": rule.numbers}
    state, found, done = (weights, inner), [], 0
    for step in steps:
        state = _advance(rule.optimizer, rule.static, state, teacher, keys, done, int(step), data)
        done = int(step)
        found.append({name: np.asarray(value) for name, value in _looked(teacher, state[0]).items()})
        report(step / max(int(steps[-1]), 1), f"step {step} of {steps[-1]}")
    stacked = {name: np.stack([one[name] for one in found], axis=1) for name in found[0]}
    stacked["teacher_moment"] = stacked["teacher_moment"][:, 0]
    return stacked


def _looked(teacher: Array, weights: Array) -> dict[str, Array]:
    means = {
        "weight_overlap": jnp.mean(weights**2, axis=1),
        "teacher_overlap": jnp.mean(weights * teacher, axis=1),
        "teacher_moment": jnp.mean(teacher**2, axis=1),
    }
    square = {name: value[:, None, None] for name, value in means.items()}
    return {"excess_error": jnp.mean((weights - teacher) ** 2, axis=1), **square}


def _advanced(
    optimizer: Optimizer,
    static: StaticNumbers,
    state: PyTree,
    teacher: Array,
    keys: Key,
    start: Any,
    stop: Any,
    data: Any,
) -> PyTree:
    rule, d = build(optimizer, static, data["own"]), teacher.shape[1]

    def step(index: Array, state: PyTree) -> PyTree:
        weights, inner = state
        own = jax.vmap(lambda key: jax.random.normal(jax.random.fold_in(key, index + 1), (d + 1,)))(keys)
        inputs, noise = own[:, :d], data["noise_std"] * own[:, d]
        residuals = jnp.sum(inputs * (weights - teacher), axis=1) / jnp.sqrt(float(d)) - noise
        updates, inner = rule.update(residuals[:, None] * inputs, inner, weights)
        return weights + data["rate"] / jnp.sqrt(float(d)) * jnp.asarray(updates), inner

    return jax.lax.fori_loop(start, stop, step, state)


_advance = compiled(_advanced, static_argnames=("optimizer", "static"))

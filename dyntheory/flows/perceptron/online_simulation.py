"""Perceptrons of finite size that learn from a teacher, many beside each other."""

from __future__ import annotations

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.flows.perceptron.online_prediction import checked_start
from dyntheory.flows.perceptron.online_results import OnlineCurve
from dyntheory.ground.arrays import Array, ArrayLike, Key
from dyntheory.ground.checks import check_count
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.precision import double_precision, to_numpy
from dyntheory.ground.randomness import stream
from dyntheory.ground.status import Outcome, Status


def simulate(
    rule: str,
    times: ArrayLike,
    *,
    num_features: int,
    num_runs: int = 10,
    key: Key,
    learning_rate: float = 1.0,
    initial_overlap: float = 0.0,
    initial_length: float = 1.0,
) -> OnlineCurve:
    """Train perceptrons on examples that a teacher perceptron labels, each seen once, and report means over runs.

    Scaling:
        That of `predict`: d inputs of unit variance, J ← J + (η/√d) F x, α = examples/d. The start has exactly the
        overlap and the length asked for.

    Args:
        rule: as in `predict`.
        times: α, increasing, (T,); the state after round(α d) examples is reported.
        num_features: d, two or more.
        num_runs: R; standard errors need two or more.
        key: `jax.random.key(seed)`.
        learning_rate: η.
        initial_overlap: as in `predict`.
        initial_length: as in `predict`.

    Returns:
        Means with standard errors, and single runs.

    Raises:
        ValueError: an unknown rule or a number outside its range.

    Example:
        >>> import jax, dyntheory as dt
        >>> runs = dt.perceptron.simulate("adatron", [0.0, 2.0], num_features=50, num_runs=4, key=jax.random.key(0))
        >>> bool(runs.test_error[0] == 0.5 and runs.test_error[1] < 0.4)
        True
    """
    check_arguments(simulate, locals())
    moments, _ = checked_start(rule, times, learning_rate, initial_overlap, initial_length)
    d, runs = check_count("num_features", num_features, minimum=2), check_count("num_runs", num_runs)
    steps = np.round(moments * d).astype(int)
    if np.any(np.diff(steps) <= 0):
        raise ValueError(f"`times` must be a whole number of examples apart, 1/{d} or more, got {times!r}.")
    with double_precision():
        keys = jax.random.split(jax.random.fold_in(stream(key, "runs"), d), runs)
        start = jnp.asarray([learning_rate, initial_overlap, initial_length], float)
        cosine, length = to_numpy(_runs(rule, d, int(steps[-1]), keys, start))
    cosine, length = cosine[:, steps], length[:, steps]
    wrong = np.arccos(np.clip(cosine, -1.0, 1.0)) / math.pi  # rounding alone leaves [−1, 1]
    single = OnlineCurve(np.broadcast_to(moments, cosine.shape[1:]), wrong, cosine, length)
    means = OnlineCurve(moments, wrong.mean(axis=0), cosine.mean(axis=0), length.mean(axis=0))
    errors = None
    if runs > 1:
        first, second, third = (one.std(axis=0, ddof=1) / math.sqrt(runs) for one in (wrong, cosine, length))
        errors = OnlineCurve(moments, first, second, third)
    fine = bool(np.isfinite(length).all())
    status = Status() if fine else Status(Outcome.DIVERGED, "Weights overflowed: lower `learning_rate`.")
    return dataclasses.replace(means, standard_error=errors, per_run=single, status=status)


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _runs(rule: str, d: int, num_steps: int, keys: Array, numbers: Array) -> tuple[Array, Array]:
    rate, overlap, length = numbers

    def run(key: Key) -> tuple[Array, Array]:
        first, second, third = jax.random.split(key, 3)
        teacher = jax.random.normal(first, (d,))
        teacher = teacher * math.sqrt(d) / jnp.linalg.norm(teacher)
        across = jax.random.normal(second, (d,))
        across = across - teacher * (across @ teacher) / d
        across = across * math.sqrt(d) / jnp.linalg.norm(across)
        start = length * (overlap * teacher + jnp.sqrt(1 - overlap**2) * across)

        def seen(weights: Array) -> tuple[Array, Array]:
            norm = jnp.linalg.norm(weights)
            return weights @ teacher / (norm * math.sqrt(d)), norm / math.sqrt(d)

        def step(weights: Array, key: Key) -> tuple[Array, tuple[Array, Array]]:
            x = jax.random.normal(key, (d,))
            h, v = weights @ x / math.sqrt(d), teacher @ x / math.sqrt(d)
            new = weights + rate / math.sqrt(d) * _force(rule, h, v) * x
            return new, seen(new)

        _, later = jax.lax.scan(step, start, jax.random.split(third, num_steps))
        cosine, norm = (jnp.concatenate([one[None], rest]) for one, rest in zip(seen(start), later, strict=True))
        return cosine, norm

    return jax.vmap(run)(keys)


def _force(rule: str, h: Array, v: Array) -> Array:
    """Return F of the two fields."""
    if rule == "hebb":
        return jnp.sign(v)
    size = jnp.abs(h) if rule == "adatron" else 1.0
    return jnp.where(h * v < 0, size * jnp.sign(v), 0.0)

"""The verb `simulate`: linear networks trained by SGD on fresh samples, from the same start as the flow."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.flows.agreement import Runs, scores
from dyntheory.flows.deep_linear.network import Task, as_arrays, checked, product
from dyntheory.flows.deep_linear.results import LinearPaths
from dyntheory.flows.deep_linear.training import collected
from dyntheory.flows.stepping import Sampling, along, told
from dyntheory.ground.arrays import Array, ArrayLike, Key
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.precision import double_precision


def simulate(
    correlation: ArrayLike,
    weights: Sequence[ArrayLike],
    *,
    learning_rate: float,
    num_steps: int,
    key: Key,
    batch_size: int = 100,
    num_runs: int = 1,
    noise_std: float = 0.0,
    covariance: ArrayLike | None = None,
    record_every: int | None = None,
) -> LinearPaths:
    """Train the network by SGD on samples y = W*x + σξ, x ~ N(0, C), fresh ones at every step.

    The loss of a batch is the mean of ½|y − W_L ⋯ W_1 x|², differentiated automatically. Means over runs approach
    `flow` as the learning rate vanishes, with an error of first order in it.

    Scaling:
        That of `flow`: times are η times steps.

    Args:
        correlation: Σ_yx = W* C, (outputs, inputs).
        weights: W_1, …, W_L at the start.
        learning_rate: η.
        num_steps: number of steps.
        key: `jax.random.key(seed)`.
        batch_size: fresh samples at every step.
        num_runs: number of independent runs.
        noise_std: σ, of every output.
        covariance: C, (inputs, inputs); default the identity.
        record_every: steps between states that are kept, a divisor of `num_steps`; default so that about 200 are.

    Returns:
        One path for every run.

    Raises:
        ValueError: as `flow`, or numbers outside their range.

    Example:
        >>> import jax, numpy as np
        >>> runs = simulate(np.diag([3.0, 1.0]), [0.1 * np.eye(2)] * 2, learning_rate=0.05, num_steps=20,
        ...                 key=jax.random.key(0), num_runs=3, record_every=10)
        >>> runs.products.shape, runs.times.tolist()
        ((3, 3, 2, 2), [0.0, 0.5, 1.0])

    Reference: `saxe2014exact`.
    """
    check_arguments(simulate, locals())
    asked = Sampling.of(locals())
    task, layers = checked(correlation, weights, covariance)
    values, vectors = np.linalg.eigh(np.asarray(task.covariance))
    root = vectors * np.sqrt(np.maximum(values, 0.0)) @ vectors.T
    with double_precision():
        given = (*as_arrays(task, layers), jnp.asarray(root))
        states = jax.device_get(_trained(asked.batch_size, asked.num_kept, *given, asked.keys(key), asked.numbers))
    return told(collected(asked.times, task, states, asked.provenance))


@functools.partial(jax.jit, static_argnums=(0, 1))
def _trained(
    batch_size: int,
    num_kept: int,
    task: Task,
    layers: tuple[Array, ...],
    root: Array,
    keys: Array,
    numbers: tuple[Array, Array, Array],
) -> tuple[Array, ...]:
    every, rate, noise_std = numbers

    def sample_loss(state: tuple[Array, ...], inputs: Array, noise: Array) -> Array:
        off = inputs @ (task.target - product(state)).T + noise
        return 0.5 * jnp.mean(jnp.sum(jnp.square(off), axis=1))

    def step(carry: tuple[tuple[Array, ...], Array]) -> tuple[tuple[Array, ...], Array]:
        state, key = carry
        key, of_inputs, of_noise = jax.random.split(key, 3)
        inputs = jax.random.normal(of_inputs, (batch_size, len(root))) @ root
        noise = noise_std * jax.random.normal(of_noise, (batch_size, len(task.target)))
        slopes = jax.grad(sample_loss)(state, inputs, noise)
        return tuple(one - rate * slope for one, slope in zip(state, slopes, strict=True)), key

    return jax.vmap(lambda key: along(step, (layers, key), num_kept, every)[0])(keys)


class LinearAgreement(NamedTuple):
    """How runs agree with the flow; the first time, which is given, is left out.

    Args:
        z_strengths: (T − 1, modes) difference of mean strengths over its standard error.
        z_products: (T − 1, outputs, inputs) the same of all entries of W.
        largest: |z| of the products.
        root_mean_square: of the same.
        resolution: largest standard error of an entry, relative to the strongest mode.
    """

    z_strengths: np.ndarray
    z_products: np.ndarray
    largest: float
    root_mean_square: float
    resolution: float


def compare(theory: LinearPaths, runs: LinearPaths, finer: LinearPaths | None = None) -> LinearAgreement:
    """Compare the flow with means over runs of SGD, extrapolated to vanishing steps where two rates are given.

    Args:
        theory: from `flow`, at the times of the runs.
        runs: from `simulate`.
        finer: the same at a smaller rate, with another key.

    Returns:
        z-scores.

    Raises:
        ValueError: other times, fewer than three runs, or a rate that is not smaller.

    Example:
        >>> import jax, numpy as np
        >>> from dyntheory.flows.deep_linear import flow
        >>> given = (np.diag([3.0, 1.0]), [0.5 * np.eye(2)] * 2)
        >>> runs = [simulate(*given, learning_rate=rate, num_steps=round(1 / rate), key=jax.random.key(seed),
        ...                  num_runs=40, record_every=round(0.2 / rate)) for seed, rate in enumerate((0.02, 0.01))]
        >>> compare(flow(*given, times=runs[0].times), *runs).largest < 4
        True

    Reference: `saxe2014exact`.
    """
    check_arguments(compare, locals())
    if theory.num_runs != 1:
        raise ValueError(f"`theory` must be a flow, of one run, got {theory.num_runs}.")
    simulations = [_runs(name, one) for name, one in (("runs", runs), ("finer", finer)) if one is not None]
    found = scores(theory.times, {name: getattr(theory, name)[0] for name in ("strengths", "products")}, simulations)
    z = found["products"].z
    resolution = float(found["products"].error.max() / theory.target_strengths[0])
    return LinearAgreement(found["strengths"].z, z, float(np.abs(z).max()), float(np.sqrt(np.mean(z**2))), resolution)


def _runs(name: str, found: LinearPaths) -> Runs:
    rate = float(found.provenance.get("learning_rate", np.inf))
    return Runs(name, found.times, rate, {"strengths": found.strengths, "products": found.products})

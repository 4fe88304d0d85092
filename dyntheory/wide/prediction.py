"""The verb `predict` of the wing: training of infinitely wide networks on given inputs, with its numerical error."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import optax

from dyntheory.ground.arrays import Array, ArrayLike, Key, Progress
from dyntheory.ground.checks import check_count, check_positive, check_scalar
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.precision import double_precision
from dyntheory.ground.resources import Resources
from dyntheory.ground.status import DyntheoryWarning
from dyntheory.problem.methods.hyperparameters import Optimizer
from dyntheory.problem.networks.losses import Loss
from dyntheory.wide.data import frame_of
from dyntheory.wide.judgement import judged
from dyntheory.wide.network import WideNetwork
from dyntheory.wide.on_nodes import Wanted, within
from dyntheory.wide.prepared import keeps_kernels, prepared
from dyntheory.wide.results import WideTrajectory
from dyntheory.wide.solution import LEAST_DROPPED

MOST_DROPPED = 0.1


def predict(
    network: WideNetwork,
    inputs: ArrayLike,
    labels: ArrayLike,
    test_inputs: ArrayLike | None = None,
    test_labels: ArrayLike | None = None,
    *,
    optimizer: Optimizer = optax.sgd,
    num_steps: int,
    key: Key,
    loss: str | Callable[[Array, Array], Array] | Loss = "squared",
    masks: ArrayLike | None = None,
    num_nodes: int | None = None,
    drop_below: float = 1e-2,
    keep_kernels: bool | None = None,
    max_memory: float | None = None,
    progress: Progress | None = None,
    **hyperparameters: Any,
) -> WideTrajectory:
    """Predict how an infinitely wide network learns given inputs, features and all. Nothing is trained.

    Every hidden matrix is asked W φ and Wᵀ g, as the data matrix is in `dyntheory.predict`; here rows and columns are
    neurons. One causal pass, no iteration, no derivatives of the limit: kinked activations are as good as smooth ones.
    Computes in float64 whatever the global flag and returns NumPy arrays.

    Scaling:
        See `WideNetwork`. Inputs enter by x·x/D: rows of squared norm D are of unit size. The loss is a mean over
        inputs, and weights move by η γ₀² N times its negative gradient; outputs then move by O(η) at any width.

    Args:
        network: depth, activation, γ₀.
        inputs: (P, D).
        labels: (P,) or (P, outputs).
        test_inputs: (P*, D); asked after training, which they do not touch: any number of them.
        test_labels: (P*,) or (P*, outputs), for test losses and errors.
        optimizer: an optax factory whose numbers are given as hyperparameters, or a ready transformation. SGD,
            momentum, Nesterov, schedules and weight decay cost little; other elementwise rules (Adam) keep arrays of
            nodes by nodes for every hidden matrix.
        num_steps: T, zero or more; T + 1 states are reported.
        key: `jax.random.key(seed)`; decides the nodes.
        loss: a name of `dyntheory.problem.networks.losses`, or a JAX function (prediction, label) -> scalar.
        masks: (T, P) of zeros and ones: the inputs in the mini-batch of every step; default all of them.
        num_nodes: M, a power of two; default 2^13, or more where the directions of a first sub-net ask for it.
        drop_below: of activations and signals as much may be left out as this part of their size, between 1e-6 and .1;
            below γ₀ = 1 that times γ₀, since outputs magnify it. The effect is of second order; sub-nets leave out
            three times as much, so the bars contain it.
        keep_kernels: keep the kernels of all steps; default while they are below 64 MB.
        max_memory: bytes that may be used; default most of what is free.
        progress: called with (fraction done, what is being done).
        **hyperparameters: numbers for the factory, `learning_rate=0.5`.

    Returns:
        Losses, outputs and kernels with `standard_error` (numerical, one sigma, from four sub-nets), `status`,
        `assumptions`, `provenance` (nodes, kept directions, rank of the inputs).

    Raises:
        TypeError: an argument of the wrong kind.
        ValueError: a number or shape outside its range, an optimizer that has no such limit, too little memory, or
            more directions than the nodes can hold.

    Example:
        >>> import jax, numpy as np, dyntheory as dt
        >>> inputs = np.random.default_rng(0).standard_normal((4, 8))
        >>> network = dt.WideNetwork(depth=1, activation="erf", feature_learning=0.5)
        >>> found = dt.wide.predict(network, inputs, np.array([1.0, -1, 1, -1]), num_steps=3, key=jax.random.key(0),
        ...                         learning_rate=0.5, num_nodes=2**10)
        >>> found.train_loss[0].round(6), found.status.ok
        (np.float64(0.5), True)

    Reference: `bordelon2022self`; `yang2021tensor`.
    """
    given = locals()
    check_arguments(predict, given)
    check_scalar("drop_below", drop_below)
    check_positive("drop_below", drop_below)
    if drop_below < LEAST_DROPPED:
        raise ValueError(f"`drop_below` must be at least {LEAST_DROPPED:g}, what rounding can tell, got {drop_below}.")
    if drop_below > MOST_DROPPED:
        raise ValueError(
            f"`drop_below` must be at most {MOST_DROPPED:g}, got {drop_below}: beyond it error bars no longer contain "
            "what dropping costs."
        )
    if num_nodes is not None and check_count("num_nodes", num_nodes) & (num_nodes - 1):
        raise ValueError(f"`num_nodes` must be a power of two, got {num_nodes}.")
    resources = Resources.checked(max_memory=max_memory, progress=progress)
    with double_precision():
        one = prepared(given)
        keeps = keeps_kernels(one, keep_kernels)
        wanted = Wanted(one, frame_of(one.data), num_nodes, float(drop_below), keeps)
        result = judged(within(wanted, resources), one)
    if not result.status.ok:
        warnings.warn(str(result.status), DyntheoryWarning, stacklevel=2)
    return result

"""The verb `simulate` of the wing: networks of finite width, trained on the same inputs in the same parametrisation."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from dyntheory.ground.arrays import Array, ArrayLike, Key, Progress
from dyntheory.ground.checks import check_count
from dyntheory.ground.compiling import compiled
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.precision import double_precision
from dyntheory.ground.randomness import stream
from dyntheory.ground.resources import Resources
from dyntheory.ground.status import DyntheoryWarning
from dyntheory.problem.methods.hyperparameters import Optimizer
from dyntheory.problem.networks.losses import Loss
from dyntheory.results.judgement import diverged_runs, has_diverged
from dyntheory.wide.fields import reported
from dyntheory.wide.finite import Record, train
from dyntheory.wide.network import WideNetwork
from dyntheory.wide.on_nodes import origin
from dyntheory.wide.prepared import Prepared, keeps_kernels, prepared
from dyntheory.wide.results import WideTrajectory

COPIES = 6


def simulate(
    network: WideNetwork,
    inputs: ArrayLike,
    labels: ArrayLike,
    test_inputs: ArrayLike | None = None,
    test_labels: ArrayLike | None = None,
    *,
    width: int | None = None,
    num_runs: int = 1,
    optimizer: Optimizer = optax.sgd,
    num_steps: int,
    key: Key,
    loss: str | Callable[[Array, Array], Array] | Loss = "squared",
    masks: ArrayLike | None = None,
    centred: bool = True,
    keep_kernels: bool | None = None,
    max_memory: float | None = None,
    progress: Progress | None = None,
    **hyperparameters: Any,
) -> WideTrajectory:
    """Train networks of finite width on given inputs, and report means over runs.

    Every run draws its own weights; the inputs are the same. The parametrisation is that of `predict`: the means
    approach it as 1/N, single networks as 1/√N.

    Scaling:
        See `WideNetwork`: weights are kept standard normal at the start, and moved by η γ₀² N times minus the gradient
        of the mean loss. An optimizer that is not linear in gradients (Adam) sees hidden matrices times √N_l, so that a
        step of size η on what it sees is one of η/√N_l on W^l, and gradients in units of the limit.

    Args:
        network: depth, activation, γ₀.
        inputs: (P, D).
        labels: (P,) or (P, outputs).
        test_inputs: (P*, D).
        test_labels: (P*,) or (P*, outputs), for test losses and errors.
        width: N_1, the number of neurons of the first hidden layer; those of others follow by the network's
            `width_ratios`. Default the network's own width, in the parametrisations that have one.
        num_runs: R; standard errors need two or more.
        optimizer: as in `predict`.
        num_steps: T, zero or more.
        key: `jax.random.key(seed)`; runs of other widths are independent of these.
        loss: as in `predict`.
        masks: as in `predict`.
        centred: subtract outputs at the start, f − f₀, in training and in what is reported: f₀ is of size 1/(γ₀ √N) and
            not in the prediction. False trains the network as it is.
        keep_kernels: keep the kernels of all steps and runs; default while they are below 64 MB.
        max_memory: bytes that may be used; decides how many networks are trained beside each other.
        progress: called with (fraction done, what is being done).
        **hyperparameters: numbers for the factory.

    Returns:
        Means over the runs that did not diverge, `standard_error`, `.per_run`, `num_diverged`, `status`.

    Raises:
        TypeError: an argument of the wrong kind.
        ValueError: a number or shape outside its range, or a network that does not fit the memory.

    Example:
        >>> import jax, numpy as np, dyntheory as dt
        >>> inputs = np.random.default_rng(0).standard_normal((4, 8))
        >>> runs = dt.wide.simulate(dt.WideNetwork(1), inputs, np.array([1.0, -1, 1, -1]), num_steps=2, width=32,
        ...                         num_runs=3, key=jax.random.key(0), learning_rate=0.5)
        >>> runs.train_outputs.shape, runs.per_run.train_outputs.shape
        ((3, 4), (3, 3, 4))
    """
    given = locals()
    check_arguments(simulate, given)
    num_runs = check_count("num_runs", num_runs)
    widths = widths_of(network, width)
    resources = Resources.checked(max_memory=max_memory, progress=progress)
    with double_precision():
        one = prepared(given)
        one = one._replace(rules=one.rules._replace(keeps_kernels=keeps_kernels(one, keep_kernels, num_runs)))
        size = _runs_at_once(one, widths, num_runs, resources.max_memory)
        keys = jax.random.split(jax.random.fold_in(stream(key, "runs"), widths[0]), num_runs)
        result = _means(one, _runs(one, widths, centred, keys, size, resources), widths, centred)
    if not result.status.ok:
        warnings.warn(str(result.status), DyntheoryWarning, stacklevel=2)
    return result


def widths_of(network: WideNetwork, width: int | None) -> tuple[int, ...]:
    """Return N_1, …, N_L.

    Raises:
        ValueError: no width, one that contradicts the network's, or a layer without neurons.
    """
    if width is None:
        if network.width is None:
            raise ValueError("`width` is needed: the number of neurons N_1 of the first hidden layer.")
        width = network.width
    width = check_count("width", width)
    if network.width not in (None, width):
        raise ValueError(f"`width` is {network.width} in the network and {width} here: leave one of them out.")
    sizes = np.cumprod([float(width), *network.ratios])
    widths = tuple(round(size) for size in sizes)
    if min(widths) < 1:
        raise ValueError(f"`width` {width} with ratios {network.ratios} leaves a layer without neurons: {widths}.")
    return widths


def _runs_at_once(one: Prepared, widths: tuple[int, ...], num_runs: int, max_memory: int) -> int:
    """Return how many networks are trained beside each other.

    Raises:
        ValueError: one of them does not fit.
    """
    pairs = zip((one.data.num_features, *widths[:-1]), widths, strict=True)
    rows = len(one.data.inputs) + (0 if one.data.test_inputs is None else len(one.data.test_inputs))
    states, kernels = one.num_steps + 1, (2 * len(widths) + 1) * len(one.data.inputs) ** 2 * one.rules.keeps_kernels
    kept = states * (rows * one.data.labels.shape[1] + kernels)
    numbers = COPIES * (sum(a * b for a, b in pairs) + rows * sum(widths)) + 2 * kept
    if 8 * numbers > max_memory:
        raise ValueError(
            f"A network of widths {widths} takes about {8 * numbers / 1e9:.2g} GB and {max_memory / 1e9:.2g} GB may be "
            "used: lower `width`, or pass keep_kernels=False."
        )
    return max(1, min(num_runs, max_memory // (8 * numbers), 2**26 // numbers))


def _runs(
    one: Prepared, widths: tuple[int, ...], centred: bool, keys: Array, size: int, resources: Resources
) -> Record:
    """Return the records of all runs along a leading axis."""
    entries = one.task.entries
    tests = np.zeros((0, entries.shape[1])) if one.data.test_inputs is None else one.data.test_inputs
    tests = jnp.asarray(tests / np.sqrt(one.data.num_features))
    parts, count = [], len(keys)
    for begin in range(0, count, size):
        some = keys[np.minimum(np.arange(begin, begin + size), count - 1)]
        found = jax.device_get(_train(one.rules, one.task, tests, widths, centred, some))
        parts.append(jax.tree.map(lambda leaf, left=count - begin: leaf[:left], found))
        resources.report(min(1.0, (begin + size) / count), f"trained {min(begin + size, count)} of {count} networks")
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)


def _train_all(rules: Any, task: Any, tests: Array, widths: tuple[int, ...], is_centred: bool, keys: Array) -> Record:
    return jax.vmap(functools.partial(train, rules, task, tests, widths, is_centred))(keys)


_train = compiled(_train_all, static_argnames=("rules", "widths", "is_centred"))


def _means(one: Prepared, runs: Record, widths: tuple[int, ...], centred: bool) -> WideTrajectory:
    """Return means over the runs that did not diverge, with their standard errors."""
    tests = None if one.data.test_inputs is None else runs.test_outputs
    fields = reported(one, runs.train_outputs, tests, runs)
    steps, loss = np.arange(one.num_steps + 1), fields["train_loss"]
    bad = has_diverged(loss)
    diverged_at = np.where(bad.any(axis=1), bad.argmax(axis=1), len(steps))
    kept = diverged_at == len(steps)
    chosen = kept if kept.any() else np.ones_like(kept)
    count = int(chosen.sum())
    with np.errstate(all="ignore"):
        means = {name: value[chosen].mean(axis=0) for name, value in fields.items()}
        spread = {name: value[chosen].std(axis=0, ddof=1) for name, value in fields.items()} if count > 1 else {}
    errors = {name: value / np.sqrt(count) for name, value in spread.items()}
    sizes = {"width": widths[0], "widths": list(widths), "num_runs": len(kept)}
    return WideTrajectory(
        steps=steps,
        **means,
        standard_error=WideTrajectory(steps=steps, **errors) if errors else None,
        per_run=WideTrajectory(steps=steps, **fields),
        num_diverged=int((~kept).sum()),
        status=diverged_runs(diverged_at, len(steps)),
        provenance={**origin(one, "simulation"), **sizes, "centred": centred},
    )

"""The verb `predict` of the wing: order parameters and errors of one-pass SGD as d → ∞, with their numerical error."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from dyntheory.flows.online.judgement import judged
from dyntheory.flows.online.on_nodes import NUM_NODES
from dyntheory.flows.online.prepared import Prepared, keys_of_runs, prepared
from dyntheory.flows.online.results import MEASURED, OnlineTrajectory
from dyntheory.flows.online.solution import Solver, label_tail, nodes_of, solve
from dyntheory.flows.online.starts import gram, start_rows
from dyntheory.ground.arrays import Array, ArrayLike, Key, Progress, PyTree
from dyntheory.ground.checks import check_count, check_positive, check_scalar
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.precision import double_precision
from dyntheory.ground.randomness import seed
from dyntheory.ground.resources import check_progress, silent
from dyntheory.ground.status import DyntheoryWarning
from dyntheory.problem.laws.first_layer import FirstLayer
from dyntheory.problem.laws.law import TeacherStudent
from dyntheory.problem.networks.network import MLP

LEAST_NODES = 2**10


def predict(
    law: TeacherStudent,
    network: MLP,
    *,
    learning_rate: float | Callable[[Any], Any],
    time: ArrayLike,
    key: Key,
    head: PyTree = None,
    head_rate: float = 1.0,
    momentum: float = 0.0,
    batch_size: int = 1,
    first_layer: FirstLayer | None = None,
    num_features: int | None = None,
    num_runs: int = 1,
    rtol: float | None = None,
    num_nodes: int | None = None,
    progress: Progress | None = None,
) -> OnlineTrajectory:
    """Predict SGD that uses every sample once, as d → ∞: errors and order parameters at α = steps/d.

    A two-layer network F = Σ_i a_i g(h_i), h = x·W/√d, learns y = φ(z) + σ ξ by half the squared error. Units erf(s x),
    max(x, 0) and x, and teachers that are sums of the same, have closed forms (see `committee`, `scaled_erf`);
    everything else is averaged on nodes, with an error bar.

    Scaling:
        Entries of W are O(1). A step is W ← W − η x (∂ℓ/∂h)/√d and a ← a − (η c/d) ∂ℓ/∂a: the rate η/d of
        `gradient_descent` on that one sample, of a flax kernel K = W/√d and of the head. As η → 0, α η is the time
        (rate × steps) of gradient descent with n/d → ∞. Saad and Solla's η and N are our η and d.

    Args:
        law: the teacher; its `samples_per_feature` is not used, every sample is new.
        network: one hidden layer, one output, no biases.
        learning_rate: η, positive; or a JAX function of α, whose pulses are longer than 1/500 of the last time.
        time: α, a grid that increases, or one number: the last of 101.
        key: `jax.random.key(seed)`; decides the head if none is given, nodes, and starts.
        head: a at the start in the structure of `network.init_head`; default drawn as in `dyntheory.predict`.
            `{"layer_2": {"weights": np.ones((1, k))}}` is a committee.
        head_rate: c, the head's rate in units of that of the first layer; 0 freezes the head.
        momentum: β, from 0 to below 1: as d → ∞ a rate of η/(1 − β).
        batch_size: B, samples in a step, of whose gradients the mean is taken.
        first_layer: overlaps at the start, or a given draw; default Q = 1, R = 0.
        num_features: d of the draws from which runs start, if they are not to start exactly at `first_layer`: then
            overlaps are off by 1/√d, by which a symmetric plateau is left.
        num_runs: so many starts, those of `simulate` with the same key, are averaged. With `num_features` only.
        rtol: relative tolerance of order parameters; default 1e-8, on nodes 1e-6.
        num_nodes: a power of two, where Sobol nodes are needed; default 2^13.
        progress: called with (fraction done, what is being done).

    Returns:
        Errors, overlaps, head with `standard_error` (numerical, over several starts that of the mean), `status`,
        `assumptions`.

    Raises:
        TypeError: an argument of the wrong kind.
        ValueError: a number outside its range, a network with more layers, correlated features.

    Example:
        >>> import jax, numpy as np, dyntheory as dt
        >>> law = dt.TeacherStudent(1.0, dt.online.committee("erf", np.ones(2)), teacher_second_moment=np.eye(2))
        >>> start = dt.FirstLayer(np.eye(2), teacher_overlap=[[0.1, 0.0], [0.0, 0.1]])
        >>> found = dt.online.predict(law, dt.MLP((2,), "erf"), learning_rate=0.5, time=20.0, key=jax.random.key(0),
        ...                           head={"layer_2": {"weights": np.ones((1, 2))}}, head_rate=0.0, first_layer=start)
        >>> found.excess_error[[0, -1]].round(4).tolist()
        [1.6883, 0.1231]

    Reference: `saad1995exact`; `goldt2019dynamics`.
    """
    given = locals()
    check_arguments(predict, given)
    count, size = _checked_starts(num_features, num_runs, first_layer)
    if rtol is not None:
        check_scalar("rtol", rtol)
        check_positive("rtol", rtol)
        if not 1e-12 <= rtol <= 0.01:
            raise ValueError(f"`rtol` must be from 1e-12 to 0.01, got {rtol!r}.")
    nodes = NUM_NODES if num_nodes is None else check_count("num_nodes", num_nodes, minimum=LEAST_NODES)
    if nodes & (nodes - 1):
        raise ValueError(f"`num_nodes` must be a power of two, got {num_nodes}.")
    check_progress(progress)
    report = progress or silent
    with double_precision():
        one = prepared(given)
        solver = Solver(*nodes_of(one.model, nodes, seed(key, "nodes")), rtol=rtol)
        found = []
        for number, joint in enumerate(_starts(one, key, size, count)):
            found.append(solve(one, joint, solver))
            report((number + 1) / count, f"solved {number + 1} of {count} starts")
        result = judged(_mean(found) if count > 1 else found[0], one, size, label_tail(one, solver))
    if not result.status.ok:
        warnings.warn(str(result.status), DyntheoryWarning, stacklevel=2)
    return result


def _checked_starts(num_features: Any, num_runs: Any, first_layer: FirstLayer | None) -> tuple[int, int | None]:
    """Return the numbers of starts and of features.

    Raises:
        ValueError: several starts that are the same, or draws of a given draw.
    """
    count = check_count("num_runs", num_runs)
    size = None if num_features is None else check_count("num_features", num_features)
    if size is None and count > 1:
        raise ValueError("`num_runs` above 1 needs `num_features`: all starts would be the same.")
    if size is not None and first_layer is not None and first_layer.draw is not None:
        raise ValueError("`num_features` draws starts, and `first_layer` is a given draw: leave one of them out.")
    return count, size


def _starts(one: Prepared, key: Key, size: int | None, count: int) -> list[Array]:
    if size is None:
        return [one.joint]
    return [gram(start_rows(one, own, size, is_exact=False)) for own in keys_of_runs(key, size, count)]


def _mean(found: list[OnlineTrajectory]) -> OnlineTrajectory:
    """Return means over starts, with errors of the mean; numerical ones are added as if they were alike."""
    stacked: dict[str, Any] = {name: np.stack([getattr(one, name) for one in found]) for name in MEASURED}
    numerical = {name: np.mean([getattr(one.standard_error, name) for one in found], axis=0) for name in MEASURED}
    spread = {name: value.std(axis=0, ddof=1) / np.sqrt(len(found)) for name, value in stacked.items()}
    means: dict[str, Any] = {name: value.mean(axis=0) for name, value in stacked.items()}
    bars: dict[str, Any] = {name: np.hypot(spread[name], numerical[name]) for name in MEASURED}
    times, worst = found[0].times, next((one.status for one in found if not one.status.ok), found[0].status)
    return OnlineTrajectory(
        times,
        **means,
        standard_error=OnlineTrajectory(times, **bars),
        per_run=OnlineTrajectory(times, **stacked),
        status=worst,
        provenance=found[0].provenance | {"num_runs": len(found)},
    )

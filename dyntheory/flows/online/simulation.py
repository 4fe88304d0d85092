"""The verb `simulate` of the wing: one-pass SGD at finite d, with the errors and overlaps that `predict` reports."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.flows.online.equations import error_of
from dyntheory.flows.online.finite import Rules, State, advance, first_state, overlaps_of
from dyntheory.flows.online.judgement import assumptions_of
from dyntheory.flows.online.on_nodes import NUM_NODES
from dyntheory.flows.online.prepared import Prepared, keys_of_runs, prepared
from dyntheory.flows.online.results import CURVES, MEASURED, OnlineTrajectory
from dyntheory.flows.online.solution import missed_by, nodes_of
from dyntheory.flows.online.starts import start_rows
from dyntheory.ground.arrays import Array, ArrayLike, Key, Progress, PyTree
from dyntheory.ground.checks import check_count
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.names import check_name
from dyntheory.ground.precision import double_precision
from dyntheory.ground.randomness import seed
from dyntheory.ground.resources import Resources
from dyntheory.ground.status import DyntheoryWarning, Outcome, Status
from dyntheory.problem.laws.first_layer import FirstLayer
from dyntheory.problem.laws.law import TeacherStudent
from dyntheory.problem.networks.network import MLP
from dyntheory.results.judgement import has_diverged

MATRICES = ("dense", "revealed")
TOGETHER = 256  # errors in closed form
Measured = dict[str, Any]


def simulate(
    law: TeacherStudent,
    network: MLP,
    *,
    num_features: int,
    learning_rate: float | Callable[[Any], Any],
    time: ArrayLike,
    num_runs: int,
    key: Key,
    head: PyTree = None,
    head_rate: float = 1.0,
    momentum: float = 0.0,
    batch_size: int = 1,
    first_layer: FirstLayer | None = None,
    exact_overlaps: bool = True,
    matrix: str = "dense",
    max_memory: float | None = None,
    progress: Progress | None = None,
) -> OnlineTrajectory:
    """Train two-layer networks at finite d on Gaussian inputs, each used once, and report means over runs.

    Errors are population errors of the trained weights, from their overlaps; there is no test set.

    Scaling:
        See `predict`: α = steps/d, states are those after round(α d) steps.

    Args:
        law: as in `predict`.
        network: as in `predict`.
        num_features: d.
        learning_rate: η, or a function of α.
        time: the grid of α, or its last value.
        num_runs: R; standard errors need two or more.
        key: decides head, starts, inputs, noise; runs at other d are independent of these.
        head: as in `predict`.
        head_rate: c, as in `predict`.
        momentum: β; here a velocity is kept and acts.
        batch_size: B.
        first_layer: overlaps at the start, or a given draw.
        exact_overlaps: start with exactly these overlaps; else with independent rows of that second moment, whose
            overlaps are off by 1/√d.
        matrix: "dense" stores weights and draws inputs; "revealed" follows the overlaps alone, which have the same
            law, at a cost that does not depend on d.
        max_memory: bytes that may be used; default most of what is free.
        progress: called with (fraction done, what is being done).

    Returns:
        Means over runs that did not diverge, `standard_error`, `.per_run`, `num_diverged`, `status`.

    Raises:
        TypeError: an argument of the wrong kind.
        ValueError: a number outside its range, fewer features than units, too little memory.

    Example:
        >>> import jax, numpy as np, dyntheory as dt
        >>> law = dt.TeacherStudent(1.0, "erf")
        >>> runs = dt.online.simulate(law, dt.MLP((2,), "erf"), num_features=50, learning_rate=0.5, time=2.0,
        ...                           num_runs=3, key=jax.random.key(0))
        >>> runs.teacher_overlap.shape, runs.per_run.test_error.shape
        ((101, 2, 1), (3, 101))
    """
    given = locals()
    check_arguments(simulate, given)
    num_features, num_runs = check_count("num_features", num_features), check_count("num_runs", num_runs)
    check_name("matrix", matrix, MATRICES)
    resources = Resources.checked(max_memory=max_memory, progress=progress)
    with double_precision():
        one = prepared(given)
        stored = num_features if matrix == "dense" else 0
        rules = Rules(one.model, stored, one.rates.batch_size, one.rates.momentum > 0)
        _check_size(rules, one, num_features, num_runs, resources.max_memory)
        grams, heads = _runs(
            one, rules, num_features, keys_of_runs(key, num_features, num_runs), exact_overlaps, resources
        )
        how, nodes, fewer = nodes_of(one.model, NUM_NODES, seed(key, "test_nodes"))
        measured, rough = _measured(one, grams, heads, nodes), 0.0
        if nodes is not None:
            first = [_measured(one, grams[:1], heads[:1], part)["excess_error"][0] for part in fewer]
            rough = missed_by(measured["excess_error"][0], np.stack(first))
        sizes = {"num_features": num_features, "num_runs": num_runs, "matrix": matrix}
        told = {"kind": "simulation", **one.told, **sizes, "exact_overlaps": bool(exact_overlaps), "averages": how}
        result = _means(one, measured, rough, told)
    if not result.status.ok:
        warnings.warn(str(result.status), DyntheoryWarning, stacklevel=2)
    return result


def _check_size(rules: Rules, one: Prepared, d: int, num_runs: int, max_memory: int) -> None:
    """Refuse what does not fit.

    Raises:
        ValueError: fewer features than what weights span, a draw of another d, too little memory.
    """
    k, r = rules.model.num_units, rules.model.num_teacher_units
    if one.draw is not None and len(one.draw[0]) != d:
        raise ValueError(f"`num_features` must be that of the draw in `first_layer`, {len(one.draw[0])}, got {d}.")
    directions = r + k * (1 + rules.has_momentum)
    least = directions + rules.batch_size if not rules.is_stored else r + k
    if d < least:
        raise ValueError(f"`num_features` must be at least {least}, what weights and a batch span, got {d}.")
    block = rules.block * rules.batch_size * (d if rules.is_stored else rules.batch_size + directions)
    bytes_needed = 8 * num_runs * (4 * directions * d * rules.is_stored + 2 * block + len(one.times) * (r + k) ** 2)
    if bytes_needed > max_memory:
        raise ValueError(
            f"{num_runs} runs take about {bytes_needed / 1e9:.2g} GB and {max_memory / 1e9:.2g} GB may be used: lower "
            "`num_runs`, or pass matrix='revealed'."
        )


def _runs(
    one: Prepared, rules: Rules, d: int, keys: Key, is_exact: bool, resources: Resources
) -> tuple[np.ndarray, np.ndarray]:
    """Return Gram matrices (runs, T, m, m) and heads (runs, T, k)."""

    def begin(key: Key) -> State:
        rows = start_rows(one, key, d, is_exact=is_exact)
        return first_state(rules, rows, one.head)

    numbers = jax.tree.map(jnp.asarray, one.numbers | {"noise_std": one.noise_std, "num_features": float(d)})
    states, look = jax.vmap(begin)(keys), jax.jit(jax.vmap(lambda state: overlaps_of(rules, state)))
    streams = jax.vmap(lambda key: jax.random.fold_in(key, 1))(keys)
    steps, done, found = np.rint(one.times * d).astype(int), 0, []
    for step in steps:
        if step > done:
            states = advance(rules, states, streams, jnp.asarray(done), jnp.asarray(step), numbers)
            done = step
        found.append(jax.device_get(look(states)))
        resources.report(float(step) / max(int(steps[-1]), 1), f"step {step} of {steps[-1]}")
    grams, heads = (np.stack(parts, axis=1) for parts in zip(*found, strict=True))
    return grams, heads


def _measured(one: Prepared, grams: np.ndarray, heads: np.ndarray, nodes: Any) -> Measured:
    """Return what is reported of every run."""
    r = one.model.num_teacher_units

    def excess(gram: Array, head: Array) -> Array:
        state = {"weight": gram[r:, r:], "teacher": gram[r:, :r], "head": head}
        numbers = {"teacher_moment": gram[:r, :r], "nodes": nodes}
        return error_of(one.model, state, numbers)[0]

    together = TOGETHER if nodes is None else None
    flat = jax.jit(lambda pairs: jax.lax.map(lambda pair: excess(*pair), pairs, batch_size=together))
    pairs = (jnp.asarray(grams.reshape(-1, *grams.shape[2:])), jnp.asarray(heads.reshape(-1, heads.shape[-1])))
    errors = np.asarray(flat(pairs)).reshape(grams.shape[:2])
    return {
        "excess_error": errors,
        "test_error": errors + one.noise_std**2,
        "weight_overlap": grams[:, :, r:, r:],
        "teacher_overlap": grams[:, :, r:, :r],
        "teacher_moment": grams[:, 0, :r, :r],
        "head": heads,
    }


def _means(one: Prepared, measured: Measured, rough: Any, told: dict[str, Any]) -> OnlineTrajectory:
    """Return means over the runs that did not diverge, with standard errors; `rough` is what nodes miss of errors."""
    bad = np.asarray(has_diverged(measured["test_error"]).any(axis=1))
    chosen = ~bad if not bad.all() else bad
    count = int(chosen.sum())
    with np.errstate(all="ignore"):
        means = {name: value[chosen].mean(axis=0) for name, value in measured.items()}
        spread = {name: value[chosen].std(axis=0, ddof=1) for name, value in measured.items()} if count > 1 else None
    errors = None
    if spread is not None:
        bars: dict[str, Any] = {name: value / np.sqrt(count) for name, value in spread.items()}
        bars |= {name: np.hypot(bars[name], rough) for name in CURVES}
        errors = OnlineTrajectory(one.times, **bars)
    status = Status()
    if bad.any():
        rest = "means are over the others" if count < len(bad) and not bad.all() else "means stop being finite"
        status = Status(
            Outcome.DIVERGED, f"{int(bad.sum())} of {len(bad)} runs diverged; {rest}: lower `learning_rate`"
        )
    return OnlineTrajectory(
        one.times,
        **{name: means[name] for name in MEASURED},
        standard_error=errors,
        per_run=OnlineTrajectory(one.times, **measured),
        num_diverged=int(bad.sum()),
        status=status,
        assumptions=assumptions_of(one, told["averages"], None),
        provenance=told,
    )

"""One-pass least squares by any row-wise optimizer, Adam included, as d → ∞.

Every step moves each of d weights by η ψ/√d, ψ from that weight's own gradients e x of the last steps. The residual e
is normal with variance s² = P + σ², P = mean (w − w*)², nearly independent of one weight's inputs: the correlation is
(w − w*)/(s √d). To first order in it, over d steps (`dyntheory.flows.online.long_run`),

    dP/dα = −2η c(s) P + η² D(s),      dM/dα = −η c(s) M,  M = mean (w − w*) w*.

Plain SGD has c = 1, D = s². The memory of the optimizer must be short beside d. Derived here.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.flows.online.correlated import checked
from dyntheory.flows.online.long_run import LENGTH, LONGER, LongRun, long_run
from dyntheory.flows.online.results import OnlineTrajectory
from dyntheory.flows.solving import Flow, solve_flow
from dyntheory.ground.arrays import Array, ArrayLike, Key, PyTree
from dyntheory.ground.checks import check_positive, check_scalar
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.precision import as_double, double_precision
from dyntheory.ground.status import Assumptions, DyntheoryWarning, Outcome, Status
from dyntheory.problem.laws.first_layer import FirstLayer
from dyntheory.problem.laws.law import TeacherStudent
from dyntheory.problem.methods.hyperparameters import (
    Optimizer,
    StaticNumbers,
    build,
    check_optimizer,
    shown,
    split_numbers,
)
from dyntheory.problem.prepared import environment
from dyntheory.results.judgement import has_diverged

LEAST, MOST = 1e-3, 10.0  # deviations of residuals in the table, in units of that at the start
FAR, SURE = 0.02, 4.0  # what windows far apart, or late ones, may change, and by how many standard errors it is seen
SAME, SIZES = 1e-9, np.geomspace(1e-4, 1e4, 8)
WHY = "derived to first order in 1/√d with an optimizer whose memory is short beside d; simulated for Adam and others"


class Rule(NamedTuple):
    """An optimizer at the rate one, and its numbers."""

    optimizer: Optimizer
    static: StaticNumbers
    numbers: PyTree


def adaptive_least_squares(
    law: TeacherStudent,
    optimizer: Optimizer,
    *,
    learning_rate: float,
    time: ArrayLike,
    key: Key,
    first_layer: FirstLayer | None = None,
    rtol: float = 1e-6,
    **hyperparameters: Any,
) -> OnlineTrajectory:
    """Predict one-pass training of a linear unit by a row-wise optimizer, y = x·W*/√d + σ ξ, as d → ∞.

    How far the optimizer follows a push, c, and how much it scatters, D, is found on streams of noise, by chains whose
    spread gives `standard_error`.

    Scaling:
        Gradients are those in K = W/√d of half the squared error on one sample, so entries are O(1) and so is the ε of
        Adam beside them. A step moves K by the rate η/d times the optimizer's, W by η/√d.

    Args:
        law: linear link, one teacher direction, uncorrelated features.
        optimizer: an optax factory whose steps are proportional to its learning rate and do not look at the weights.
        learning_rate: η.
        time: the grid of α = steps/d, or its last value.
        key: decides the noise of the chains.
        first_layer: moments of w at the start; default E w² = 1.
        rtol: of the solver.
        **hyperparameters: of the optimizer, but for its rate.

    Returns:
        Errors and overlaps. The status is "unresolved" for a memory of more than some 250 steps in the mean of
        gradients, or when residuals leave the table of deviations.

    Raises:
        ValueError: correlated features, another link, an optimizer that is not row-wise, whose steps depend on weights
            (weight decay) or not in proportion on the rate.

    Example:
        >>> import jax, optax, dyntheory as dt
        >>> law, key = dt.TeacherStudent(1.0, noise_std=0.5), jax.random.key(0)
        >>> found = dt.online.adaptive_least_squares(law, optax.adam, learning_rate=0.6, time=[0.0, 3.0], key=key)
        >>> found.excess_error.round(1).tolist()
        [2.0, 0.3]
    """
    given = locals()
    check_arguments(adaptive_least_squares, given)
    check_scalar("rtol", rtol)
    check_positive("rtol", rtol)
    rule = checked_rule(optimizer, hyperparameters)
    with double_precision():
        one = checked({**given, "momentum": 0.0, "batch_size": 1})
        result = _solved(one, rule, key, rtol)
    if not result.status.ok:
        warnings.warn(str(result.status), DyntheoryWarning, stacklevel=2)
    return result


def checked_rule(optimizer: Optimizer, hyperparameters: Mapping[str, Any]) -> Rule:
    """Return an optimizer at the rate one.

    Raises:
        TypeError, ValueError: one that these equations are not about.
    """
    if "learning_rate" in hyperparameters or not callable(optimizer):
        raise TypeError("`optimizer` must be an optax factory such as optax.adam, its rate is `learning_rate`.")
    numbers, static = split_numbers("optimizer", optimizer, {"learning_rate": 1.0, **hyperparameters})
    check_optimizer(optimizer, numbers, static)
    with double_precision():
        doubled = as_double(numbers)
        rule = build(optimizer, static, doubled)
        quarter = build(optimizer, static, {**doubled, "learning_rate": 0.25})
        one = _trial(rule)
        trials = {
            "must not look at the weights (weight decay?)": _trial(rule, weights=1.0),
            "must make steps in proportion to its learning rate": 4.0 * _trial(quarter),
            "must answer opposite gradients by opposite steps": -_trial(rule, sign=-1.0),
        }
    for told, other in trials.items():
        if not np.allclose(one, other, rtol=SAME, atol=0):
            raise ValueError(f"`optimizer` {told} here, {shown(optimizer)} does otherwise: leave out what does that.")
    return Rule(optimizer, static, doubled)


def _trial(rule: Any, *, weights: float = 0.0, sign: float = 1.0) -> np.ndarray:
    """Return the steps on a few gradients of many sizes."""
    gradients = sign * SIZES * np.random.default_rng(0).normal(size=(5, len(SIZES)))
    at = jnp.full(len(SIZES), weights)
    state, steps = rule.init(at), []
    for gradient in gradients:
        update, state = rule.update(jnp.asarray(gradient), state, at)
        steps.append(np.asarray(update))
    return np.stack(steps)


def _solved(one: Any, rule: Rule, key: Key, rtol: float) -> OnlineTrajectory:
    if len(one.spectrum.values) > 1 or float(np.asarray(one.spectrum.values)[0]) != 1.0:
        raise ValueError("`law` must have uncorrelated features here: leave `features` out.")
    (teacher, overlap), (_, own) = np.asarray(one.joint, float)
    noise, start = float(one.law.noise_std) ** 2, own - 2 * overlap + teacher
    deviation = np.sqrt(start + noise)
    if deviation == 0:
        raise ValueError("`first_layer` is the teacher and there is no noise: nothing would move.")
    ends = max(np.sqrt(noise), LEAST * deviation), MOST * deviation
    found = long_run(rule.optimizer, rule.static, rule.numbers, ends, jax.random.fold_in(key, 1))
    if not (np.isfinite(found.pull).all() and np.isfinite(found.spread).all()):
        name = shown(rule.optimizer)
        raise ValueError(f"`optimizer` {name} does not follow its gradients on noise: no flow describes it.")
    flow, errors = _flow(one, found, (start, overlap - teacher), noise, rtol)
    values = {name: state[:, 0] for name, state in flow.states.items()}
    status = _judged(flow, found, values["excess"] + noise, one.times)
    bars = _fields(errors["excess"], errors["along"], 0.0, 0.0)
    bars["weight_overlap"] = np.hypot(errors["excess"], 2 * errors["along"])[:, None, None]
    return OnlineTrajectory(
        one.times,
        **_fields(values["excess"], values["along"] + teacher, teacher, noise),
        teacher_moment=np.array([[teacher]]),
        standard_error=OnlineTrajectory(one.times, **bars),
        status=status,
        assumptions=Assumptions("simulation-verified", WHY),
        provenance={"kind": "prediction", "averages": f"streams of noise, {shown(rule.optimizer)}", **environment(key)},
    )


def _fields(excess: np.ndarray, overlap: np.ndarray, teacher: float, noise: float) -> dict[str, Any]:
    """Return what is reported, from P and R."""
    weight = excess + 2 * overlap - teacher
    return {
        "test_error": excess + noise,
        "excess_error": excess,
        "weight_overlap": weight[:, None, None],
        "teacher_overlap": overlap[:, None, None],
    }


def _tables(found: LongRun) -> dict[str, np.ndarray]:
    """Return ln c and ln D: of all chains, off by what lies between deviations, by what is far, and of each group."""
    grid, tables = np.log(found.deviations), {"grid": np.log(found.deviations)}
    for name, missed, far in zip(("pull", "spread"), found.missed, found.far[0], strict=True):
        values = getattr(found, name)
        mean = np.log(values.mean(axis=0))
        beyond = np.interp(grid, np.linspace(grid[0], grid[-1], len(far)), np.log1p(far))
        tables[name] = np.stack([mean, mean + missed, mean + beyond, *np.log(values)])
    return tables


def _field(time: Array, state: PyTree, numbers: PyTree) -> PyTree:
    del time
    place = 0.5 * jnp.log(jnp.maximum(state["excess"], 0.0) + numbers["noise"])
    read = jax.vmap(lambda x, values: jnp.exp(jnp.interp(x, numbers["grid"], values)))
    pull, spread = read(place, numbers["pull"]), read(place, numbers["spread"])
    rate = numbers["rate"]
    return {
        "excess": -2 * rate * pull * state["excess"] + rate**2 * spread,
        "along": -rate * pull * state["along"],
    }


def _flow(
    one: Any, found: LongRun, start: tuple[float, float], noise: float, rtol: float
) -> tuple[Flow, dict[str, np.ndarray]]:
    """Return the flow, all tables side by side, and standard errors of chains, table, memory and solver."""
    tables = _tables(found)
    count = len(tables["pull"])
    begin = {name: np.full(count, value) for name, value in zip(("excess", "along"), start, strict=True)}
    numbers = {**tables, "noise": noise, "rate": one.rates.learning_rate}
    flow = solve_flow(_field, begin, one.times, numbers, rtol=rtol)
    errors = {}
    for name, states in flow.states.items():
        groups = states[:, 3:]
        chance = groups.std(axis=1, ddof=1) / np.sqrt(groups.shape[1])
        off = np.sum((states[:, 1:3] - states[:, :1]) ** 2, axis=1)
        errors[name] = np.sqrt(chance**2 + off + flow.error[name][:, 0] ** 2)
    return flow, errors


def _judged(flow: Flow, found: LongRun, error: np.ndarray, times: np.ndarray) -> Status:
    bad = ~np.isfinite(error) | has_diverged(error)
    if bad.any():
        told = f"the error blew up at time {times[np.argmax(bad)]:.4g}: lower `learning_rate`"
        return Status(Outcome.DIVERGED, told, int(np.argmax(bad)))
    if not flow.status.ok:
        return flow.status
    least, most = found.deviations[[0, -1]]
    outside = (np.sqrt(error) > most) | (np.sqrt(error) < least * (1 - SAME))
    if outside.any():
        first = int(np.argmax(outside))
        told = f"residuals leave the table of deviations at time {times[first]:.4g}: ask for a shorter `time`"
        return Status(Outcome.UNRESOLVED, told, first)
    if _is_seen(found.far):
        told = f"the optimizer remembers more than {LENGTH * LONGER[-1]} steps: lower its decay rates (b1)"
        return Status(Outcome.UNRESOLVED, told)
    if _is_seen(found.late):
        told = "the optimizer's steps still change after thousands: lower its decay rates (b2), leave schedules out"
        return Status(Outcome.UNRESOLVED, told)
    return Status()


def _is_seen(share: np.ndarray) -> bool:
    """Return whether shares (2, …), with their standard errors, are beyond chance and more than small."""
    return bool(np.any((np.abs(share[0]) > FAR) & (np.abs(share[0]) > SURE * share[1])))

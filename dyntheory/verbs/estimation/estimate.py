"""The verb `estimate`: the generalisation error of one real training run, at every step, without a test set."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.ground.arrays import Array, ArrayLike, Key, Progress, PyTree
from dyntheory.ground.checks import check_count, check_key, check_positive, check_scalar
from dyntheory.ground.memory import available_memory
from dyntheory.ground.precision import as_double, double_precision, to_numpy
from dyntheory.ground.randomness import stream
from dyntheory.ground.status import Assumptions, DyntheoryWarning
from dyntheory.problem.methods.method import GeneralFirstOrderMethod
from dyntheory.problem.methods.probing import feature_map_is_linear
from dyntheory.problem.prepared import check_head, described, environment
from dyntheory.results.outcome import diverged_where, has_diverged
from dyntheory.results.trajectory import PREACTIVATION_BYTES, Trajectory
from dyntheory.verbs.estimation.assumption_report import report_on
from dyntheory.verbs.estimation.covariance import Covariance, feature_side
from dyntheory.verbs.estimation.fresh_rows import FreshRows, fresh_rows, held_out_error, probes_of
from dyntheory.verbs.estimation.plan import EstimatePlan, RunSize, plan_estimate
from dyntheory.verbs.estimation.rows import Standardisation, checked_labels, standardised
from dyntheory.verbs.estimation.training_run import TrainingRun, train_on


def estimate(
    inputs: ArrayLike,
    labels: ArrayLike,
    method: GeneralFirstOrderMethod,
    *,
    num_steps: int,
    key: Key,
    covariance: Covariance | None = None,
    test_data: tuple[ArrayLike, ArrayLike] | None = None,
    head: PyTree = None,
    weights: ArrayLike | None = None,
    max_memory: int | None = None,
    max_trainings: float | None = None,
    progress: Progress | None = None,
) -> Trajectory:
    """Train once on given data and say after every step what the error on fresh data is; no row is held out.

    A trained row's preactivation h^t = x·w^t/√d holds what the row itself has taught the weights. It is removed,
    û^t = h^t − Σ_{s<t} A_ts g^s, and the error at û is that of a fresh row. For a linear model û is exactly the
    preactivation of a run without that row. Everything comes from the one run: g from its rows, A from its responses.

    Scaling:
        Columns are centred and scaled to variance one (`provenance["standardisation"]`); labels are taken as they are.
        Weights start with entries O(1), learning rates are those of `gradient_descent`.

    Args:
        inputs: X, (n, d), numbers.
        labels: y, (n,) or (n, outputs); ±1 for two classes, indicator vectors for more.
        method: gradient descent, momentum, Nesterov, weight decay, schedules, mini-batches, any loss.
        num_steps: T, zero or more.
        key: `jax.random.key(seed)`; decides head, first layer, mini-batches and probes.
        covariance: of the columns: "sample" (default) needs to know nothing of it and gives every row the leverage that
            it has; "isotropic"; eigenvalues (p,) or a `Spectrum`; unlabelled rows (N, d); "shrinkage" estimates
            eigenvalues.
        test_data: (inputs, labels) for `held_out_error`, a comparison; not used for anything else.
        head: the initial head; default one draw from `key`, the same as in `predict` and `simulate`.
        weights: the initial first layer W⁰ (d, k); default independent standard normal entries, or zero where the
            method starts there.
        max_memory: bytes that may be used; default most of what is free.
        max_trainings: how much work the estimate may take, in trainings, where a cheaper choice exists; default three
            or about a second, whatever is more.
        progress: called with (fraction done, what is being done); the cost is told before it is spent.

    Returns:
        `train_error`, `test_error` (the estimate) with `standard_error`, `best_step`, the debiased preactivations of
        every step with the labels (`preactivations(step)`), first-layer weights (`recorded_weights`) and head, and
        `held_out_error`. The standard error joins that of a test set of
        n rows and the noise of the responses. `provenance` has the cost in trainings,
        `assumptions` what the data say against the theory.

    Raises:
        TypeError: an argument of the wrong kind.
        ValueError: data that cannot be used, a method whose responses cannot be propagated (Adam, clipping: not linear
            on the feature side), too little memory.

    Example:
        >>> import jax, optax, dyntheory as dt
        >>> rows = np.random.default_rng(0).normal(size=(100, 20))
        >>> method = dt.gradient_descent(dt.LinearModel(), optax.sgd, learning_rate=0.3)
        >>> live = dt.estimate(rows, rows[:, 0], method, num_steps=5, key=jax.random.key(0))
        >>> bool(live.test_error[5] > live.train_error[5])
        True

    Reference: `han2025precise`, generalisation error from one run; the removal for any covariance: docs/estimate.md.
    """
    rows, standardisation = standardised(inputs)
    targets = checked_labels("labels", labels, len(rows))
    _check_method(method, num_steps, key)
    if max_trainings is not None:
        check_scalar("max_trainings", max_trainings)
        check_positive("max_trainings", max_trainings)
    test = None if test_data is None else _test_rows(test_data, standardisation, targets)
    report = progress or (lambda fraction, text: None)
    memory = available_memory() if max_memory is None else max_memory
    with double_precision():
        method, x = as_double(method), jnp.asarray(rows)
        head, first = start_of_run(method, rows, targets, key, head, weights, num_steps)
        size = RunSize(len(rows), x.shape[1], method.num_units, num_steps, _count(head), method.has_kink is False)
        plan = plan_estimate(size, max_memory=memory, max_ratio=max_trainings)
        report(0.0, f"training; the estimate takes about {plan.ratio:.2g} times as much work")
        own = stream(key, "estimate")
        uniforms = jax.random.uniform(own, (num_steps, len(rows), method.sample_noise), float)
        run = _train(method, x, jnp.asarray(targets), head, first, uniforms, num_steps=num_steps)
        report(0.3, "the responses of the run")
        chosen = feature_side(covariance, rows, standardisation, num_groups=plan.num_groups, num_steps=num_steps)
        probes = probes_of(plan, run, jax.random.fold_in(own, 1), is_smooth=size.is_smooth)
        signs = jax.random.rademacher(jax.random.fold_in(own, 3), (plan.num_signs, len(rows)), float)
        asked = (method, x, run, chosen.side, chosen.groups, probes, signs)
        found = to_numpy(fresh_rows(*asked, num_blocks=plan.num_blocks))
        held_out = (
            None
            if test is None
            else np.asarray(held_out_error(method, run, jnp.asarray(test[0]), jnp.asarray(test[1])))
        )
        run = to_numpy(run)
    report(1.0, "done")
    concerns = report_on(rows, targets)
    result = _trajectory(method, run, found, None if held_out is None else np.asarray(held_out))
    record = _provenance(method, key, plan, standardisation, chosen.name, targets) | {"num_steps": num_steps}
    record["assumption_report"] = [one.message for one in concerns.findings]
    result = dataclasses.replace(result, provenance=record, assumptions=_assumptions(concerns.findings))
    if not result.status.ok:
        warnings.warn(str(result.status), DyntheoryWarning, stacklevel=2)
    return result


_train = jax.jit(train_on, static_argnames=("num_steps",))


def _check_method(method: Any, num_steps: Any, key: Any) -> None:
    if not isinstance(method, GeneralFirstOrderMethod):
        raise TypeError(f"`method` must be a method such as gradient_descent(...), got {method!r}.")
    check_count("num_steps", num_steps, minimum=0)
    check_key(key)


def _test_rows(
    test_data: tuple[ArrayLike, ArrayLike], standardisation: Standardisation, targets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    try:
        inputs, labels = test_data
    except (TypeError, ValueError):
        raise TypeError("`test_data` must be a pair (inputs, labels).") from None
    rows = standardisation(inputs)
    numbers = checked_labels("test_data labels", labels, len(rows))
    if numbers.shape[1:] != targets.shape[1:]:
        raise ValueError(f"`test_data` labels must have shape (rows, {targets.shape[1:]}), got {numbers.shape}.")
    return rows, numbers


def start_of_run(
    method: GeneralFirstOrderMethod,
    rows: np.ndarray,
    targets: np.ndarray,
    key: Key,
    head: PyTree,
    weights: ArrayLike | None,
    num_steps: int,
) -> tuple[PyTree, Array]:
    """Return head and first layer, checked against the data."""
    drawn = as_double(method.init_head(stream(key, "head")))
    head = drawn if head is None else check_head(as_double(head), drawn)
    prediction = jax.eval_shape(method.output, head, jax.ShapeDtypeStruct((method.num_units,), float)).shape
    if prediction != targets.shape[1:]:
        raise ValueError(
            f"The network's output has shape {prediction} and a label has shape {targets.shape[1:]}: change "
            "`num_outputs` of the network or the shape of `labels`."
        )
    if not feature_map_is_linear(method, head, num_steps=num_steps):
        raise ValueError(
            "The responses of this optimizer cannot be propagated: its update of the first layer is not linear in the "
            "gradients (Adam, sign, clipping, thresholds). `estimate` takes SGD, momentum, Nesterov, weight decay, "
            "schedules and mini-batches; for the others hold out rows, or predict with `predict`."
        )
    shape = (rows.shape[1], method.num_units)
    if weights is None:
        normal = jax.random.normal(jax.random.fold_in(stream(key, "estimate"), 2), shape, float)
        return head, jnp.zeros(shape) if method.starts_at_zero else normal
    given = np.asarray(weights, dtype=float)
    if given.shape != shape or not np.isfinite(given).all():
        raise ValueError(f"`weights` must be finite with shape (d, k) = {shape}, got {given.shape}.")
    return head, jnp.asarray(given)


def _count(head: PyTree) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(head))


def _trajectory(
    method: GeneralFirstOrderMethod, run: TrainingRun, found: FreshRows, held_out: np.ndarray | None
) -> Trajectory:
    fresh, losses, errors, weights = map(np.asarray, (*found[:3], run.weights))
    n, steps = fresh.shape[1], np.arange(fresh.shape[0])
    error = Trajectory(
        steps=steps,
        test_loss=np.hypot(losses.std(axis=1, ddof=1) / np.sqrt(n), found.noise.loss),
        test_error=np.hypot(errors.std(axis=1, ddof=1) / np.sqrt(n), found.noise.error),
    )
    return Trajectory(
        steps=steps,
        train_loss=run.train_loss,
        test_loss=losses.mean(axis=1) + found.influence.loss,
        train_error=run.train_error,
        test_error=errors.mean(axis=1) + found.influence.error,
        held_out_error=held_out,
        weight_overlap=np.einsum("tda,tdb->tab", weights, weights) / weights.shape[1],
        head=to_numpy(jax.vmap(method.head_of)(run.shared)),
        standard_error=error,
        status=diverged_where(has_diverged(np.asarray(run.train_loss)) | ~np.isfinite(errors.mean(axis=1))),
        recorded_preactivations=fresh,
        recorded_weights=weights if weights.nbytes <= PREACTIVATION_BYTES else None,
        labels=np.asarray(run.labels),
        sample_weights=np.full(n, 1.0 / n),
    )


def _assumptions(findings: tuple[Any, ...]) -> Assumptions:
    if findings:
        return Assumptions("heuristic", "; ".join(one.message for one in findings))
    return Assumptions(
        "simulation-verified", "independent rows of many independent parts: nothing in the data speaks against it"
    )


def _provenance(
    method: GeneralFirstOrderMethod,
    key: Key,
    plan: EstimatePlan,
    standardisation: Standardisation,
    covariance: str,
    targets: np.ndarray,
) -> dict[str, Any]:
    return {
        "kind": "estimate",
        **environment(key),
        "method": described(method),
        "num_samples": len(targets),
        "num_features": len(standardisation.mean),
        "covariance": covariance,
        "cost": plan._asdict(),
        "standardisation": {"mean": standardisation.mean.tolist(), "scale": standardisation.scale.tolist()},
    }

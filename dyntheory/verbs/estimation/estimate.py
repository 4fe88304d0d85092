"""The verb `estimate`: the generalisation error of one real training run, at every step, without a test set."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import jax
import numpy as np

from dyntheory.ground.arrays import ArrayLike, Key, Progress, PyTree
from dyntheory.ground.checks import check_count
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.precision import double_precision, to_numpy
from dyntheory.ground.resources import Resources
from dyntheory.ground.status import Assumptions
from dyntheory.problem.laws.rows import LabelledRows, checked_labels, labelled_rows
from dyntheory.problem.methods.method import GeneralFirstOrderMethod
from dyntheory.problem.prepared import described, environment
from dyntheory.results.trajectory import PREACTIVATION_BYTES, Trajectory
from dyntheory.verbs.estimation.assumption_report import AssumptionReport, report_on
from dyntheory.verbs.estimation.covariance import ChosenSpectrum, Covariance, check_covariance, chosen_spectrum
from dyntheory.verbs.estimation.fresh_rows import FreshRows, fresh_rows, held_out_error
from dyntheory.verbs.estimation.head_influence import noise_of_signs
from dyntheory.verbs.estimation.observed_run import ObservedRun, observed_run
from dyntheory.verbs.estimation.reliable_steps import EstimateWarning, reliability, without_unreliable


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
    max_memory: float | None = None,
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
            it has; "isotropic"; eigenvalues (p,) of the correlation matrix or a `Spectrum`, of which the ratios count
            since columns have variance one; unlabelled rows (N, d) in the units of X; "shrinkage" estimates
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
        n rows and the noise of the responses and of the head's part. `provenance` has the cost in trainings,
        `assumptions` what the data say against the theory. Where the run, or the estimate itself, becomes unstable
        `status` says from which step on (`status.step`); there the estimate is NaN, so that no choice falls on it.

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
    data = labelled_rows(inputs, labels)
    check_arguments(estimate, locals())
    num_steps = check_count("num_steps", num_steps, minimum=0)
    check_covariance(covariance, data.standardisation)
    test = None if test_data is None else _test_rows(test_data, data)
    resources = Resources.checked(max_memory=max_memory, progress=progress)
    with double_precision():
        seen = observed_run(
            data,
            method,
            num_steps=num_steps,
            key=key,
            head=head,
            weights=weights,
            resources=resources,
            max_trainings=max_trainings,
        )
        resources.report(0.3, "the responses of the run")
        sizes = {"num_groups": seen.plan.num_groups, "num_steps": num_steps}
        chosen = chosen_spectrum(covariance, data.rows, data.standardisation, **sizes)
        found = to_numpy(_fresh_rows(seen, chosen))
        held_out = None if test is None else np.asarray(held_out_error(seen.method, seen.training, *test))
        seen = seen._replace(training=to_numpy(seen.training))
    resources.report(1.0, "done")
    concerns = report_on(data.rows, data.labels)
    result = dataclasses.replace(
        _trajectory(seen, found, held_out),
        provenance=_provenance(seen, key, chosen.name, concerns),
        assumptions=_assumptions(concerns),
    )
    if not result.status.ok:
        warnings.warn(str(result.status), EstimateWarning, stacklevel=2)
    return result


def _test_rows(test_data: tuple[ArrayLike, ArrayLike], data: LabelledRows) -> tuple[np.ndarray, np.ndarray]:
    try:
        inputs, labels = test_data
    except (TypeError, ValueError):
        raise TypeError("`test_data` must be a pair (inputs, labels).") from None
    rows = data.standardisation(inputs, name="test_data inputs")
    numbers = checked_labels("test_data labels", labels, len(rows))
    if numbers.shape[1:] != data.labels.shape[1:]:
        raise ValueError(f"`test_data` labels must have shape (rows, {data.labels.shape[1:]}), got {numbers.shape}.")
    return rows, numbers


def _fresh_rows(seen: ObservedRun, chosen: ChosenSpectrum) -> FreshRows:
    shape = (seen.plan.num_signs, len(seen.inputs))
    signs = jax.random.rademacher(jax.random.fold_in(seen.key, 3), shape, float)
    asked = (seen.method, seen.inputs, seen.training, chosen.spectrum, chosen.groups, seen.probes, signs)
    return fresh_rows(*asked, num_blocks=seen.plan.num_blocks)


def _trajectory(seen: ObservedRun, found: FreshRows, held_out: np.ndarray | None) -> Trajectory:
    run, steps = seen.training, np.arange(len(found.losses))
    fresh, weights = map(np.asarray, (found.preactivations, run.weights))
    n, status = fresh.shape[1], reliability(found, np.asarray(run.train_loss), seen.plan.num_signs)
    losses, errors, *influence = map(np.asarray, (found.losses, found.errors, *found.influence))
    loss, loss_error = _mean_and_error(losses, influence[0], influence[2], seen)
    error, error_error = _mean_and_error(errors, influence[1], influence[3], seen)
    bars = np.hypot(loss_error, found.noise.loss), np.hypot(error_error, found.noise.error)
    curves = (without_unreliable(curve, status) for curve in (loss, error, *bars))
    test_loss, test_error, loss_bar, error_bar = curves
    return Trajectory(
        steps=steps,
        train_loss=run.train_loss,
        test_loss=test_loss,
        train_error=run.train_error,
        test_error=test_error,
        held_out_error=held_out,
        weight_overlap=np.einsum("tda,tdb->tab", weights, weights) / weights.shape[1],
        head=to_numpy(jax.vmap(seen.method.head_of)(run.shared)),
        standard_error=Trajectory(steps=steps, test_loss=loss_bar, test_error=error_bar),
        status=status,
        recorded_preactivations=fresh,
        recorded_weights=weights if weights.nbytes <= PREACTIVATION_BYTES else None,
        labels=np.asarray(run.labels),
        sample_weights=np.full(n, 1.0 / n),
    )


def _mean_and_error(
    rows: np.ndarray, correction: np.ndarray, change: np.ndarray, seen: ObservedRun
) -> tuple[np.ndarray, np.ndarray]:
    """Return the corrected mean over rows, and its standard error from the rows and from the correction's signs."""
    with np.errstate(all="ignore"):  # a run that diverges
        of_rows = rows.std(axis=1, ddof=1) / np.sqrt(rows.shape[1])
        return rows.mean(axis=1) + correction, np.hypot(of_rows, noise_of_signs(change, seen.plan.num_signs))


def _assumptions(concerns: AssumptionReport) -> Assumptions:
    if not concerns.ok:
        return Assumptions("heuristic", "; ".join(one.message for one in concerns.findings))
    return Assumptions(
        "simulation-verified", "independent rows of many independent parts: nothing in the data speaks against it"
    )


def _provenance(seen: ObservedRun, key: Key, covariance: str, concerns: AssumptionReport) -> dict[str, Any]:
    units = seen.data.standardisation
    return {
        "kind": "estimate",
        **environment(key),
        "method": described(seen.method),
        "num_samples": len(seen.data.labels),
        "num_features": len(units.mean),
        "covariance": covariance,
        "cost": seen.plan._asdict(),
        "standardisation": {"mean": units.mean.tolist(), "scale": units.scale.tolist()},
        "num_steps": len(seen.training.uniforms),
        "assumption_report": [one.message for one in concerns.findings],
    }

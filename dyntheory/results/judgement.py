"""How a computation ended: heavy tails, divergence, accuracy reached. All verbs are judged here."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import numpy as np

from dyntheory.ground.arrays import PyTree
from dyntheory.ground.status import Outcome, Status
from dyntheory.results.support import supported
from dyntheory.results.trajectory import CURVES, OVERLAPS, POSITIVE, Trajectory

FLOOR = 1e-3
RELATIVE_ERROR_UNRESOLVED = 0.1
RELATIVE_ERROR_DIVERGED = 0.5
LABEL_SHARE = 0.01
LABEL_SAMPLES = 256
RESIDUAL_SHARE = 0.03
MISSED_SHARE = 0.01
SEEN_BY_SUB_NETS = 3.0  # an eighth of the nodes misses so many times as much: then the error bars contain it
DIVERGED_GROWTH = 1e10


def has_diverged(train_loss: np.ndarray) -> np.ndarray:
    """Return where a training loss, steps along the last axis, is not finite or has grown 10¹⁰-fold.

    A loss that starts at zero has no scale to grow from: only what is not finite counts then.
    """
    with np.errstate(all="ignore"):
        first = train_loss[..., :1]
        return ~(train_loss <= np.where(first > 0, DIVERGED_GROWTH * first, np.finfo(float).max))


def first_bad_step(curves: dict[str, PyTree]) -> np.ndarray:
    """Return for each run the first step at which it has diverged, T + 1 when it has not, from curves (runs, T+1)."""
    bad = ~np.all(np.isfinite(np.stack([curves[name] for name in CURVES])), axis=0) | has_diverged(curves["train_loss"])
    return np.where(np.any(bad, axis=1), np.argmax(bad, axis=1), bad.shape[1])


def cure_of(provenance: dict[str, Any]) -> str:
    """Return which number to change where a run diverges, from the provenance of a result."""
    method = provenance.get("method") or {}
    numbers = method.get("hyperparameters") or {}
    if method.get("name", "").startswith("gradient_descent") or not method or "learning_rate" in str(numbers):
        return "lower the learning rate"
    names = ", ".join(f"`{name}`" for name in numbers)
    return f"change {names or 'the numbers of the method'}, or raise `samples_per_feature`"


def diverged_where(
    bad: np.ndarray, *, cause: str = "the training loss blew up", cure: str = "lower the learning rate"
) -> Status:
    """Return that a computation diverged at the first bad step of T+1, if there is one."""
    if not bad.any():
        return Status()
    step = int(np.argmax(bad))
    return Status(Outcome.DIVERGED, f"{cause} from step {step} on: {cure}", step)


def diverged_runs(diverged_at: np.ndarray, num_states: int, *, cure: str = "lower the learning rate") -> Status:
    """Return whether some runs diverged; `diverged_at` (runs,) is from `first_bad_step`, `num_states` is T+1."""
    count = int((diverged_at < num_states).sum())
    if count == 0:
        return Status()
    first = int(diverged_at.min())
    rest = "means are over the others" if count < len(diverged_at) else "means stop being finite there"
    return Status(
        Outcome.DIVERGED,
        f"{count} of {len(diverged_at)} runs diverged, the first at step {first}; {rest}: {cure}",
        first,
    )


def heavy_tail(
    labels: np.ndarray,
    weights: np.ndarray,
    residual_share: np.ndarray | None = None,
    train_error: np.ndarray | None = None,
) -> Status:
    """Return whether few nodes carry the second moment of the labels, or that of the residuals during the run.

    Args:
        labels: (nodes,) or (nodes, outputs).
        weights: (nodes,), summing to one.
        residual_share: (..., T+1) largest part of the train error that one node carries; None when not recorded.
        train_error: (..., T+1), needed with it: below 1e-3 of its initial value it counts as that much, so that
            a run that fits its data to rounding is not blamed for the tail of the rounding.
    """
    power = weights * np.square(labels).reshape(len(labels), -1).sum(axis=1)
    share = power / max(power.sum(), 1e-300)
    effective = 1.0 / max(np.square(share).sum(), 1e-300)
    if share.max() > LABEL_SHARE or effective < LABEL_SAMPLES:
        return Status(
            Outcome.HEAVY_TAIL,
            f"one node carries {share.max():.1%} of E[y²] (effective sample size {effective:.0f}): "
            "the link grows too fast for this node set, raise `num_nodes`",
        )
    if residual_share is None or train_error is None:
        return Status()
    return _residual_tail(residual_share, train_error)


def _residual_tail(residual_share: np.ndarray, train_error: np.ndarray) -> Status:
    """Return whether one node carries too much of the squared residuals at some step."""
    with np.errstate(all="ignore"):
        scale = scale_of(train_error)
        share = np.nan_to_num(residual_share * np.abs(train_error) / scale, nan=0.0, posinf=0.0)
    worst = share.reshape(-1, share.shape[-1]).max(axis=0)
    step = int(worst.argmax())
    if worst[step] <= RESIDUAL_SHARE:
        return Status()
    return Status(
        Outcome.HEAVY_TAIL,
        f"one node carries {worst[step]:.1%} of the train error at step {step}: its error bars may be too small, "
        "raise `num_nodes`",
        step,
    )


def heavy_teacher(missed: float, missed_by_sub_nets: float, num_nodes: int) -> Status:
    """Return whether few features carry the teacher: what nodes miss of E w*² falls too slowly with their number.

    Args:
        missed: part of E w*² that the quantiles of all nodes miss.
        missed_by_sub_nets: the same of an eighth of them.
        num_nodes: N.
    """
    if missed <= MISSED_SHARE or missed_by_sub_nets >= SEEN_BY_SUB_NETS * missed:
        return Status()
    return Status(
        Outcome.HEAVY_TAIL,
        f"{num_nodes} quantiles of the teacher's prior miss {missed:.1%} of E w*²: a few features carry it, every "
        "network has a teacher of its own, and error bars are too small where features are not treated alike (Adam, "
        "thresholds). Condition on a draw, first_layer=FirstLayer.from_weights(W, W_teacher), or cut the tails",
    )


def scale_of(values: np.ndarray) -> np.ndarray:
    """Return the larger of |value| and 1e-3 of its initial |value|, steps along the last axis."""
    return np.maximum(np.abs(values), FLOOR * np.abs(values[..., :1]))


def relative_errors(result: Trajectory) -> np.ndarray:
    """Return the reported errors of train and test error, shape (2, T+1).

    They are relative to the larger of the value and 1e-3 of its initial value.
    """
    rows = []
    for name in ("train_error", "test_error"):
        value, sigma = getattr(result, name), getattr(result.standard_error, name)
        with np.errstate(all="ignore"):
            rows.append(np.where(sigma == 0, 0.0, sigma / scale_of(value)))
    return np.stack(rows)


def unreached(result: Trajectory, rtol: float | None, *, within: str, cure: str) -> Status | None:
    """Return "unresolved" where a relative error was asked for and not reached, else None.

    Args:
        result: a prediction or a mean over runs, with its errors.
        rtol: what was asked for, or None.
        within: what was spent on it, "within the budget".
        cure: what to do.
    """
    if rtol is None:
        return None
    relative = relative_errors(result)
    reached, step = float(relative.max()), int(relative.max(axis=0).argmax())
    if reached <= rtol:
        return None
    told = f"rtol={rtol:g} was asked for and {reached:.2g} reached (step {step}) {within}: {cure}"
    return Status(Outcome.UNRESOLVED, told if result.status.ok else f"{told}; {result.status.message}", step)


def finish(result: Trajectory, rtol: float | None) -> Trajectory:
    """Return a prediction with its final status, blank (NaN) from the step where it stopped being finite."""
    relative = relative_errors(result)
    curves = np.stack([np.asarray(getattr(result, name)) for name in ("train_error", "test_error")])
    finite = np.all(np.isfinite(relative) & np.isfinite(curves), axis=0)
    status = _status(result, relative, finite, rtol)
    assumptions = supported(dataclasses.replace(result, status=status))
    blank = _blank(result, np.maximum.accumulate(~finite))
    return with_record(dataclasses.replace(blank, status=status, assumptions=assumptions))


def with_record(result: Trajectory) -> Trajectory:
    """Return a result that was fine as "unresolved" where an order parameter that was asked for is not finite."""
    if not result.status.ok:
        return result
    for name, values in (result.recorded or {}).items():
        for leaf in map(np.asarray, jax.tree.leaves(values)):
            bad = ~np.isfinite(leaf.reshape(len(leaf), -1)).all(axis=1)
            if bad.any():
                step = int(np.argmax(bad))
                told = f"`record[{name!r}]` is not finite at step {step}: its function gives NaN or infinity on a row"
                return dataclasses.replace(result, status=Status(Outcome.UNRESOLVED, told, step))
    return result


def _status(result: Trajectory, relative: np.ndarray, finite: np.ndarray, rtol: float | None) -> Status:
    blown = has_diverged(np.asarray(result.train_loss))
    bad = ~finite | blown | np.any(relative > RELATIVE_ERROR_DIVERGED, axis=0)
    if bad.any():
        cause = "the training loss blew up" if blown[np.argmax(bad)] else "the numerical error exceeds half the value"
        return diverged_where(bad, cause=cause, cure=f"{cure_of(result.provenance)}, or raise `num_nodes`")
    drops = bool(result.provenance.get("drop_below"))
    cure = "raise `max_nodes`" + " or lower `drop_below`, whose error more nodes do not mend" * drops
    missed = unreached(result, rtol, within="within the budget", cure=cure)
    if missed is not None:
        return missed
    reached, step = float(relative.max()), int(relative.max(axis=0).argmax())
    if result.status.ok and reached > RELATIVE_ERROR_UNRESOLVED:
        advice = "raise `num_nodes`" + " or lower `drop_below`" * drops
        return Status(Outcome.UNRESOLVED, f"the numerical error is {reached:.0%} at step {step}: {advice}", step)
    return result.status


def _blank(result: Trajectory, where: np.ndarray) -> Trajectory:
    if not where.any():
        return result

    def blank(leaf: np.ndarray) -> np.ndarray:
        return np.where(where.reshape(-1, *[1] * (leaf.ndim - 1)), np.nan, leaf)

    def blanked(trajectory: Trajectory | None) -> Trajectory | None:
        if trajectory is None:
            return None
        fields = {
            name: jax.tree.map(blank, getattr(trajectory, name)) for name in (*POSITIVE, *OVERLAPS, "head", "recorded")
        }
        return dataclasses.replace(trajectory, **fields)

    return dataclasses.replace(blanked(result) or result, standard_error=blanked(result.standard_error))

"""Up to which step of a run an estimate can be trusted.

What a row teaches the head is corrected for to first order in the row's pull. Where a run nears an instability that
derivative of the whole run grows without bound, and what it multiplies is no longer small: the correction is all noise.
An estimate ends before the first step at which one of these fails, for the loss or for the error:

* first order is enough: neither the correction nor the change of one row by another's pull is more than half of the
  mean that is corrected. For a squared error the second order, left out, is x²/4 where the first is x: 6 %;
* the correction is seen: its noise is at most twice the standard error of that mean.

Stable runs are far below (n = 200, twelve head parameters: 0.2 and 0.3 of the mean at most); runs that explode pass the
bounds a few steps before their loss does. The estimate of an error that cannot be negative is then never negative.
"""

from __future__ import annotations

import numpy as np

from dyntheory.ground.status import DyntheoryWarning, Outcome, Status
from dyntheory.results.judgement import diverged_where, has_diverged
from dyntheory.verbs.estimation.fresh_rows import FreshRows
from dyntheory.verbs.estimation.head_influence import noise_of_signs

FIRST_ORDER = 0.5  # of the mean that is corrected
LARGEST_NOISE = 2.0  # standard errors of that mean


class EstimateWarning(DyntheoryWarning):
    """An estimate ends before the run does, since the run, or the estimate itself, is unstable; the text says where."""


def reliability(found: FreshRows, train_loss: np.ndarray, num_signs: int) -> Status:
    """Return how an estimate ended; from `step` on, where there is one, it is not to be used.

    Args:
        found: what fresh rows would have.
        train_loss: (T+1,).
        num_signs: runs that measured what rows teach the head.
    """
    with np.errstate(all="ignore"):
        finite = np.isfinite(np.mean(found.errors, axis=1)) & np.isfinite(np.mean(found.losses, axis=1))
    blown = has_diverged(train_loss) | ~finite
    doubtful = _is_doubtful(found, num_signs) & ~np.maximum.accumulate(blown)
    if not doubtful.any():
        return diverged_where(blown)
    step = int(np.argmax(doubtful))
    told = (
        f"one row's pull on the head changes the error on fresh rows too much for a first-order correction from step "
        f"{step} on"
    )
    if blown.any():
        begins = f"the training loss blew up from step {int(np.argmax(blown))} on"
        return Status(Outcome.DIVERGED, f"{begins}, and {told}: lower the learning rate", step)
    return Status(
        Outcome.UNRESOLVED,
        f"{told}, and there is no estimate: lower the learning rate, or take more rows or a smaller head",
        step,
    )


def without_unreliable(curve: np.ndarray, status: Status) -> np.ndarray:
    """Return a curve of estimates that is blank (NaN) from the step of the status on."""
    if status.step is None:
        return curve
    return np.where(np.arange(len(curve)) < status.step, curve, np.nan)


def _is_doubtful(found: FreshRows, num_signs: int) -> np.ndarray:
    """Return at which steps what is added for the head is beyond its first order, or not seen for its noise."""
    losses, errors, *influence = map(np.asarray, (found.losses, found.errors, *found.influence))
    loss, error, loss_change, error_change = influence
    bad = np.zeros(len(losses), bool)
    for rows, correction, change in ((losses, loss, loss_change), (errors, error, error_change)):
        with np.errstate(all="ignore"):
            half, of_mean = FIRST_ORDER * np.abs(rows).mean(axis=1), rows.std(axis=1, ddof=1) / np.sqrt(rows.shape[1])
            is_small = (np.abs(correction) <= half) & (change <= half)
            bad |= ~(is_small & (noise_of_signs(change, num_signs) <= LARGEST_NOISE * of_mean))
    return bad
